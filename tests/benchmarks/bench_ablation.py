"""What each part of the recipe is worth: one change at a time, at equal processor time.

Run by `make bench NAME=ablation`.

Every cell (variant, data set, seed) trains a generator for the same seconds of one processor core, so what
else runs on the machine strikes none, and is scored as in `bench_generator`. A variant changes fields of the
plan, constants of the networks, or the training itself; it is read beside the variant it changes: `default`
(distributions matched in frozen features) or `adversarial` (`--features none`). A change earns its place
where KID of the rare class falls by 5 % at equal time, on both sets.

MEDGAN_BENCH_SECONDS (60: of one core per generator), MEDGAN_BENCH_VARIANTS (all), MEDGAN_BENCH_SETS
(cxr_kermany,mednist64), MEDGAN_BENCH_RARE (60), MEDGAN_BENCH_SEEDS (0,1,2), MEDGAN_BENCH_SIZE (64),
MEDGAN_BENCH_PRECISION (bf16), MEDGAN_BENCH_WORKERS (2), MEDGAN_BENCH_OUT (.bench/ablation).
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.benchmarks.bench_generator import DATA, DRAWN, SETS, cut, scored, split_of, usefulness


def wished(name, usual):
    return os.environ.get(f"MEDGAN_BENCH_{name}", usual)


SECONDS, SIZE, RARE = (
    int(wished(name, usual)) for name, usual in (("SECONDS", "60"), ("SIZE", "64"), ("RARE", "60"))
)
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks" / "ablation.md"
CELLS_FILE = PAGE.with_suffix(".csv")
"""Every cell: what the page is made of."""
BASES = {"default": {}, "adversarial": {"features": "none"}}
"""{variant that others are read beside: options of `medgan train`}."""
STAGES, MATCHING = "medgan.learners.gan.networks", "medgan.learners.gan.feature_matching"
VARIANTS = {
    "default": {},
    "default, no discriminator": {"adversary": 0.0},
    "default, embedding noise 0": {f"{STAGES}._EMBEDDING_NOISE": 0.0},
    "default, class in the outline alone": {f"{STAGES}._CONDITION_FROM": 9999},
    "default, class in every stage": {f"{STAGES}._CONDITION_FROM": 0},
    "default, transitional condition": {"condition": (0.3, 0.55)},
    "default, no averaging": {"ema": 0.0},
    "default, averaged over 500 images": {"ema": 500.0},
    "default, single images": {"group": 1},
    "default, natural frequencies": {"evenness": 0.0},
    "default, gradients remembered for ten steps": {"betas": (0.0, 0.9)},
    "default, strides as long as Adam's": {"stride": 0.0},
    "default, a clamp without a way back": {
        f"{MATCHING}._ClampToRange.apply": partial(torch.clamp, min=0, max=1)
    },
    "default, twice the rate": {"rate": 1e-3, "rate_end": 5e-4},
    "default, rate kept": {"rate": 1e-3, "rate_end": 1e-3},
    "default, rate to a tenth": {"rate": 1e-3, "rate_end": 1e-4},
    "default, no outline": {"outline": False},
    "default, outline of half the side": {"gaussian_level": 2},
    "default, 64 latent numbers": {"latent": 64},
    "default, seen as large as they are": {"feature_resolution": SIZE},
    "default, rare class tuned, early stages frozen": {"tuned": 0.2},
    "adversarial": {},
    "adversarial, no augmentation": {"augment": 0.0},
    "adversarial, augmentation as published": {"augment": 1.0},
    "adversarial, no penalty": {"penalty": 0.0, "penalty_end": 0.0},
    "adversarial, penalty every step": {"penalty_every": 1},
    "adversarial, penalty every 16 steps": {"penalty_every": 16},
    "adversarial, condition from the start": {"condition": (0.0, 0.0)},
    "adversarial, embedding noise 0": {f"{STAGES}._EMBEDDING_NOISE": 0.0},
    "adversarial, class in every stage": {f"{STAGES}._CONDITION_FROM": 0},
    "adversarial, no averaging": {"ema": 0.0},
    "adversarial, averaged over 500 images": {"ema": 500.0},
    "adversarial, natural frequencies": {"evenness": 0.0},
    "adversarial, rare class tuned, early stages frozen": {"tuned": 0.2},
}
"""{variant: fields of the plan, constants of modules, `outline` (False: noise to begin with), `tuned` (share
of the run that is for the class that was cut down alone, with everything below 16 pixels as it is)}."""


NAMES = wished("SETS", "cxr_kermany,mednist64").split(",")
SEEDS = [int(word) for word in wished("SEEDS", "0,1,2").split(",")]
CHOSEN = wished("VARIANTS", ";".join(VARIANTS)).split(";")
PRECISION = wished("PRECISION", "bf16")
OUT = Path(wished("OUT", ROOT / ".bench" / "ablation")) / f"{SIZE}px-{SECONDS}s-{PRECISION}"
CELLS = [(variant, name, seed) for seed in SEEDS for name in NAMES for variant in CHOSEN]


def place_of(variant, name, seed):
    return OUT / variant.replace(" ", "_").replace(",", "") / f"{name}-{RARE}-{seed}"


# --- one cell, in a process of its own ---


def begun(plan, pool, changes):
    """(learner, run): a run that has not learned anything, or continues nothing."""
    from medgan.learners.gan.learner import GanLearner
    from medgan.training.learner import Run
    from medgan.training.runtime import Runtime, reseed

    learner = GanLearner(pool.stack, plan, {})
    learner.training = pool
    reseed(plan.budget.seed, -1)
    run = Run(plan=plan, folder=Path(), runtime=Runtime("cpu", plan.budget.precision))
    with ExitStack() as stack:
        if not changes.get("outline", True):
            stack.enter_context(patch(f"{STAGES}.Generator.init_from_data", lambda *_: None))
        learner.build(run)
    return learner, run


def pace(plan, pool, changes, steps=16):
    """Seconds of processor time for an image, of a run that is thrown away."""
    from medgan.training.loop import _train_step

    learner, run = begun(plan, pool, changes)
    _train_step(learner, run)
    began = time.process_time()
    for _ in range(steps):
        _train_step(learner, run)
    return (time.process_time() - began) / (steps * plan.budget.batch)


def tune(learner, pool, rare):
    """From here on class number `rare` alone, and only what draws at 16 pixels and more."""
    from medgan.training.batches import TrainingRows

    generator = learner.gan.generator
    early = [generator.base, *generator.scales.parameters(), *generator.stages[:2].parameters()]
    for weight in [*early, *generator.outline.parameters()]:
        weight.requires_grad_(False)
    learner.training = TrainingRows.of(pool.stack, pool.of_class(rare))


def generator_of(plan, pool, changes, rare):
    """A generator trained as planned: (class number -> averaged network, seconds)."""
    from medgan.training.loop import _train_step

    learner, run = begun(plan, pool, changes)
    began, turn = time.process_time(), plan.budget.images_shown * (1 - changes.get("tuned", 0))
    tuned = learner.gan.average
    shared = tuned
    while run.images_shown < plan.budget.images_shown:
        if shared is tuned and run.images_shown >= turn:
            shared = deepcopy(tuned)
            tune(learner, pool, rare)
        _train_step(learner, run)
    spent = time.process_time() - began
    return lambda number: tuned if number == rare else shared, spent


def drawn(network, plan, number):
    """DRAWN images of a class."""
    from medgan.learners.gan.latents import latent_of
    from medgan.learners.gan.sample import _draw_pixels

    seeds = range(1000, 1000 + DRAWN)
    z = torch.cat([latent_of(plan, seed) for seed in seeds])
    return np.concatenate(
        [_draw_pixels(network, plan, part, torch.full((len(part),), number)) for part in z.split(50)]
    )


def cell(variant, name, seed):
    """Train and score one variant, planned for the images that SECONDS allow: recipes depend on them."""
    from medgan.commands.train import measure
    from medgan.dataset.index import index
    from medgan.dataset.source import Source
    from medgan.plan import Overrides, decide
    from medgan.plan.plan import PART_OF
    from medgan.preparation.stack import prepare
    from medgan.training.batches import TrainingRows

    place, changes = place_of(variant, name, seed), dict(VARIANTS[variant])
    place.mkdir(parents=True, exist_ok=True)
    source, options = cut(name, RARE, place)
    manifest = index(Source(path=source, **options))
    facts, base = measure(manifest), BASES[variant.split(",")[0]]
    fields = {key: changes.pop(key) for key in [*changes] if key in PART_OF}

    def planned(images=None):
        wish = Overrides(
            size=(SIZE, SIZE), images=images, seed=seed, device="cpu", precision=PRECISION, **base
        )
        return decide(facts, wish).replace(**fields)

    plan = planned()
    pool = TrainingRows.of(prepare(manifest, plan.frame, OUT / "stacks"))
    with ExitStack() as stack:
        for target in [key for key in changes if "." in key]:
            stack.enter_context(patch(target, changes.pop(target)))
        plan = planned(int(SECONDS / pace(plan, pool, changes)))
        networks, spent = generator_of(plan, pool, changes, plan.frame.labels.index(SETS[name]))
        real, held = (split_of(manifest, split, plan.frame, OUT / "stacks") for split in ("train", "test"))
        made = {
            label: drawn(networks(number), plan, number) for number, label in enumerate(plan.frame.labels)
        }
    report = {
        "images": plan.budget.images_shown,
        "seconds": spent,
        "classes": scored(real, held, made),
        "tstr": usefulness(real, held, made),
    }
    (place / "scores.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def started(task):
    """Run a cell in a process of one core, unless it was scored before; its exit code."""
    if (place_of(*task) / "scores.json").exists():
        return 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_ablation", *map(str, task)],
        cwd=ROOT,
        env=environment,
        check=False,
    ).returncode


def test_cells():
    """Every cell, as many at once as there are workers."""
    missing = sorted({name for name in NAMES if not (DATA / name).exists()})
    if missing:
        pytest.skip(f"shared data sets are not here: {', '.join(missing)}")
    with ThreadPoolExecutor(int(wished("WORKERS", "2"))) as crew:
        assert set(crew.map(started, CELLS)) == {0}


# --- all cells in a file, and the page made of it ---

KEY = ("budget", "variant", "set", "rare", "seed")
MEASURES = (
    "images",
    "KID lite2, rare",
    "KID lite2",
    "KID radiomics",
    "recall rare",
    "coverage rare",
    "most near copies",
    "TSTR",
)


def measures(name, report):
    """The MEASURES of a cell."""
    classes, own = report["classes"], report["classes"][SETS[name]]

    def above(rows, space):
        return statistics.mean(row[f"kid {space}"] - row[f"floor {space}"] for row in rows)

    found = (
        report["images"],
        above([own], "lite2"),
        above(classes.values(), "lite2"),
        above(classes.values(), "radiomics"),
        own["recall share"],
        own["coverage share"],
        max(row["near copies"] for row in classes.values()),
        report["tstr"]["share"],
    )
    return [str(round(float(value), 4)) for value in found]


def gathered():
    """{cell: measures} of every cell that was ever scored: those of CELLS_FILE, and those that are new."""
    rows = []
    if CELLS_FILE.exists():
        with CELLS_FILE.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))[1:]
    for variant in VARIANTS:
        for path in sorted(place_of(variant, "", 0).parent.glob("*/scores.json")):
            name, rare, seed = path.parent.name.rsplit("-", 2)
            rows.append(
                [OUT.name, variant, name, rare, seed, *measures(name, json.loads(path.read_text("utf-8")))]
            )
    return {tuple(row[: len(KEY)]): row[len(KEY) :] for row in rows}


def test_table():
    """Means over seeds, printed and written to the page."""
    cells = gathered()
    if not cells:
        pytest.skip("no cell was scored yet")
    with CELLS_FILE.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerows([(*KEY, *MEASURES), *([*key, *found] for key, found in sorted(cells.items()))])
    means = defaultdict(list)
    for (budget, variant, name, rare, _), found in sorted(
        cells.items(), key=lambda cell: [*VARIANTS].index(cell[0][1])
    ):
        means[variant, f"{name} {rare}", budget].append([float(value) for value in found])
    rows = [("variant", "set and rare images", "budget", "seeds", *MEASURES), ["---"] * (4 + len(MEASURES))]
    for key, found in means.items():
        shown, *scores = np.mean(found, axis=0)
        rows.append([*key, len(found), f"{shown:,.0f}", *(f"{score:.2f}" for score in scores)])
    text = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
    print(f"\n{text}")
    page = PAGE.read_text("utf-8")
    start, end = "<!-- table -->\n", "<!-- end of table -->\n"
    PAGE.write_text(
        f"{page.partition(start)[0]}{start}{text}\n{end}{page.partition(end)[2]}", encoding="utf-8"
    )


if __name__ == "__main__":
    cell(sys.argv[1], sys.argv[2], int(sys.argv[3]))
