"""Quality of generators at equal wall-clock time on rare classes of 30, 60 and 120 images.

Run by `make bench NAME=generator`.

Every cell (data set, rare images, seed) trains `dcgan` and `repaired` side by side, one core each, for the
same minutes, and is scored once; a cell that was scored is not trained again, so the bench can be stopped and
repeated. Scores, per class:

- KID to real test images in two feature spaces, `lite2_features` (ImageNet) and `radiomic_features` (no
  network), beside the floor: real train images to the same test images. d is KID above the floor, mean over
  classes; nd = (d - floor) / (d of dcgan - floor): 0 is indistinguishable, 1 is dcgan.
- recall and coverage (k = 5, lite2) of the test images, as shares of those that as many real train images
  reach.
- MS-SSIM gap: mean multi-scale structural similarity of pairs of synthetic images less that of pairs of real
  train images; far above 0 is collapse.
- near copies: share of synthetic images that correlate with a train image more than all but 1 % of the test
  images do.
- train on synthetic, test on real: balanced accuracy of a logistic regression on lite2, as a share of train
  on real.

MEDGAN_BENCH_MINUTES (15), MEDGAN_BENCH_SEEDS (0,1,2), MEDGAN_BENCH_SIZE (64), MEDGAN_BENCH_RARE (30,60,120),
MEDGAN_BENCH_OUT (.bench/generator: models, scores, and a contact sheet per network, sheet-ARCH.png, which
shows real images: look at it there).
"""

import csv
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from skimage.transform import resize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest
from medgan.dataset.source import Source
from medgan.evaluation.ms_ssim import likeness, pairs_of
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.pictures.contact_sheet import contact_sheet
from medgan.pictures.display import ClassGallery
from medgan.preparation.stack import prepare
from medgan.similarity.features import lite2_features
from medgan.similarity.radiomics import radiomic_features

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # behind the choice of a backend

from tests.evaluation.unweighted import kid, neighbourhood

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
MINUTES = os.environ.get("MEDGAN_BENCH_MINUTES", "15")
SEEDS = [int(word) for word in os.environ.get("MEDGAN_BENCH_SEEDS", "0,1,2").split(",")]
RARE = [int(word) for word in os.environ.get("MEDGAN_BENCH_RARE", "30,60,120").split(",")]
SIZE = os.environ.get("MEDGAN_BENCH_SIZE", "64")
OUT = Path(os.environ.get("MEDGAN_BENCH_OUT", ROOT / ".bench" / "generator"))
PAGE = ROOT / "docs" / "benchmarks" / "generator.md"
SETS = {"cxr_kermany": "PNEUMONIA_BACTERIA", "mednist64": "HeadCT", "pneumoniamnist": "0"}
"""{data set: the class that is cut down}; classes that are rare already stay as they are."""
ARCHS = ("dcgan", "repaired")
DRAWN, MOST, PAIRS = 250, 500, 600
"""Synthetic images per class, and real ones and pairs of images that are scored at most."""
CELLS = [(name, rare, seed) for name in SETS for rare in RARE for seed in SEEDS]


def cut(name, rare, folder):
    """A data set whose chosen class has `rare` training images: (what medgan reads, its options)."""
    chosen, chance = SETS[name], np.random.default_rng(rare)
    if name == "pneumoniamnist":
        arrays = dict(np.load(DATA / name / f"{name}.npz"))
        labels = arrays["train_labels"].ravel()
        own = np.flatnonzero(labels == int(chosen))
        kept = np.sort(
            np.concatenate([np.flatnonzero(labels != int(chosen)), chance.permutation(own)[:rare]])
        )
        arrays |= {key: arrays[key][kept] for key in ("train_images", "train_labels")}
        np.savez(folder / f"{name}.npz", **arrays)
        return folder / f"{name}.npz", {}
    rows = [
        (path.relative_to(DATA / name), *path.relative_to(DATA / name).parts[:2])
        for path in sorted((DATA / name).rglob("*.dcm"))
    ]
    own = [row for row in rows if row[1:] == ("train", chosen)]
    kept = {own[k][0] for k in chance.permutation(len(own))[:rare]}
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "split", "label"])
        table.writerows(row for row in rows if row[1:] != ("train", chosen) or row[0] in kept)
    return DATA / name, {"labels": folder / "labels.csv"}


def trained(source, options, seed, folder):
    """Both models, trained at the same time on one core each; killed runs go on."""
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [
        sys.executable,
        "-m",
        "medgan",
        "train",
        str(source),
        *words,
        "--size",
        SIZE,
        "--seed",
        str(seed),
        "--minutes",
        MINUTES,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    runs = [
        subprocess.Popen(
            [*command, "--arch", arch, "--out", folder / arch],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for arch in ARCHS
    ]
    assert [run.wait() for run in runs] == [0, 0]
    return {arch: Model.load(folder / arch) for arch in ARCHS}


def split_of(manifest, split, frame, folder):
    """{label: images (N, C, H, W)} of a split, prepared as for training."""
    records = tuple(record for record in manifest.records if record.ok and record.split == split)
    records = tuple(
        type(record)(**{**{f: getattr(record, f) for f in record.__dataclass_fields__}, "split": "train"})
        for record in records
    )
    stack = prepare(Manifest(root=manifest.root, records=records), frame, folder)
    chance = np.random.default_rng(0)
    return {label: stack.images(chance.permutation(stack.rows_of(label))[:MOST]) for label in stack.names}


def alike(images):
    """Mean MS-SSIM of 600 random pairs, every image taken for a patient of its own."""
    pairs = pairs_of(np.arange(len(images)).astype(str), PAIRS, 0)
    return float(likeness(np.ascontiguousarray(images, dtype=np.float32), pairs).mean())


def nearest(images, others):
    """The highest correlation of each image with any of the others, at 24 x 24 pixels."""

    def flat(stack):
        small = np.stack([resize(one.mean(0), (24, 24), anti_aliasing=True).ravel() for one in stack])
        small -= small.mean(axis=1, keepdims=True)
        return small / (np.linalg.norm(small, axis=1, keepdims=True) + 1e-8)

    return (flat(images) @ flat(others).T).max(axis=1)


def on_one_scale(held):
    """`radiomic_features` with every feature at mean 0 and deviation 1 over all test images, cut at five: a
    class whose borders are all black has features that hardly vary, and the cubic kernel would hear of
    nothing else.
    """
    known = radiomic_features(np.concatenate(list(held.values())))
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    return lambda images: np.clip((radiomic_features(images) - mean) / deviation, -5, 5)


def scored(real, held, made):
    """{label: {score: value}} of synthetic images, beside what real train images reach."""
    spaces = {"lite2": lite2_features(), "radiomics": on_one_scale(held)}
    rows = {}
    for label in held:
        row = {"train images": len(real[label]), "test images": len(held[label])}
        for space, features in spaces.items():
            test, train, fake = (features(images[label]) for images in (held, real, made))
            row |= {f"kid {space}": kid(test, fake), f"floor {space}": kid(test, train)}
            if space == "lite2":
                as_many = min(len(fake), len(train))  # the more images, the more they cover
                ours, theirs = (neighbourhood(test, found[:as_many]) for found in (fake, train))
                row |= {f"{key} share": ours[key] / max(theirs[key], 1e-3) for key in ("recall", "coverage")}
        row["ms-ssim gap"] = alike(made[label]) - alike(real[label])
        usual = np.quantile(nearest(held[label], real[label]), 0.99)
        row["near copies"] = float((nearest(made[label], real[label]) > usual).mean())
        rows[label] = {key: round(float(value), 4) for key, value in row.items()}
    return rows


def usefulness(real, held, made):
    """Balanced accuracy on real test images of training on synthetic images, as a share of real ones'."""
    look = lite2_features()
    test = np.concatenate([look(held[label]) for label in held])
    truth = np.concatenate([[label] * len(held[label]) for label in held])
    found = []
    for images in (made, real):
        x = np.concatenate([look(images[label]) for label in held])
        y = np.concatenate([[label] * len(images[label]) for label in held])
        scale = x.std(0) + 1e-6
        judge = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced").fit(x / scale, y)
        found.append(balanced_accuracy_score(truth, judge.predict(test / scale)))
    return {
        "synthetic": round(found[0], 4),
        "real": round(found[1], 4),
        "share": round(found[0] / found[1], 4),
    }


@pytest.mark.parametrize(("name", "rare", "seed"), CELLS)
def test_cell(name, rare, seed):
    place = OUT / f"{SIZE}px-{MINUTES}min" / f"{name}-{rare}-{seed}"
    if not (DATA / name).exists():
        pytest.skip(f"the shared data set {name} is not here")
    if (place / "scores.json").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    source, options = cut(name, rare, place)
    models = trained(source, options, seed, place)
    manifest, frame = index(Source(path=source, **options)), models["repaired"].plan.frame
    real, held = (split_of(manifest, split, frame, place / "stacks") for split in ("train", "test"))
    report = {}
    for arch, model in models.items():
        made = {
            label: np.stack([image.pixels for image in draw(model, label, range(1000, 1000 + DRAWN))])
            for label in held
        }
        contact_sheet(
            [
                ClassGallery(
                    label=label,
                    real=real[label][:24],
                    synthetic=made[label][:24],
                    counts=(len(real[label]), DRAWN),
                )
                for label in held
            ],
            place / f"sheet-{arch}.png",
            f"{name}, {rare} rare, {MINUTES} minutes: {arch}",
        )
        log = [json.loads(line) for line in (place / arch / "log.jsonl").read_text("utf-8").splitlines()]
        report[arch] = {
            "images": model.images_shown,
            "seconds": log[-1]["seconds"],
            "classes": scored(real, held, made),
            "tstr": usefulness(real, held, made),
        }
    (place / "scores.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def distances(report, space, labels):
    """(d - floor) of both architectures, mean over classes."""
    return [
        statistics.mean(
            report[arch]["classes"][label][f"kid {space}"] - report[arch]["classes"][label][f"floor {space}"]
            for label in labels
        )
        for arch in ARCHS
    ]


def line_of(name, rare, seed, report):
    """One row of the table."""
    chosen, classes = SETS[name], report["repaired"]["classes"]
    nds = []
    for labels in (list(classes), [chosen]):
        for space in ("lite2", "radiomics"):
            base, ours = distances(report, space, labels)
            nds.append(f"{ours / base:.2f}" if base > 0 else "-")
    both = (distances(report, "lite2", labels) for labels in (list(classes), [chosen]))
    above = [f"{every:.2f} / {rarest:.2f}" for every, rarest in zip(*both, strict=True)]
    own = classes[chosen]
    worst = {key: min(row[key] for row in classes.values()) for key in ("recall share", "coverage share")}
    return [
        name,
        rare,
        seed,
        *(f"{report[arch]['images']:,}" for arch in ARCHS),
        *above,
        *nds,
        f"{own['recall share']:.2f} / {worst['recall share']:.2f}",
        f"{own['coverage share']:.2f} / {worst['coverage share']:.2f}",
        f"{max(row['ms-ssim gap'] for row in classes.values()):.3f}",
        f"{max(row['near copies'] for row in classes.values()):.0%}",
        *(f"{report[arch]['tstr']['share']:.2f}" for arch in ARCHS),
    ]


HEADS = (
    "set", "rare", "seed", "images dcgan", "images repaired", "d dcgan, all / rare",
    "d repaired, all / rare", "nd lite2", "nd radiomics", "nd lite2, rare", "nd radiomics, rare",
    "recall rare / worst", "coverage rare / worst", "worst MS-SSIM gap", "most near copies", "TSTR dcgan",
    "TSTR repaired",
)  # fmt: skip


START, END = "<!-- table -->\n", "<!-- end of table -->\n"


def written():
    """{(budget, set, rare, seed): row} of the page: a bench that goes on elsewhere keeps earlier figures."""
    lines = PAGE.read_text("utf-8").partition(START)[2].partition(END)[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {tuple(row[:4]): row for row in rows if len(row) == len(HEADS) + 1}


def test_table():
    """Every scored cell in one table, printed and written to the page."""
    rows = written()
    for path in sorted(OUT.glob("*min/*/scores.json")):
        cell = path.parent.name.rsplit("-", 2)
        row = [path.parent.parent.name, *line_of(*cell, json.loads(path.read_text("utf-8")))]
        rows[tuple(row[:4])] = [str(value) for value in row]
    if not rows:
        pytest.skip("no cell was scored yet")
    ordered = [row for _, row in sorted(rows.items(), key=lambda pair: (minutes(pair[1]), pair[0]))]
    table = [["budget", *HEADS], ["---"] * (len(HEADS) + 1), *ordered]
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    print(f"\n{text}")
    head, tail = (PAGE.read_text("utf-8").partition(mark)[side] for mark, side in ((START, 0), (END, 2)))
    PAGE.write_text(f"{head}{START}{text}\n{END}{tail}", encoding="utf-8")


def minutes(row):
    """The budget of a row of the table."""
    return float(row[0].partition("px-")[2].removesuffix("min"))


def test_curve():
    """Distance against minutes, a panel per data set, all classes and the rare one: means over cells."""
    rows = [row for row in written().values() if row[0].startswith(f"{SIZE}px")]
    if not rows:
        pytest.skip("no cell was scored yet")
    names = sorted({row[1] for row in rows})
    figure, panels = plt.subplots(1, len(names), figsize=(4 * len(names), 3.2), squeeze=False)
    for panel, name in zip(panels[0], names, strict=True):
        for arch, colour in zip(ARCHS, ("tab:blue", "tab:orange"), strict=True):
            found = defaultdict(list)
            for row in rows:
                if row[1] == name:
                    ds = row[1 + HEADS.index(f"d {arch}, all / rare")].split(" / ")
                    found[minutes(row)].append([max(float(d), 0.01) for d in ds])  # a log axis has no 0
            budgets = sorted(found)
            means = np.array([np.mean(found[budget], axis=0) for budget in budgets])
            panel.plot(budgets, means[:, 0], "o-", color=colour, label=arch)
            panel.plot(budgets, means[:, 1], "x:", color=colour, label=f"{arch}, rare class")
            panel.set(
                title=name,
                xlabel="minutes, one core",
                ylabel="KID above the floor",
                xscale="log",
                yscale="log",
            )
            panel.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
        low, high = panel.get_ylim()
        panel.yaxis.set_major_formatter("{x:g}")
        panel.set_yticks(
            [tick for tick in (0.01, 0.03, 0.1, 0.3, 0.5, 1, 2, 3, 5, 10) if low <= tick <= high]
        )
        panel.minorticks_off()
        panel.legend(fontsize="x-small")
    figure.tight_layout()
    figure.savefig(ROOT / "docs" / "images" / "distance-against-time.png", dpi=100)
    plt.close(figure)
