"""What a check of the guards costs beside the training between two checks, and a search for near copies.

Run by `make bench NAME=speed`.

Processor time of one thread; medians of five, with their spread.
"""

import statistics
import time

import numpy as np
import torch

from medgan.learners.gan.monitor import _SPACING, Monitor
from medgan.learners.gan.steps import GanState, update
from medgan.training.runtime import Runtime
from tests.learners.gan.phantoms import known, tiny_plan, tiny_stack
from tests.similarity.test_nearest import found, textures

torch.set_num_threads(1)
ROUNDS = 5


def spent(work):
    """Processor seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def spread(values, form):
    """Median and range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def test_a_look_beside_the_training_between_two():
    plan = tiny_plan(size=(32, 32), base=(4, 4), widths=(64, 64, 48, 32), batch=16)
    learners = GanState(plan, Runtime("cpu", "fp32"), known(plan))
    watch = Monitor(tiny_stack(240, size=(32, 32)), plan)
    watch.reference  # noqa: B018  # made once in a run
    images, labels = torch.randn(16, 1, 32, 32), torch.arange(16) % 2
    shares = []
    for number in range(ROUNDS + 1):
        steps = [
            spent(lambda at=16 * (4 * number + step): update(learners, images, labels, at))
            for step in range(4)
        ]
        look = spent(lambda at=64 * number: watch.check(learners, at))
        shares.append(look / (_SPACING * 2 * watch.per_class / 16 * np.mean(steps)))
    print(f"\na look of the guards, as a share of the training between two: {spread(shares[1:], '.1%')}")
    assert statistics.median(shares[1:]) < 0.03


def test_a_search_for_copies_of_a_thousand_images_among_a_thousand():
    references, images = textures(1000, 0), textures(1000, 1)
    seconds = [spent(lambda: found(images, references)) for _ in range(ROUNDS)]
    print(f"\n1,000 images beside 1,000 at 64 pixels, all shifts and mirrored: {spread(seconds, '.1f')} s")
    assert statistics.median(seconds) < 30
