"""Do synthetic images help a classifier find a rare class? Measured against six other ways to train it; run by `make bench NAME=topup`.

A unit is (data set, rare images, split): the whole set is divided by patient into 60 % train, 20 % validation and 20 % test, one
class is cut down to 30, 60 or 120 training images, generators of two seeds learn from train, their images pass the filter of
`balance`, and classifiers of every arm judge them (`medgan.quality.utility`). Arms and ratios are chosen on validation, every figure is
of test patients. The endpoint is the AUPRC of the class that was cut down. What was kept is screened for copies once more, beside the
held-out patients (`medgan.quality.privacy`). Runs are kept one by one below MEDGAN_BENCH_OUT, so the bench can be stopped and repeated.
Budgets are images shown and steps, never minutes: what else runs on the machine changes no figure.

The claim rule, per data set and number of rare images: the arm with synthetic images less the best arm without, as validation chose
both, over splits and generator seeds; its interval is that of the corrected resampled t test (Nadeau and Bengio 2003), because the
training sets of splits overlap. Regret is what choosing by validation among all arms, ratio 0 included, loses to the arm that is best
on average over all splits and generators.

MEDGAN_BENCH_IMAGES (12000: shown to each generator), MEDGAN_BENCH_FILTER (1; 0 judges images as they are drawn), MEDGAN_BENCH_SETS, MEDGAN_BENCH_RARE (30,60,120), MEDGAN_BENCH_SPLITS (0,1,2),
MEDGAN_BENCH_SEEDS (0,1: generators), MEDGAN_BENCH_CLASSIFIERS (3), MEDGAN_BENCH_STEPS (300), MEDGAN_BENCH_SIZE (32),
MEDGAN_BENCH_JUDGES (cnn,probe), MEDGAN_BENCH_WORKERS (2: units at once, a core each), MEDGAN_BENCH_OUT (.bench/topup).
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
SETS = {"cxr_kermany": "PNEUMONIA_BACTERIA", "mednist64": "HeadCT", "pneumoniamnist": "0"}
"""{data set: the class that is cut down}; classes that are rare already stay as they are."""


def wished(name, usual):
    return os.environ.get(f"MEDGAN_BENCH_{name}", usual)


IMAGES, SIZE, STEPS, CLASSIFIERS, FILTER = (
    int(wished(name, usual))
    for name, usual in (("IMAGES", "12000"), ("SIZE", "32"), ("STEPS", "300"), ("CLASSIFIERS", "3"), ("FILTER", "1"))
)  # fmt: skip
NAMES = wished("SETS", ",".join(SETS)).split(",")
RARE, SPLITS, SEEDS = (
    [int(word) for word in wished(name, usual).split(",")]
    for name, usual in (("RARE", "30,60,120"), ("SPLITS", "0,1,2"), ("SEEDS", "0,1"))
)
JUDGES = wished("JUDGES", "cnn,probe").split(",")
OUT = (
    Path(wished("OUT", ROOT / ".bench" / "topup"))
    / f"{SIZE}px-{IMAGES}images-{STEPS}steps{'' if FILTER else '-unfiltered'}"
)
PAGE = ROOT / "docs" / "benchmarks" / "topup.md"
ARMS = PAGE.with_suffix(".csv")
"""Every arm of every unit: what the page is made of."""
UNITS = [(name, rare, split) for split in SPLITS for rare in RARE for name in NAMES]
FOLDS = 5
"""One for validation, one for test, three for training."""
MOST = 400
"""Training images of a class, and twice the held-out ones, at most: what two cores can do."""
SCREENED = 200
"""Synthetic images of a class that are screened for copies."""
FIRST_SEED = 1000
"""Of the synthetic images: no grid of the training shows them."""


# --- one unit, in a process of its own ---


def divided(name, rare, split):
    """The whole set as a manifest whose splits are by patient, with the chosen class cut down in train."""
    from sklearn.model_selection import StratifiedGroupKFold

    from medgan.dataset.index import index
    from medgan.dataset.source import Source

    path = DATA / name / f"{name}.npz"
    manifest = index(Source(path=path if path.exists() else DATA / name))
    records = list(manifest.usable())
    labels, patients = ([getattr(record, key) for record in records] for key in ("label", "patient"))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=split)
    where = np.full(len(records), "train")
    for part, (_, rows) in zip(("test", "val"), folds.split(labels, labels, patients), strict=False):
        where[rows] = part
    chance, seen, kept = np.random.default_rng((rare, split)), Counter(), []
    for row in chance.permutation(len(records)):
        place = (where[row], labels[row])
        most = MOST if where[row] == "train" else MOST // 2
        limit = rare if place == ("train", SETS[name]) else most
        seen[place] += 1
        if seen[place] <= limit:
            kept.append(replace(records[row], split=str(where[row])))
    return replace(manifest, records=tuple(sorted(kept, key=lambda record: record.path)))


def images_of(manifest, split, plan, stacks):
    """The real images of a split, prepared as for training."""
    from medgan.dataset.manifest import Manifest
    from medgan.prepare import prepare
    from medgan.quality.images import Images

    records = manifest.training() if split == "train" else tuple(manifest.usable(split))
    alone = Manifest(root=manifest.root, records=tuple(replace(one, split="train") for one in records))
    stack = prepare(alone, plan, stacks)
    sources = np.array([records[row].path for row in stack.records])
    return Images(
        pixels=stack.images(slice(None)), labels=stack.labels, names=stack.names, patients=stack.patients, sources=sources,
    )  # fmt: skip


def synthetic_of(model, train):
    """As many images of every class as the class needs that lacks most, chosen as `balance` chooses them."""

    from medgan.commands.offer import drawn_images, seeds_of
    from medgan.commands.sifting import Against, Wish
    from medgan.dataset.quota import quotas
    from medgan.progress import ignore
    from medgan.quality.features import lite0
    from medgan.quality.sieve import Real

    def against():
        pick, count = train.pixels.__getitem__, len(train.names)
        real = Real.of(pick, train.labels, train.patients, count, see=lite0())
        return Against(real=real, labels=train.names, names=tuple(train.sources), data="")

    wanted = dict.fromkeys(train.counts, max(quotas(train.counts).values()))
    wish = Wish(counts=wanted, seed=FIRST_SEED, device="cpu")
    return drawn_images(model, seeds_of(model, wish, against if FILTER else None, ignore), "cpu", ignore)


def screened(train, held_out, made):
    """Near copies among the images that are judged, and the membership attack's area under the curve."""
    from medgan.quality.privacy import screen_privacy

    rows = [np.flatnonzero(made.labels == number)[:SCREENED] for number in range(len(made.names))]
    found = screen_privacy(train, held_out, made.take(np.concatenate(rows)))
    attack = [test.value for test in found.tests if test.name == "T5"]
    copies = {(one.label, one.sample) for one in found.findings if one.test == "T1"}
    return {"verdict": found.verdict, "copies": len(copies), "attack": max(attack, default=None)}


class Kept(dict):
    """Finished runs on disk: those without synthetic images are one file for all generators of a unit."""

    def __init__(self, place, generator):
        self.files = {False: place / "runs-without.json", True: place / f"runs-{generator}.json"}
        there = [json.loads(file.read_text("utf-8")) for file in self.files.values() if file.exists()]
        super().__init__({key: value for part in there for key, value in part.items()})

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        mine = is_made(key)
        part = {one: told for one, told in self.items() if is_made(one) == mine}
        write(self.files[mine], part)


def is_made(key):
    """Whether synthetic images take part in a run."""
    return key.split("/")[1].startswith(("synthetic", "everywhere"))


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)


def unit(name, rare, split):
    """Train the generators of a unit and judge each; what is there already is not done again."""
    from medgan.commands.train import Options, train_on
    from medgan.files import plain
    from medgan.gan.model import Model
    from medgan.plan import Overrides
    from medgan.quality.contest import Settings
    from medgan.quality.images import joined
    from medgan.quality.utility import measure_usefulness

    place = OUT / f"{name}-{rare}-{split}"
    manifest = divided(name, rare, split)
    settings = Settings(judges=tuple(JUDGES), steps=STEPS, seeds=CLASSIFIERS, side=SIZE, rare=(SETS[name],))
    known = {tuple(arm[key] for key in FIELDS[1:5]) for arm in gathered()}
    for generator in SEEDS:
        if (name, str(rare), str(split), str(generator)) in known:
            continue
        run = place / f"generator-{generator}"
        wish = Overrides(size=(SIZE, SIZE), images=IMAGES, seed=generator, device="cpu")
        began = [time.process_time()]
        train_on(manifest, run, wish, Options(), on_progress=lambda _: None, began=time.monotonic())
        began.append(time.process_time())
        model = Model.load(run)
        train, val, test = (
            images_of(manifest, part, model.plan, place / "stacks") for part in ("train", "val", "test")
        )
        made = synthetic_of(model, train)
        began.append(time.process_time())
        found = measure_usefulness(
            train, val, test, made, settings=settings, seed=0, runs=Kept(place, generator)
        )
        began.append(time.process_time())
        privacy = screened(train, joined(val, test), made)
        spent = dict(zip(("training", "choosing", "judging"), np.diff(began).round().tolist(), strict=True))
        counts = {part: one.counts for part, one in (("train", train), ("val", val), ("test", test), ("made", made))}  # fmt: skip
        write(
            place / f"{generator}.json",
            {"seconds": spent, "counts": counts, "privacy": privacy, "usefulness": plain(found)},
        )


def started(task):
    """Run a unit in a process of one core; its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    words = [sys.executable, __file__, *map(str, task)]
    return subprocess.run(words, env=environment, check=False).returncode


def test_units():
    """Every unit, as many at once as there are workers."""
    missing = sorted({name for name, _, _ in UNITS if not (DATA / name).exists()})
    if missing:
        pytest.skip(f"shared data sets are not here: {', '.join(missing)}")
    with ThreadPoolExecutor(int(wished("WORKERS", "2"))) as crew:
        assert set(crew.map(started, UNITS)) == {0}


# --- all units in a table of arms, and the page made of it ---

FIELDS = ("budget", "set", "rare", "split", "generator", "tested", "learned", "copies", "attack", "judge", "arm", "ratio", "made", "validation", "auprc", "sensitivity")  # fmt: skip
HEADS = ("set", "rare", "judge", "n", "best arm without", "AUPRC", "best arm with", "AUPRC", "difference (95 % interval)", "regret", "verdict")  # fmt: skip


def rows_of(path):
    """A line per arm of one finished unit and generator, FIELDS in order, as text."""
    name, rare, split = path.parent.name.rsplit("-", 2)
    told = json.loads(path.read_text("utf-8"))
    tested, learned = (sum(told["counts"][part].values()) for part in ("test", "train"))
    unit = (OUT.name, name, rare, split, path.stem, tested, learned, told["privacy"]["copies"], told["privacy"]["attack"])  # fmt: skip
    for arm in told["usefulness"]["arms"]:
        own = (arm["judge"], arm["name"], arm["ratio"], int(arm["made"]))
        yield [str(value) for value in (*unit, *own, arm["validation"], arm["auprc"], arm["sensitivity"])]


def gathered():
    """Arms of every unit that was ever finished with this budget: those of ARMS, and those that are new."""
    rows = []
    if ARMS.exists():
        with ARMS.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))[1:]
    rows += [row for path in sorted(OUT.glob("*/[0-9].json")) for row in rows_of(path)]
    key = FIELDS.index("made") + 1
    known = {tuple(row[:key]): row for row in rows if row[0] == OUT.name}
    return [dict(zip(FIELDS, row, strict=True)) for row in known.values()]


def keep(arms):
    """Write the arms where the next clone finds them."""
    with ARMS.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        table.writeheader()
        table.writerows(
            sorted(arms, key=lambda arm: [arm[name] for name in FIELDS[:5]])
        )  # stable: arms in their order


def best(arms, measure):
    """The arm with the highest number; of equals the earlier, which adds less."""
    return max(arms, key=lambda arm: float(arm[measure]))


def often(words):
    """The most frequent word, and how often where it is not always."""
    (word, times), total = Counter(words).most_common(1)[0], len(words)
    return word if times == total else f"{word} ({times} of {total})"


def mean(arms):
    return statistics.mean(float(arm["auprc"]) for arm in arms)


def always_best(units):
    """Mean AUPRC of the arm that is best over all units, which nobody knows beforehand; arms that only some units had are no rivals."""
    found = {}
    for arm in (arm for arms in units for arm in arms):
        found.setdefault((arm["arm"], arm["ratio"]), []).append(arm)
    return max(mean(arms) for arms in found.values() if len(arms) == len(units))


def line_of(name, rare, judge, units):
    """One line of the claim; `units` are lists of arms, one list per split and generator."""
    from medgan.quality.endpoints import corrected_t

    theirs, ours = ([best([arm for arm in arms if arm["made"] == made], "validation") for arms in units] for made in "01")  # fmt: skip
    by_split = {}  # generators of one split share its patients and all arms without images: together they are one witness
    for one, other in zip(ours, theirs, strict=True):
        by_split.setdefault(one["split"], []).append(float(one["auprc"]) - float(other["auprc"]))
    differences = [statistics.mean(found) for found in by_split.values()]
    auto = mean([best(arms, "validation") for arms in units])
    told, verdict = f"{100 * statistics.mean(differences):+.1f}", "-"
    if len(differences) > 1:
        share = int(units[0][0]["tested"]) / int(units[0][0]["learned"])
        low, high = corrected_t(differences, share)[1:]
        told += f" ({100 * low:+.1f} to {100 * high:+.1f})"
        verdict = "helps" if low > 0 else "worse" if high < 0 else "no benefit"
    return [
        name, rare, judge, len(differences), often([arm["arm"] for arm in theirs]), f"{mean(theirs):.3f}",
        often([f"{arm['arm']} at {arm['ratio']}" for arm in ours]), f"{mean(ours):.3f}",
        told, f"{100 * (always_best(units) - auto):.1f}", verdict,
    ]  # fmt: skip


def claims(arms):
    """A line per set, number of rare images and judge."""
    found = {}
    for arm in arms:
        units = found.setdefault((arm["set"], int(arm["rare"]), arm["judge"]), {})
        units.setdefault((arm["split"], arm["generator"]), []).append(arm)
    return [HEADS, *(line_of(*key, list(units.values())) for key, units in sorted(found.items()))]


def every_arm(arms):
    """AUPRC and, after a stroke, sensitivity at 90 % specificity of every arm; a column per set and number of rare images."""
    columns = sorted({(arm["set"], int(arm["rare"])) for arm in arms})
    cells = {}
    for arm in arms:
        row = cells.setdefault((arm["judge"], arm["arm"], arm["ratio"] if arm["made"] == "1" else ""), {})
        row.setdefault((arm["set"], int(arm["rare"])), []).append(
            (float(arm["auprc"]), float(arm["sensitivity"]))
        )
    rows = [["judge", "arm", "ratio", *(f"{name} {rare}" for name, rare in columns)]]
    for key, row in cells.items():
        means = [np.mean(row[column], axis=0) if column in row else None for column in columns]
        rows.append([*key, *("-" if one is None else f"{one[0]:.3f} / {one[1]:.2f}" for one in means)])
    return rows


def lined(rows):
    body = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in body)


def test_table():
    """Every finished unit, printed and written to the page and beside it."""
    arms = gathered()
    if not arms:
        pytest.skip("no unit was finished yet")
    keep(arms)
    units = {
        tuple(arm[name] for name in FIELDS[1:5]): (int(arm["copies"]), float(arm["attack"])) for arm in arms
    }
    copies, attacks = zip(*units.values(), strict=True)
    screen = f"{len(units)} generators: {sum(copies)} near copies left after the filter, membership attack {min(attacks):.2f} to {max(attacks):.2f}."  # fmt: skip
    text = f"Budget: {OUT.name}, {CLASSIFIERS} classifiers per arm. {screen}\n\n{lined(claims(arms))}\n\n{lined(every_arm(arms))}"
    print(f"\n{text}")
    page = PAGE.read_text("utf-8")
    start, end = "<!-- table -->\n", "<!-- end of table -->\n"
    head, tail = page.partition(start)[0], page.partition(end)[2]
    PAGE.write_text(f"{head}{start}{text}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    unit(sys.argv[1], *map(int, sys.argv[2:]))
