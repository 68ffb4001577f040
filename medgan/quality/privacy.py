"""Train, held-out and synthetic images -> Privacy: five tests for near copies and memory, with findings. A screen, not a proof.

T1 correlation with the nearest training image, T2 neighbour ratio, T3 authenticity (arXiv 2102.08921), T4 C_T (arXiv 2004.05675), T5 a
membership attack by distance (arXiv 1909.03935). Limits come from held-out patients, slices of a volume counting as one patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.errors import MedganError
from medgan.progress import OnProgress, Progress, ignore
from medgan.quality.bootstrap import interval, resampled
from medgan.quality.copies import (
    ALARMS,
    LEAST,
    Limits,
    Strangers,
    group_rows,
    low_ends,
    once_each,
    strangers_to,
)
from medgan.quality.images import Images
from medgan.quality.memory import Closest, Side, above, cells_of, closest, copying, own_distances, principal
from medgan.quality.neighbours import References, Values, nearest
from medgan.quality.spaces import SPACES

LEVEL = 0.99
"""Confidence of the intervals: with eight tests, about one honest generator in twenty-five fails one of them."""
TESTS = 8
"""T1 and T5 in pixels, T2 to T4 in both feature spaces."""
RESAMPLES = 1000
BAR, BLIND = 0.6, 0.5
"""Area under the curve of the membership attack: what is tolerated, and what guessing has."""
WANTED = ("lite2", "radiomics")
SCREEN = "This is a screen, not a proof."

Statistic = Callable[[Values, Values], float]
"""Weights of the synthetic and of the real images -> the number that is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test: what it measured, what it tolerates, and whether that was kept."""

    name: str
    """"T1" to "T5"."""
    space: str
    """"pixels", "lite2", "radiomics", or "discriminator" (its scores)."""
    value: float | None
    low: float | None = None
    """Ends of the 99 % interval, by bootstrap over patients."""
    high: float | None = None
    threshold: float
    passed: bool | None
    """None where too little is there to conclude."""
    words: str
    """What the number is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A synthetic image that lies nearer to a training image than strangers do."""

    test: str
    space: str
    sample: str
    label: str
    nearest: str
    """Source of the training image."""
    distance: float
    """1 - correlation (T1), or the neighbour ratio (T2)."""
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The outcome of the screen."""

    version: int = 1
    verdict: str
    """"passed", "failed" or "undecided"."""
    sentence: str
    """The verdict in words; it always says that this is a screen, not a proof."""
    tests: tuple[Test, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be looked at."""


def screen_privacy(
    train: Images,
    held_out: Images,
    synthetic: Images,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore,
) -> Privacy:
    """Look for near copies of `train` among `synthetic`, beside the real images `held_out` of other patients.

    A feature space that cannot be made here is left out, and a note says so.
    """
    if not len(synthetic):
        return concluded((), (), ("There is no synthetic image to look at.",))
    references = References.of(train.pixels.__getitem__, train.patients)
    strangers = strangers_to(references, train.labels, held_out, on_progress=on_progress)
    notes: list[str] = []
    tests: list[Test] = []
    findings: list[Finding] = []
    if strangers is None:
        notes.append(f"With fewer than {LEAST} training patients a copy cannot be told from a likeness.")
    else:
        made, found = correlated(train, references, strangers, synthetic, seed, on_progress)
        tests, findings = [made], found
        if not strangers.held_out:
            notes.append(
                f"With fewer than {LEAST} held-out patients each training patient in turn stood in for them."
            )
    if len(np.unique(held_out.patients)) >= LEAST:
        for space, maker in ((name, SPACES[name]) for name in WANTED):
            on_progress(Progress("screening", len(tests), TESTS, space))
            try:
                features = maker(train, seed)
            except MedganError as error:
                notes.append(f"{space} was left out: {error.message}.")
                continue
            points = principal(*(features(one.pixels) for one in (train, held_out, synthetic)))
            more, found = in_space(space, points, (train, held_out, synthetic), seed)
            tests, findings = [*tests, *more], [*findings, *found]
        tests.append(attacked(train, held_out, synthetic, seed))
    else:
        notes.append("T2 to T5 need held-out patients.")
    return concluded(tests, findings, notes)


def correlated(
    train: Images,
    references: References,
    strangers: Strangers,
    synthetic: Images,
    seed: int,
    on_progress: OnProgress,
) -> tuple[Test, list[Finding]]:
    """T1: the share of synthetic images that are near copies by correlation, after shift and mirroring."""
    found = nearest(
        synthetic.pixels.__getitem__,
        len(synthetic),
        references,
        on_done=lambda done: on_progress(Progress("comparing", done, len(synthetic), "synthetic")),
    )
    classes = len(train.names)

    def share(made: Values, real: Values) -> float:
        copies = Limits.of(strangers, classes, real).near_copies(found, synthetic.labels)
        return float(np.average(copies, weights=made))

    limits = Limits.of(strangers, classes)
    rows = np.flatnonzero(limits.near_copies(found, synthetic.labels))
    findings = [
        finding(
            "T1",
            "pixels",
            (synthetic, int(row)),
            (train, int(found.rows[row])),
            float(found.distance[row]),
            float(limits.distance[synthetic.labels[row]]),
        )
        for row in rows
    ]
    words = "share of near copies by correlation with a training image; by design, strangers have 1 %"
    return shares("T1", "pixels", share, (synthetic.patients, strangers.patients), seed, words), findings


def in_space(
    space: str, points: Sequence[NDArray[np.float64]], sets: tuple[Images, Images, Images], seed: int
) -> tuple[list[Test], list[Finding]]:
    """T2, T3 and T4 in one feature space; `points` are those of `sets`: train, held out, synthetic."""
    train, held_out, synthetic = sets
    own = own_distances(points[0], train.patients)
    real, made = closest(points[1], points[0], own), closest(points[2], points[0], own)
    rows = group_rows(held_out.labels, held_out.patients, len(train.names))
    both = (synthetic.patients, held_out.patients)

    def share(ours: Values, theirs: Values) -> float:
        return float(
            np.average(made.ratio < low_ends(real.ratio, theirs, rows)[synthetic.labels], weights=ours)
        )

    def authentic(ours: Values, theirs: Values) -> float:
        return float(np.average(made.ratio > 1, weights=ours) - np.average(real.ratio > 1, weights=theirs))

    cells = cells_of(points[0], seed, points[2], points[1])
    sides = [
        Side(distance=one.distance, cell=cell, patients=who)
        for one, cell, who in zip((made, real), cells, both, strict=True)
    ]

    def memory(ours: Values, theirs: Values) -> float:
        return copying(sides[0], sides[1], (ours, theirs))

    tests = [
        shares(
            "T2", space, share, both, seed, "share whose neighbour ratio is below that of 99 of 100 strangers"
        ),
        signs(
            "T3",
            space,
            authentic,
            both,
            seed,
            "authentic share less that of held-out images; below 0, synthetic ones are nearer to the training images",
        ),
        signs(
            "T4",
            space,
            memory,
            both,
            seed,
            "C_T; below 0, synthetic images are nearer to the training images than held-out ones",
        ),
    ]
    return tests, list(
        ratios(space, made, low_ends(real.ratio, once_each(held_out.patients), rows), synthetic, train)
    )


def ratios(space: str, made: Closest, limit: Values, synthetic: Images, train: Images) -> Iterator[Finding]:
    """The synthetic images below the limit of the neighbour ratio."""
    for row in np.flatnonzero(made.ratio < limit[synthetic.labels]):
        beside = (train, int(made.rows[row]))
        yield finding(
            "T2",
            space,
            (synthetic, int(row)),
            beside,
            float(made.ratio[row]),
            float(limit[synthetic.labels[row]]),
        )


def attacked(train: Images, held_out: Images, synthetic: Images, seed: int) -> Test:
    """T5: can members of the training set be told from others by how near the synthetic images come to them?"""
    drawn = References.of(synthetic.pixels.__getitem__, synthetic.patients)
    members, others = (
        -nearest(one.pixels.__getitem__, len(one), drawn).distance for one in (train, held_out)
    )

    def area(ours: Values, theirs: Values) -> float:
        return above(members, others, (ours, theirs))

    value, low, high = bounds(area, (train.patients, held_out.patients), seed)
    return Test(
        name="T5",
        space="pixels",
        value=value,
        low=low,
        high=high,
        threshold=BAR,
        passed=value <= BAR or low <= BLIND,
        words="membership attack, area under the curve: 0.5 is blind, 1 tells every training image",
    )


def shares(
    name: str, space: str, statistic: Statistic, sets: Sequence[NDArray[np.str_]], seed: int, words: str
) -> Test:
    """A share of alarms, which fails when it is surely larger than by design."""
    value, low, high = bounds(statistic, sets, seed)
    low, high = max(low, 0.0), min(high, 1.0)
    return Test(
        name=name,
        space=space,
        value=value,
        low=low,
        high=high,
        threshold=ALARMS,
        passed=low <= ALARMS,
        words=words,
    )


def signs(
    name: str, space: str, statistic: Statistic, sets: Sequence[NDArray[np.str_]], seed: int, words: str
) -> Test:
    """A difference to held-out images, which fails when it is surely negative."""
    value, low, high = bounds(statistic, sets, seed)
    if not np.isfinite(value):
        return Test(
            name=name,
            space=space,
            value=None,
            threshold=0.0,
            passed=None,
            words=f"{words}; too few images to tell",
        )
    return Test(
        name=name, space=space, value=value, low=low, high=high, threshold=0.0, passed=high >= 0, words=words
    )


def bounds(statistic: Statistic, sets: Sequence[NDArray[np.str_]], seed: int) -> tuple[float, float, float]:
    """A statistic of two sets, and its interval by bootstrap over the patients of both, each patient counting once."""
    weights = [resampled(one, RESAMPLES, seed + number) * once_each(one) for number, one in enumerate(sets)]
    values = np.array([statistic(ours, theirs) for ours, theirs in zip(*weights, strict=True)])
    low, high = interval(values, LEVEL)
    return float(values[0]), low, high


def finding(
    test: str, space: str, made: tuple[Images, int], real: tuple[Images, int], distance: float, limit: float
) -> Finding:
    """A row of the synthetic images beside one of the training images."""
    (synthetic, row), (train, near) = made, real
    return Finding(
        test=test, space=space, sample=str(synthetic.sources[row]), label=synthetic.names[synthetic.labels[row]],
        nearest=str(train.sources[near]), distance=round(distance, 4), threshold=round(limit, 4),
    )  # fmt: skip


def concluded(tests: Sequence[Test], findings: Sequence[Finding], notes: Sequence[str]) -> Privacy:
    """The verdict: failed where one test fails, undecided where nobody looked for copies."""
    failed = [f"{test.name} ({test.space})" for test in tests if test.passed is False]
    looked = any(test.name == "T1" for test in tests)
    verdict = "failed" if failed else "passed" if looked else "undecided"
    words = {
        "failed": f"Signs of memory: {', '.join(failed)} failed. Look at the findings before anything is shared.",
        "passed": "No sign of memory was found.",
        "undecided": "Whether training images were copied could not be told.",
    }
    ordered = sorted(findings, key=lambda one: (one.test, one.space, one.distance, one.sample))
    return Privacy(
        verdict=verdict,
        sentence=f"{words[verdict]} {SCREEN}",
        tests=tuple(tests),
        findings=tuple(ordered),
        notes=tuple(notes),
    )
