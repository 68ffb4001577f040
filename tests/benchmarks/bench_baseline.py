"""KID of `repaired` beside that of the 2015 `dcgan` at equal minutes on every real data set; real against real is the floor.

    MEDGAN_BENCH_MINUTES=4 .venv/bin/pytest -s tests/benchmarks/bench_baseline.py [-k mednist]

Both see the same machine, one after the other. Synthetic images are drawn from seed 0 on, as `medgan sample` draws them.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from medgan.commands.train import train
from medgan.dataset.index import index
from medgan.dataset.labels import Source
from medgan.gan.draw import draw
from medgan.gan.model import Model
from medgan.plan import Overrides
from medgan.prepare import prepare
from medgan.quality.features import lite2
from medgan.quality.scores import kid

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MINUTES = float(os.environ.get("MEDGAN_BENCH_MINUTES", "4"))
SETS = {
    "cxr_kermany": "cxr_kermany",
    "mednist64": "mednist64",
    "ct_planes_sbu": "ct_planes_sbu",
    "nifti_hippocampus": "nifti_hippocampus",
    "pneumoniamnist": "pneumoniamnist/pneumoniamnist.npz",
}
MOST, LEAST, SPLITS = 500, 200, 20
"""Images of a class that are scored: real ones at most, synthetic ones at least; and random halvings for the floor."""


def floor_of(features):
    """Mean KID between random halves of the real images: what no generator can be asked to beat."""
    chance = np.random.default_rng(0)
    orders = [chance.permutation(len(features)) for _ in range(SPLITS)]
    half = len(features) // 2
    return float(np.mean([kid(features[order[:half]], features[order[half:]]) for order in orders]))


@pytest.mark.parametrize("name", SETS)
def test_repaired_is_nearer_to_the_real_images_than_dcgan(name, tmp_path):
    if not (DATA / SETS[name]).exists():
        pytest.skip(f"the shared data set {name} is not here")
    source, look = Source(path=DATA / SETS[name]), lite2()
    models, seconds = {}, {}
    for arch in ("dcgan", "repaired"):
        run = tmp_path / arch
        train(source, run, overrides=Overrides(arch=arch, minutes=MINUTES))
        models[arch] = Model.load(run)
        seconds[arch] = json.loads((run / "log.jsonl").read_text("utf-8").splitlines()[-1])["seconds"]
    stack = prepare(index(source), models["repaired"].plan, tmp_path / "repaired" / "cache")
    means = {arch: [] for arch in models}
    print(
        f"\n{name}: "
        + ", ".join(f"{arch} {models[arch].images_shown} images in {seconds[arch]:.0f} s" for arch in models)
    )
    for label in stack.names:
        rows = np.random.default_rng(0).permutation(stack.rows_of(label))[:MOST]
        real = look(stack.images(rows))
        words = [f"{len(stack.rows_of(label))} real", f"floor {floor_of(real):.3f}"]
        for arch, model in models.items():
            seeds = range(max(len(rows), LEAST))
            score = kid(real, look(np.stack([image.pixels for image in draw(model, label, seeds)])))
            means[arch].append(score)
            words.append(f"{arch} {score:.3f}")
        print(f"  {label}: " + ", ".join(words))
    print(
        "  mean of classes: " + ", ".join(f"{arch} {np.mean(scores):.3f}" for arch, scores in means.items())
    )
    assert np.mean(means["repaired"]) < np.mean(means["dcgan"])
