"""What is a class-balanced folder worth to a classifier?

Every way to use synthetic images beside every way to do without; run by `make bench NAME=topup`.

A unit is (cell, split): a cell is a data set, the class that is made rare in it and how many images are left
to it; a split chooses which. Patients of the test part are the same in every split of `cxr_kermany_224`, and
no rare patient is in two splits as long as there are enough; the small sets are halved by patient, anew in
every split. A generator of its own learns from each unit's training images, its images pass the filter of
`balance`, and classifiers of every arm are asked about the test patients
(`medgan.evaluation.usefulness.trials`): each arm of real images with its own schedule, chosen by inner folds
of the training patients, and each arm with synthetic images with that of the same arm without them. Nothing
is chosen on test patients.

Budgets are images shown and steps, never minutes: what else runs on the machine changes no figure. Everything
finished is kept below MEDGAN_BENCH_OUT (.bench/topup): a stopped bench goes on, and a new judge takes the
generators that are there.

The claim, per cell and judge: the arm that was named beforehand less the best arm without synthetic images as
inner folds chose it, mean over splits. Its interval is mean +- sqrt(t^2 s^2 (1/J + r/(1-r)) + (1.96 e)^2): s
is the deviation over J splits, r the share of a training set's rare images that another one has too (Nadeau
and Bengio 2003 for the form), e the deviation of the mean when test patients are drawn again, the same for
all splits. In halved sets test patients differ from split to split, so s holds their chance already.

MEDGAN_BENCH_CELLS (all of CELLS), MEDGAN_BENCH_SPLITS (0 to 9), MEDGAN_BENCH_SIZE (64), MEDGAN_BENCH_IMAGES
(30000: shown to each generator), MEDGAN_BENCH_ADVERSARY (0.1: weight of its discriminator),
MEDGAN_BENCH_JUDGES, MEDGAN_BENCH_WORKERS (2: units at once, a core each), MEDGAN_BENCH_OUT.
"""

import csv
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
OTHERS = 250
"""Training images of a class that is not rare, at most."""


@dataclass(frozen=True)
class Cell:
    """A data set, its rare class, and how many training images are left to that class."""

    set: str
    label: str
    rare: int
    halved: bool = True
    """Whether both parts of the set are put together and halved by patient; else its own test part judges."""


CELLS = {
    "cxr-virus-20": Cell("cxr_kermany_224", "PNEUMONIA_VIRUS", 20, halved=False),
    "cxr-virus-40": Cell("cxr_kermany_224", "PNEUMONIA_VIRUS", 40, halved=False),
    "cxr-virus-120": Cell("cxr_kermany_224", "PNEUMONIA_VIRUS", 120, halved=False),
    "cxr-bacteria-30": Cell("cxr_kermany_224", "PNEUMONIA_BACTERIA", 30, halved=False),
    "brain-pituitary-12": Cell("brain_tumour_boxes_512", "pituitary", 12),
    "hippocampus-small-7": Cell("nifti_hippocampus", "small", 7),
    "mednist-head-30": Cell("mednist64", "HeadCT", 30),
}


def wished(name, usual):
    return os.environ.get(f"MEDGAN_BENCH_{name}", usual)


NAMES = wished("CELLS", ",".join(CELLS)).split(",")
SPLITS = [int(word) for word in wished("SPLITS", ",".join(map(str, range(10)))).split(",")]
SIZE, IMAGES = int(wished("SIZE", "64")), int(wished("IMAGES", "30000"))
ADVERSARY = float(wished("ADVERSARY", "0.1"))
FORM = f"{SIZE}px_adversary_{ADVERSARY:g}" if ADVERSARY else f"{SIZE}px"
JUDGES = tuple(wished("JUDGES", "finetuned,probe").split(","))
OUT = Path(wished("OUT", ROOT / ".bench" / "topup"))
PAGE = ROOT / "docs" / "benchmarks" / "topup.md"
ARMS = PAGE.with_suffix(".csv")
"""Every arm of every unit: what the page is made of."""
ARMS_TUNED = (
    "class weights",
    "oversampling",
    "oversampling + classical",
    "composites",
    "one-sided + classical",
    "share 0.25 + classical",
    "share 0.25 at weight 0.3 + classical",
    "finish on real + classical",
)
"""Arms of the fine-tuned judge; without classical augmentation made images are compared by the probe."""
FIRST_SEED = 1000
"""Of the synthetic images: no grid of the training shows them."""


# --- one unit, in a process of its own ---


def divided(cell, split, times=1):
    """A cell's set with the training images of a split.

    Of the rare class `times` as many as are left to it, of every other OTHERS at most.
    """
    from medgan.dataset.index import index
    from medgan.dataset.source import Source

    base = DATA / cell.set
    table = base / "labels.csv"
    told = cell.set in {"cxr_kermany_224", "brain_tumour_boxes_512"}
    manifest = index(Source(path=base, labels=table) if told else Source(path=base))
    records = [one for part in ("train", "test") for one in manifest.usable(part)]
    if cell.halved:
        records = halved(grouped(records, table), split)
    kept = [one for one in records if one.split == "test"]
    for label in sorted({one.label for one in records}):
        own = [one for one in records if one.split == "train" and one.label == label]
        kept += (
            rare_of(own, split * cell.rare, times * cell.rare)
            if label == cell.label
            else common_of(own, split)
        )
    return replace(manifest, records=tuple(sorted(kept, key=lambda one: one.path)))


def grouped(records, table):
    """Records whose patient is the group that a table names, where it names groups and no patients."""
    if not table.exists():
        return records
    with table.open(encoding="utf-8", newline="") as stream:
        groups = {line["path"]: line.get("group") for line in csv.DictReader(stream)}
    return [replace(one, patient=groups.get(one.path) or one.patient) for one in records]


def halved(records, split):
    """Half of the patients train, the others test."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels, patients = ([getattr(one, key) for one in records] for key in ("label", "patient"))
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=split)
    train, _ = next(folds.split(labels, labels, patients))
    return [replace(one, split="train" if row in set(train) else "test") for row, one in enumerate(records)]


def rare_of(records, start, count):
    """`count` images from number `start` on, patient after patient in one order for all splits."""
    patients = sorted({one.patient for one in records})
    order = {
        patients[row]: place for place, row in enumerate(np.random.default_rng(7).permutation(len(patients)))
    }
    rows = sorted(records, key=lambda one: (order[one.patient], one.path))
    start %= len(rows)
    return (rows + rows)[start : start + min(count, len(rows))]


def common_of(records, split):
    """OTHERS images at most, by chance."""
    order = np.random.default_rng((split, 1)).permutation(len(records))
    return [records[row] for row in order[:OTHERS]]


def trained(manifest, place, split):
    """The generator of a unit, trained where it is not there yet."""
    from medgan.base.job import Job
    from medgan.commands.train import train_on
    from medgan.learners.gan.model import Model
    from medgan.plan import Overrides

    wish = Overrides(size=(SIZE, SIZE), images=IMAGES, seed=split, device="cpu", adversary=ADVERSARY)
    train_on(manifest, place, wish, Job(device="cpu"), began=time.monotonic())
    return Model.load(place)


def synthetic_of(model, train):
    """As many images of every class as the largest has, chosen as `balance` chooses them."""
    from medgan.base.job import Job
    from medgan.filtering.candidates import ReferenceSet, SampleRequest
    from medgan.filtering.in_memory import choose_seeds, draw_images
    from medgan.filtering.selection import FilterReference
    from medgan.similarity.features import lite0_features

    def against():
        pick, count = train.pixels.__getitem__, len(train.names)
        real = FilterReference.of(pick, train.labels, train.patients, count, see=lite0_features())
        return ReferenceSet(real=real, labels=train.names, names=tuple(train.sources), data="")

    wanted = dict.fromkeys(train.names, max(train.counts.values()))
    wish = SampleRequest(counts=wanted, seed=FIRST_SEED, doubtful=False)
    job = Job(device="cpu")
    return draw_images(model, choose_seeds(model, wish, against, job), job)


def given_back(cell, manifest, split):
    """The manifest of up to twice as many rare images as a unit has: thrice as many with the unit's own."""
    there = {one.path for one in manifest.records}
    more = [
        one
        for one in divided(cell, split, times=3).usable("train")
        if one.label == cell.label and one.path not in there
    ]
    return replace(manifest, records=tuple(more))


class Runs(dict):
    """Finished runs on disk: those without synthetic images stand whatever generator or filter does.

    Those of the probe have files of their own, named after the way in which its features are scaled.
    """

    def __init__(self, place, data, made):
        from medgan.base.run_folder import ResultCache
        from medgan.evaluation.usefulness.arms import RECIPES

        self.made = {recipe.name for recipe in RECIPES if recipe.made}
        keys = {"runs-without": data, "runs": made}
        self.files = {
            (probe, name == "runs"): ResultCache(place / f"{name}{'-cut' * probe}.jsonl", key)
            for name, key in keys.items()
            for probe in (False, True)
        }
        super().__init__(
            {
                run: value
                for (probe, _), file in self.files.items()
                for run, value in file.items()
                if run.startswith("probe/") == probe
            }
        )

    def __setitem__(self, run, value):
        super().__setitem__(run, value)
        self.files[run.startswith("probe/"), run.split("/")[1] in self.made][run] = value


def settings_of(cell):
    """Every arm of the probe; of the fine-tuned judge the arms that differ in more than draw counts."""
    from medgan.evaluation.usefulness.trials import EFFORTS, FINE_TUNED, SMALLEST

    return replace(
        EFFORTS["quick"],
        judges=JUDGES,
        recipes={FINE_TUNED: ARMS_TUNED},
        shown=max(SIZE, SMALLEST),
        rare=(cell.label,),
        resamples=1000,
        headroom=False,
    )


def unit(name, split):
    """Train the generator of a unit and judge it; runs that are finished are not done again."""
    from medgan.base.files import digest_of, to_json
    from medgan.base.job import ALONE
    from medgan.evaluation.splits import split_images
    from medgan.evaluation.usefulness.comparison import compare_arms, judgement
    from medgan.evaluation.usefulness.image_sets import Split

    cell, place = CELLS[name], OUT / f"{name}-{split}-{FORM}-{IMAGES}"
    manifest = divided(cell, split)
    model = trained(manifest, place / "generator", split)
    train, test = (split_images(manifest, part, model.plan.frame, ALONE) for part in ("train", "test"))
    more = split_images(given_back(cell, manifest, split), "train", model.plan.frame, ALONE)
    made, settings = synthetic_of(model, train), settings_of(cell)
    data = [manifest.digest, sorted(one.digest for one in manifest.usable("test")), model.plan.frame.size]
    drawn = [model.digest, made.sources.tolist(), made.labels.tolist()]
    told = compare_arms(
        Split(train, test, made),
        settings=settings,
        seed=0,
        more_real=more if len(more) else None,
        runs=Runs(place, digest_of(data), digest_of([data, drawn])),
    )
    found = to_json(judgement(told, settings))
    counts = {part: one.counts for part, one in (("train", train), ("test", test), ("made", made))}
    differences = {outcome: told.test_set.resample(outcome.logits)[0] for outcome in told.outcomes}
    np.savez(
        place / "resampled.npz",
        **{f"{one.judge}/{one.recipe.name}": value for one, value in differences.items()},
    )
    place.joinpath("unit.json").write_text(json.dumps({"counts": counts, "usefulness": found}), "utf-8")


def started(task):
    """Run a unit in a process of one core; its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, __file__, *map(str, task)], env=environment, check=False
    ).returncode


def test_units():
    """Every unit, as many at once as there are workers."""
    missing = sorted({CELLS[name].set for name in NAMES if not (DATA / CELLS[name].set).exists()})
    if missing:
        pytest.skip(f"shared data sets are not here: {', '.join(missing)}")
    units = [(name, split) for name in NAMES for split in SPLITS]
    with ThreadPoolExecutor(int(wished("WORKERS", "2"))) as crew:
        assert set(crew.map(started, units)) == {0}


# --- all units in a table of arms, and the page made of it ---

FIELDS = (
    "size", "images", "cell", "split", "judge", "arm", "role", "made", "rate", "steps", "penalty", "inner",
    "auprc", "sensitivity", "ceiling",
)  # fmt: skip


def rows_of(path):
    """A line per arm of one finished unit."""
    name, split, size, images = path.parent.name.rsplit("-", 3)
    told = json.loads(path.read_text("utf-8"))["usefulness"]
    ceiling = ((told.get("headroom") or {}).get("ceiling") or {}).get("auprc", "")
    for arm in told["arms"]:
        own = {field: arm[field] for field in ("judge", "role", "inner", "auprc", "sensitivity")}
        unit = {
            "size": size,
            "images": images,
            "cell": name,
            "split": split,
            "arm": arm["name"],
            "made": int(arm["made"]),
        }
        top = ceiling if arm["judge"] == told["judge"] else ""
        yield {
            field: text(value) for field, value in {**unit, **own, **arm["schedule"], "ceiling": top}.items()
        }


def text(value):
    return "" if value is None else str(value)


def gathered():
    """Arms of every unit that was ever finished: those of ARMS, and those that are new."""
    rows = []
    if ARMS.exists():
        with ARMS.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    rows += [row for path in sorted(OUT.glob("*/unit.json")) for row in rows_of(path)]
    known = {tuple(row[field] for field in FIELDS[:6]): row for row in rows}
    return [row for _, row in sorted(known.items(), key=lambda item: item[0][:5])]


def keep(arms):
    """Write the arms where the next clone finds them."""
    with ARMS.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        table.writeheader()
        table.writerows(arms)


def shared_rare(cell):
    """Share of a training set's rare images that another one has too: 0 while all splits have enough."""
    if cell.halved:
        return 0.5
    there = {"PNEUMONIA_VIRUS": 525, "PNEUMONIA_BACTERIA": 513}[cell.label]
    return 0.0 if 10 * cell.rare <= there else cell.rare / there


def reach(differences, cell, chance):
    """Half of the 95 % interval of a mean difference over splits, None for one split.

    `chance` is the deviation of the mean over test patients.
    """
    from medgan.evaluation.endpoints import corrected_t

    if len(differences) < 2:
        return None
    shared = shared_rare(cell)
    mean, low, _ = corrected_t(differences, shared / (1 - shared))
    return math.hypot(mean - low, 1.96 * chance)


def chance_of(cell_name, judge, pairs):
    """Deviation of a mean difference when test patients are drawn again; 0 where each split has its own."""
    if CELLS[cell_name].halved:
        return 0.0
    told = []
    for split, (ours, theirs) in pairs.items():
        path = OUT / f"{cell_name}-{split}-{FORM}-{IMAGES}" / "resampled.npz"
        if not path.exists():
            return math.nan
        with np.load(path) as kept:
            told.append(kept[f"{judge}/{ours['arm']}"] - kept[f"{judge}/{theirs['arm']}"])
    return float(np.mean(told, axis=0).std())


def compared(cell_name, judge, pairs):
    """(mean difference in points, half-width, splits won, splits) of {split: (arm, other arm)}."""
    differences = [float(ours["auprc"]) - float(theirs["auprc"]) for ours, theirs in pairs.values()]
    half = reach(differences, CELLS[cell_name], chance_of(cell_name, judge, pairs))
    won = sum(difference > 0 for difference in differences)
    return 100 * statistics.mean(differences), None if half is None else 100 * half, won, len(differences)


def told(comparison):
    """A comparison in a cell of a table."""
    mean, half, won, count = comparison
    between = "" if half is None else f" ({mean - half:+.1f} to {mean + half:+.1f})"
    return f"{mean:+.1f}{between}, {won} of {count}"


def units_of(arms, cell_name, judge):
    """{split: {arm: row}} of the present size and budget."""
    found = defaultdict(dict)
    for row in arms:
        if (row["size"], row["images"], row["cell"], row["judge"]) == (
            FORM,
            str(IMAGES),
            cell_name,
            judge,
        ):
            found[row["split"]][row["arm"]] = row
    return found


def paired(units, ours, theirs):
    """{split: (row, row)} for two ways to pick a row of a unit."""
    return {split: (ours(rows), theirs(rows)) for split, rows in units.items()}


def in_role(role):
    return lambda rows: next(row for row in rows.values() if row["role"] == role)


def best_of(made):
    """The arm that turned out best among those with or without synthetic images, to know the regret."""
    return lambda rows: max(
        (row for row in rows.values() if row["made"] in made), key=lambda row: float(row["auprc"])
    )


HEADS = (
    "cell", "judge", "reference", "named arm", "difference (95 %), splits won", "half-width",
    "same share less one-sided", "named less best of all in hindsight", "ceiling", "recovered",
)  # fmt: skip


def claims(arms):
    """A line per cell and judge."""
    rows = [HEADS]
    for cell_name in CELLS:
        for judge in JUDGES:
            units = units_of(arms, cell_name, judge)
            if units:
                rows.append(claim(cell_name, judge, units))
    return rows


def claim(cell_name, judge, units):
    """One line: what was named against the reference, and what the bars ask."""
    named, reference = in_role("named"), in_role("reference")
    difference = compared(cell_name, judge, paired(units, named, reference))
    same, sided = (
        lambda rows, word=word: next(
            row
            for name, row in rows.items()
            if name.removesuffix(" + classical") == word and (judge == "probe" or name != word)
        )
        for word in ("share 0.25", "one-sided")
    )
    regret = compared(cell_name, judge, paired(units, named, best_of("01")))
    tops = [
        float(named(rows)["ceiling"]) - float(reference(rows)["auprc"])
        for rows in units.values()
        if named(rows)["ceiling"]
    ]
    gain = 100 * statistics.mean(tops) if tops else math.nan
    return [
        cell_name,
        judge,
        mean_of(units, reference),
        mean_of(units, named),
        told(difference),
        "-" if difference[1] is None else f"{difference[1]:.1f}",
        told(compared(cell_name, judge, paired(units, same, sided))),
        f"{regret[0]:+.1f}",
        f"{gain:+.1f}" if tops else "-",
        f"{difference[0] / gain:.0%}" if tops and gain > 0 else "-",
    ]


def mean_of(units, pick):
    return f"{statistics.mean(float(pick(rows)['auprc']) for rows in units.values()):.3f}"


def every_arm(arms):
    """Every arm of every cell: mean AUPRC, and its difference to the reference of each split."""
    rows = [
        ("cell", "judge", "arm", "splits", "AUPRC", "less the reference (95 %), splits won", "usual schedule")
    ]
    for cell_name in CELLS:
        for judge in JUDGES:
            units = units_of(arms, cell_name, judge)
            for name in dict.fromkeys(name for found in units.values() for name in found):
                having = {split: found for split, found in units.items() if name in found}
                pick = lambda found, name=name: found[name]  # noqa: E731  # a picker, as the others
                difference = compared(cell_name, judge, paired(having, pick, in_role("reference")))
                rows.append(
                    (
                        cell_name,
                        judge,
                        name,
                        len(having),
                        mean_of(having, pick),
                        told(difference),
                        usual([pick(found) for found in having.values()]),
                    )
                )
    return rows


def usual(rows):
    """The schedule that was chosen most often."""
    words = [
        f"{row['steps']} steps at {row['rate']}" if row["steps"] else f"penalty {row['penalty']}"
        for row in rows
    ]
    return max(set(words), key=words.count)


def lined(rows):
    body = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in body)


def test_table():
    """Every finished unit, printed and written to the page and beside it."""
    arms = gathered()
    if not arms:
        pytest.skip("no unit was finished yet")
    keep(arms)
    body = (
        f"Images of {SIZE} pixels, generators that were shown {IMAGES:,} "
        f"images with a discriminator of weight {ADVERSARY:g}.\n\n"
        f"{lined(claims(arms))}\n\n{lined(every_arm(arms))}"
    )
    print(f"\n{body}")
    page = PAGE.read_text("utf-8")
    start, end = "<!-- table -->\n", "<!-- end of table -->\n"
    head, tail = page.partition(start)[0], page.partition(end)[2]
    PAGE.write_text(f"{head}{start}{body}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    unit(sys.argv[1], int(sys.argv[2]))
