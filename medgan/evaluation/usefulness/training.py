"""Train networks; one run gives a classifier for every number of steps asked for.

The learning rate is constant, and the weights of a classifier of T steps are the mean over its last T / 2
steps. This has the effect of a rate that falls to 0 (Polyak and Juditsky 1992; arXiv 1803.05407), and lets
one run of the longest schedule give all shorter ones.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.evaluation.usefulness.arms import Lesson
from medgan.evaluation.usefulness.inputs import NetworkInputs
from medgan.evaluation.usefulness.parallel import check_not_stopped

_BATCH = 32
_SMOOTH = 0.05
"""Label smoothing."""
_MIXING = 0.2
"""Both parameters of mixup's beta distribution (arXiv 1710.09412 uses 0.1 to 0.4 on ImageNet)."""

_State = list[Tensor]
_BIRTH = Lock()
"""Starting weights come from torch's global generator, so only one network is built at a time."""


def train_classifiers(
    eyes: NetworkInputs, lesson: Lesson, *, rate: float, steps: Sequence[int], seed: int
) -> Iterator[tuple[int, nn.Module]]:
    """Train with AdamW at a constant rate, and yield (steps, classifier) for each of `steps`, ascending.

    Args:
        eyes: The inputs of the network.
        lesson: What it learns from; with several stages only one number of steps is allowed.
        rate: Learning rate.
        steps: Numbers of steps of 32 images each.
        seed: Equal seeds give equal starting weights and random draws in every arm.
    """
    assert len(lesson.stages) == 1 or len(steps) == 1
    with _BIRTH:
        network = eyes.fresh(lesson.classes, seed)
    optimizer = torch.optim.AdamW(eyes.groups(network, rate), lr=rate)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    sums, known = (
        [torch.zeros_like(weight) for weight in weights],
        {0: [torch.zeros_like(weight) for weight in weights]},
    )
    wanted = {*steps, *(count // 2 for count in steps)}
    for done, loss in enumerate(_losses(eyes, lesson, network, max(steps), seed), start=1):
        check_not_stopped()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            torch._foreach_add_(sums, [weight.detach() for weight in weights])  # one call for all weights
        if done in wanted:
            known[done] = [total.clone() for total in sums]
        if done in steps:
            yield done, _average_weights(network, known[done], known[done // 2], done - done // 2)


def _average_weights(network: nn.Module, after: _State, before: _State, count: int) -> nn.Module:
    """A copy of the network with the mean weights of `count` steps, from two running sums."""
    mean = copy.deepcopy(network).eval().requires_grad_(False)  # torch's own signature
    places = [
        own for own, live in zip(mean.parameters(), network.parameters(), strict=True) if live.requires_grad
    ]
    for place, one, other in zip(places, after, before, strict=True):
        place.copy_((one - other) / count)
    return mean


def _losses(
    eyes: NetworkInputs, lesson: Lesson, network: nn.Module, steps: int, seed: int
) -> Iterator[Tensor]:
    """Yield the loss of each batch."""
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(lesson.labels)
    prior = 0 if lesson.prior is None else torch.from_numpy(lesson.prior)
    network.train()
    for rows, costs in _batches(lesson, steps, rng):
        seen = eyes.batch(rows, views=lesson.recipe.classical, rng=rng)
        named, weights = truth[torch.from_numpy(rows)], torch.from_numpy(costs)
        if not lesson.recipe.mixed:
            yield _weighted_loss(network(seen) + prior, named, weights)
            continue
        part = float(rng.beta(_MIXING, _MIXING))
        other = torch.from_numpy(rng.permutation(len(rows)))
        told = network(part * seen + (1 - part) * seen[other]) + prior
        yield part * _weighted_loss(told, named, weights) + (1 - part) * _weighted_loss(
            told, named[other], weights[other]
        )


def _batches(
    lesson: Lesson, steps: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield rows and error weights of each batch, stage after stage."""
    ends = np.rint(np.cumsum([share for share, _ in lesson.stages]) * steps).astype(int)
    for number in range(steps):
        _, pool = lesson.stages[int((number >= ends[:-1]).sum())]
        drawn = rng.choice(len(pool.rows), size=_BATCH, p=pool.chances)
        yield pool.rows[drawn], pool.costs[drawn]


def _weighted_loss(logits: Tensor, truth: Tensor, costs: Tensor) -> Tensor:
    """Cross entropy with label smoothing; its mean is weighted by `costs` (N,)."""
    each = F.cross_entropy(logits, truth, label_smoothing=_SMOOTH, reduction="none")
    return (each * costs).sum() / costs.sum()
