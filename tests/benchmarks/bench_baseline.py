"""KID of `repaired` beside that of the 2015 `dcgan` at equal minutes on every real data set.

The floor is the KID of real images to other real images.

    MEDGAN_BENCH_MINUTES=4 .venv/bin/pytest -s tests/benchmarks/bench_baseline.py [-k mednist]

Both train at the same time, on one core each, at the size of effort quick, so that what else the machine does
slows both alike. Synthetic images are drawn from seed 0 on, as `medgan sample` draws them; features are those
of EfficientNet-Lite2.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.preparation.stack import prepare
from medgan.similarity.features import lite2_features
from tests.evaluation.unweighted import kid

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MINUTES = float(os.environ.get("MEDGAN_BENCH_MINUTES", "4"))
SETS = {
    "cxr_kermany": "cxr_kermany",
    "mednist64": "mednist64",
    "ct_planes_sbu": "ct_planes_sbu",
    "nifti_hippocampus": "nifti_hippocampus",
    "pneumoniamnist": "pneumoniamnist/pneumoniamnist.npz",
}
BUDGETS = {"dcgan": 1.5 * MINUTES, "repaired": MINUTES}
"""Minutes asked for. Their probes may misjudge a busy machine: half as many again for the baseline, and the
seconds are told."""
MOST, LEAST, SPLITS = 500, 200, 20
"""Images of a class that are scored: real ones at most, synthetic ones at least; and halvings for the
floor."""


def trained(source, folder):
    """{architecture: model}, both trained side by side."""
    medgan = [sys.executable, "-m", "medgan", "train", str(source), "--effort", "quick"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    runs = [
        subprocess.Popen(
            [*medgan, "--arch", arch, "--minutes", str(minutes), "--out", folder / arch],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        for arch, minutes in BUDGETS.items()
    ]
    assert [run.wait() for run in runs] == [0, 0]
    return {arch: Model.load(folder / arch) for arch in BUDGETS}


def seconds(run):
    """Seconds trained, by the run's own log."""
    return json.loads((run / "log.jsonl").read_text("utf-8").splitlines()[-1])["seconds"]


def floor_of(features):
    """Mean KID between random halves of the real images: what no generator can be asked to beat."""
    chance = np.random.default_rng(0)
    orders = [chance.permutation(len(features)) for _ in range(SPLITS)]
    half = len(features) // 2
    return float(np.mean([kid(features[order[:half]], features[order[half:]]) for order in orders]))


@pytest.mark.parametrize("name", SETS)
def test_repaired_is_nearer_to_the_real_images_than_dcgan(name, tmp_path):
    place = DATA / SETS[name]
    if not place.exists():
        pytest.skip(f"the shared data set {name} is not here")
    models, look = trained(place, tmp_path), lite2_features()
    stack = prepare(index(Source(path=place)), models["repaired"].plan.frame, tmp_path / "repaired" / "cache")
    scores = {arch: [] for arch in models}
    shown = (
        f"{arch} {model.images_shown:,} images in {seconds(tmp_path / arch):.0f} s"
        for arch, model in models.items()
    )
    print(f"\n{name}: {', '.join(shown)}")
    for label in stack.names:
        rows = np.random.default_rng(0).permutation(stack.rows_of(label))[:MOST]
        real = look(stack.images(rows))
        for arch, model in models.items():
            drawn = draw(model, label, range(max(len(rows), LEAST)))
            scores[arch].append(kid(real, look(np.stack([image.pixels for image in drawn]))))
        words = ", ".join(f"{arch} {values[-1]:.3f}" for arch, values in scores.items())
        print(f"  {label}: {len(stack.rows_of(label))} real, floor {floor_of(real):.3f}, {words}")
    means = {arch: float(np.mean(values)) for arch, values in scores.items()}
    print(f"  mean of classes: {', '.join(f'{arch} {mean:.3f}' for arch, mean in means.items())}", flush=True)
    assert means["repaired"] < means["dcgan"]
