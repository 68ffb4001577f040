"""Screen synthetic images for copies of training images with five tests.

It is a screen, not a proof.

T1 is correlation with the nearest training image, T2 the neighbour ratio, T3 authenticity (arXiv 2102.08921),
T4 C_T (arXiv 2004.05675), T5 a membership attack by distance (arXiv 1909.03935). Thresholds come from
held-out patients; slices of a volume count as one patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import MedganError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation.hypothesis_tests import TestResult, alarm_threshold, bounds, ratio_test, sign_test
from medgan.evaluation.memorisation import (
    Closest,
    Side,
    above,
    cells_of,
    closest,
    copying,
    own_distances,
    principal,
)
from medgan.evaluation.usefulness.image_sets import Split
from medgan.preparation.images import LabelledImages
from medgan.similarity.copies import (
    LEAST_PATIENTS,
    CopyLimits,
    NewPatients,
    compare_new_patients,
    equal_patient_weights,
    first_percentiles,
    rows_for_limits,
)
from medgan.similarity.nearest import References, Values, find_nearest
from medgan.similarity.spaces import SPACES

_TESTS = 8
"""Number of tests: T1 and T5 in pixels, T2 to T4 in both feature spaces."""
_EXACT = 1e-3
"""Distance (1 - correlation) below which a near copy is the same image."""
_TOLERATED = 0.6
"""Area under the curve of the membership attack that is tolerated."""
_GUESSING = 0.5
"""Area under the curve of guessing."""
_SPACES_WANTED = ("lite2", "radiomics")
"""Feature spaces of T2 to T4."""
_TEST_WORDS = {
    "T1": "copies by correlation",
    "T2": "nearness to one patient",
    "T3": "authenticity",
    "T4": "nearness to training images",
    "T5": "a membership attack",
}
"""{test: words for what it looks for}."""
_REMINDER = "This is a screen, not a proof."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A synthetic image that is nearer to a training image than images of new patients are."""

    test: str
    space: str
    sample: str
    label: str
    nearest: str
    """Source of the training image."""
    distance: float
    """1 - correlation (T1) or the neighbour ratio (T2)."""
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The outcome of the screen."""

    version: int = 1
    verdict: str
    """"passed", "failed" or "undecided"."""
    sentence: str
    """The verdict in words, always with the reminder that this is a screen, not a proof."""
    tests: tuple[TestResult, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on what could not be tested."""


def screen_privacy(split: Split, *, seed: int = 0, on_progress: OnProgress = ignore) -> Privacy:
    """Look for copies of training images among synthetic ones, compared with held-out patients.

    A feature space that cannot be computed here is left out, and a note says so.
    """
    train, held_out, synthetic = split.train, split.held_out, split.synthetic
    if not len(synthetic):
        return _conclude((), (), ("There is no synthetic image to test.",))

    # T1: correlation in pixels, with a threshold from images of new patients.
    references = References.of(train.pixels.__getitem__, train.patients)
    strangers = compare_new_patients(references, train.labels, held_out, on_progress=on_progress)
    notes: list[str] = []
    tests: list[TestResult] = []
    findings: list[Finding] = []
    if strangers is None:
        notes.append(
            f"With fewer than {LEAST_PATIENTS} training patients a copy cannot be told from a similar image."
        )
    else:
        made, found = _correlation_test(train, references, strangers, synthetic, seed, on_progress)
        tests, findings = [made], found
        if not strangers.held_out:
            notes.append(
                f"There are fewer than {LEAST_PATIENTS} held-out patients,"
                " so each training patient in turn took their place."
            )

    # T2 to T5 need held-out patients.
    if len(np.unique(held_out.patients)) >= LEAST_PATIENTS:
        for space, maker in ((name, SPACES[name]) for name in _SPACES_WANTED):
            on_progress(Progress("screening", len(tests), _TESTS, f"looking through {space}"))
            try:
                features = maker(train, seed)
            except MedganError as error:
                notes.append(f"{space} was left out: {error.message}.")
                continue
            points = principal(*(features(one.pixels) for one in (train, held_out, synthetic)))
            more, found = _space_tests(space, points, split, seed)
            tests, findings = [*tests, *more], [*findings, *found]
        on_progress(Progress("screening", _TESTS - 1, _TESTS, "a membership attack"))
        tests.append(_membership_test(split, seed))
        on_progress(Progress("screening", _TESTS, _TESTS, "a membership attack"))
    else:
        notes.append("T2 to T5 need held-out patients.")
    return _conclude(tests, findings, notes)


def _correlation_test(
    train: LabelledImages,
    references: References,
    strangers: NewPatients,
    synthetic: LabelledImages,
    seed: int,
    on_progress: OnProgress,
) -> tuple[TestResult, list[Finding]]:
    """T1: the share of synthetic images that are near copies by correlation, also shifted or mirrored.

    Args:
        train: Training images.
        references: The same, prepared for the search.
        strangers: How near images of new patients come to training images.
        synthetic: Images to test.
        seed: Decides the resamples.
        on_progress: Called as images are compared.
    """
    # The nearest training image of every synthetic one.
    found = find_nearest(
        synthetic.pixels.__getitem__,
        len(synthetic),
        references,
        on_done=lambda done: on_progress(Progress("comparing", done, len(synthetic), "synthetic")),
    )
    classes = len(train.names)

    def share(made: Values, real: Values) -> float:
        copies = CopyLimits.of(strangers, classes, real).near_copies(found, synthetic.labels)
        return float(np.average(copies, weights=made))

    # Images that are nearer than the threshold of their class.
    limits = CopyLimits.of(strangers, classes)
    rows = np.flatnonzero(limits.near_copies(found, synthetic.labels))
    findings = [
        _finding(
            "T1",
            "pixels",
            (synthetic, int(row)),
            (train, int(found.rows[row])),
            float(found.distance[row]),
            float(limits.distance[synthetic.labels[row]]),
        )
        for row in rows
    ]

    # The test; an exact copy fails it at once.
    words = "share of near copies by correlation with a training image; new patients have at most 1 %"
    measured = (synthetic.patients, strangers.patients)
    made = ratio_test(
        "T1",
        "pixels",
        share,
        measured,
        alarm_threshold(strangers.labels, strangers.patients, synthetic),
        seed,
        words,
    )
    return (replace(made, passed=False) if (found.distance[rows] < _EXACT).any() else made), findings


def _space_tests(
    space: str,
    points: Sequence[NDArray[np.float64]],
    split: Split,
    seed: int,
) -> tuple[list[TestResult], list[Finding]]:
    """T2, T3 and T4 in one feature space; `points` are the features of the three sets of `split`."""
    # Distances to the nearest training image, and of that to the next patient.
    train, held_out, synthetic = split.train, split.held_out, split.synthetic
    own = own_distances(points[0], train.patients)
    real, made = closest(points[1], points[0], own), closest(points[2], points[0], own)
    rows = rows_for_limits(held_out.labels, held_out.patients, len(train.names))
    both = (synthetic.patients, held_out.patients)

    # T2: neighbour ratios below those of 99 of 100 new patients.
    def share(ours: Values, theirs: Values) -> float:
        return float(
            np.average(
                made.ratio < first_percentiles(real.ratio, theirs, rows)[synthetic.labels], weights=ours
            )
        )

    # T3: the authentic share, compared with held-out images.
    def authentic(ours: Values, theirs: Values) -> float:
        return _authenticity_gap((synthetic, made, ours), (held_out, real, theirs))

    # T4: C_T, cell by cell.
    cells = cells_of(points[0], seed, points[2], points[1])
    sides = [
        Side(distance=one.distance, cell=cell, patients=who)
        for one, cell, who in zip((made, real), cells, both, strict=True)
    ]

    def memory(ours: Values, theirs: Values) -> float:
        return copying(sides[0], sides[1], (ours, theirs))

    tests = [
        ratio_test(
            "T2",
            space,
            share,
            both,
            alarm_threshold(held_out.labels, held_out.patients, synthetic),
            seed,
            "share whose neighbour ratio is below that of 99 of 100 new patients",
        ),
        sign_test(
            "T3",
            space,
            authentic,
            both,
            seed,
            "authentic share less that of held-out images, mean over classes; below 0, synthetic ones are"
            " nearer to the training images",
        ),
        sign_test(
            "T4",
            space,
            memory,
            both,
            seed,
            "C_T; below 0, synthetic images are nearer to the training images than held-out ones",
        ),
    ]
    limits = first_percentiles(real.ratio, equal_patient_weights(held_out.patients), rows)
    return tests, list(_ratio_findings(space, made, limits, synthetic, train))


def _authenticity_gap(
    one: tuple[LabelledImages, Closest, Values], other: tuple[LabelledImages, Closest, Values]
) -> float:
    """The authentic share of one set less that of another, mean over their classes (arXiv 2102.08921).

    An image is authentic if it is farther from its nearest training image than that is from the next patient.
    """
    gaps = []
    for number in np.intersect1d(one[0].labels, other[0].labels):
        ours, theirs = (
            _average(near.ratio > 1, weights * (images.labels == number))
            for images, near, weights in (one, other)
        )
        gaps.append(ours - theirs)
    return _mean(np.array(gaps))


def _ratio_findings(
    space: str, made: Closest, limit: Values, synthetic: LabelledImages, train: LabelledImages
) -> Iterator[Finding]:
    """Findings of T2: synthetic images below the threshold of the neighbour ratio."""
    for row in np.flatnonzero(made.ratio < limit[synthetic.labels]):
        beside = (train, int(made.rows[row]))
        yield _finding(
            "T2",
            space,
            (synthetic, int(row)),
            beside,
            float(made.ratio[row]),
            float(limit[synthetic.labels[row]]),
        )


def _membership_test(split: Split, seed: int) -> TestResult:
    """T5: whether training images can be recognised by how near synthetic images come to them."""
    # The distance of every real image to the nearest synthetic one.
    train, held_out, synthetic = split.train, split.held_out, split.synthetic
    drawn = References.of(synthetic.pixels.__getitem__, synthetic.patients)
    members, others = (
        -find_nearest(one.pixels.__getitem__, len(one), drawn).distance for one in (train, held_out)
    )

    # The area under the curve of guessing membership by it, mean over classes.
    def area(ours: Values, theirs: Values) -> float:
        return _mean(
            np.array([of_class(k, ours, theirs) for k in np.intersect1d(train.labels, held_out.labels)])
        )

    def of_class(number: int, ours: Values, theirs: Values) -> float:
        one, other = train.labels == number, held_out.labels == number
        weights = ours[one], theirs[other]
        return above(members[one], others[other], weights) if all(side.any() for side in weights) else np.nan

    value, low, high = bounds(area, (train.patients, held_out.patients), seed)
    known = bool(np.isfinite(value))
    return TestResult(
        name="T5",
        space="pixels",
        value=value if known else None,
        low=low if known else None,
        high=high if known else None,
        threshold=_TOLERATED,
        passed=(value <= _TOLERATED or low <= _GUESSING) if known else None,
        words="membership attack, area under the curve, mean over classes: 0.5 is guessing, 1 recognises"
        " every training image",
    )


def _average(values: NDArray[np.bool_], weights: Values) -> float:
    return float(np.average(values, weights=weights)) if weights.any() else np.nan


def _mean(values: Values) -> float:
    """The mean of the finite values; NaN if there are none."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else np.nan


def _finding(
    test: str,
    space: str,
    made: tuple[LabelledImages, int],
    real: tuple[LabelledImages, int],
    distance: float,
    limit: float,
) -> Finding:
    """Describe a synthetic image and its nearest training image.

    Args:
        test: Name of the test.
        space: Name of the space.
        made: Synthetic images, and a row of them.
        real: Training images, and a row of them.
        distance: What was measured.
        limit: The threshold that it is below.
    """
    (synthetic, row), (train, near) = made, real
    return Finding(
        test=test,
        space=space,
        sample=str(synthetic.sources[row]),
        label=synthetic.names[synthetic.labels[row]],
        nearest=str(train.sources[near]),
        distance=round(distance, 4),
        threshold=round(limit, 4),
    )


def _conclude(tests: Sequence[TestResult], findings: Sequence[Finding], notes: Sequence[str]) -> Privacy:
    """The verdict: failed if a test fails, undecided if T1 is missing or a test is inconclusive."""
    # Which tests failed, and which are inconclusive.
    failed, unsure = (
        [
            f"{_TEST_WORDS[test.name]} ({test.name}, {test.space})"
            for test in tests
            if test.passed is passed and test.value is not None
        ]
        for passed in (False, None)
    )
    looked = any(test.name == "T1" for test in tests)
    verdict = "failed" if failed else "passed" if looked and not unsure else "undecided"

    # Near copies are named in the sentence even where no test fails.
    near = len({(one.label, one.sample) for one in findings if one.test == "T1"})
    ordered = sorted(findings, key=lambda one: (one.test, one.space, one.distance, one.sample))
    return Privacy(
        verdict=verdict,
        sentence=f"{_verdict_text(verdict, failed, unsure, near)} {_REMINDER}",
        tests=tuple(tests),
        findings=tuple(ordered),
        notes=tuple(notes),
    )


def _verdict_text(verdict: str, failed: Sequence[str], unsure: Sequence[str], near: int) -> str:
    """Word the verdict.

    Args:
        verdict: "passed", "failed" or "undecided".
        failed: Tests that failed.
        unsure: Tests that are inconclusive.
        near: Synthetic images that are near copies by T1.
    """
    if verdict == "failed":
        return (
            f"Signs that training images were remembered: {', '.join(failed)}."
            " Look at the findings before anything is shared."
        )
    if verdict == "undecided":
        why = (
            f"{', '.join(unsure)} found more than chance should produce, and there are too few real patients"
            " to be sure. Look at the findings."
        )
        return (
            f"Cannot tell whether training images were copied{': ' if unsure else '.'}{why if unsure else ''}"
        )
    if near:
        come = "image is" if near == 1 else "images are"
        return (
            f"No test failed, but {near} synthetic {come} nearer to a training image than unseen real images"
            " are: look at the findings."
        )
    return "No sign was found that training images were remembered."
