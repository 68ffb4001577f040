"""Measure how well image shape, brightness or the scanner alone tells the classes apart.

Where one of these signs gives a class away, a classifier can do well without looking at the disease, and so
can every arm of a comparison (Zech et al. 2018, PLoS Medicine 15:e1002683; DeGrave et al. 2021, Nature
Machine Intelligence 3:610). These signs belong to the data themselves; `shortcut` is about images being
synthetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.naive_bayes import CategoricalNB

from medgan.base.errors import DatasetError
from medgan.dataset.manifest import Record
from medgan.evaluation.bootstrap import percentile_interval, resample_within_classes
from medgan.evaluation.endpoints import auroc_under
from medgan.evaluation.usefulness.arms import rare_classes
from medgan.evaluation.usefulness.verdict import CANNOT_TELL, LEAST_RARE, round_up
from medgan.preparation.images import LabelledImages

_SHAPE = "shape"
_BRIGHTNESS = "brightness"
_SCANNER = "scanner"
_THRESHOLD = 0.6
"""A sign gives a class away if the 95 % interval of its AUROC lies above this."""
_CLEAR_BELOW = 0.7
"""A sign does not give a class away if the 95 % interval of its AUROC lies below this."""
_TREES = 100
"""Trees of a forest."""
_DEPTH = 3
"""Depth of a tree."""
_LEAF = 5
"""Images in a leaf, at least."""
_NUMBERS = 9
"""Columns of `Circumstances.shape`."""
_NONE = "none"
"""Verdict: the class is surely not given away."""
_TOLD = "told"
"""Verdict: the class is surely given away."""
_SIGN_WORDS = {_SHAPE: "Picture shape", _BRIGHTNESS: "Brightness", _SCANNER: "The scanner"}
_ADVICE = {
    _SHAPE: "a classifier may use it; conform shapes first, or judge on centre squares",
    _BRIGHTNESS: "a classifier may see no more than that; where exposure makes the difference and not"
    " disease, level it first",
    _SCANNER: "a classifier may use its look; take every class from every scanner, or judge within one",
}
"""{sign: what to do about it}."""
_METHOD = (
    "learned from the training images, every class weighing the same, and judged on all held-out images: a "
    "forest of shallow trees on the facts of the file (shape) or on mean and standard deviation of the "
    "prepared image (brightness), naive Bayes on the number of the scanner; intervals by bootstrap over "
    "patients within their class"
)

_Labels = NDArray[np.int64]
_Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Circumstances:
    """Facts of the files of N images besides their pixels, without anything that identifies a person."""

    shape: _Points
    """(N, 9): rows, columns, log of their ratio, frames, files, bits, channels, mm per pixel down and across.

    Unknown spacing is 0.
    """
    form: NDArray[np.str_]
    """(N,): file format and photometric interpretation."""
    scanner: _Labels
    """(N,): number of the scanner in the data set; 0 if unknown."""

    @classmethod
    def of(cls, records: Sequence[Record]) -> Circumstances:
        """Collect the facts of images from their records."""
        return cls(
            shape=np.array([_shape_of(record) for record in records], np.float64).reshape(-1, _NUMBERS),
            form=np.array([f"{record.format} {record.photometric}" for record in records], np.str_),
            scanner=np.array([record.scanner for record in records], np.int64),
        )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.scanner)


def concatenate(first: Circumstances, second: Circumstances) -> Circumstances:
    """Concatenate the facts of two sets of images."""
    return Circumstances(
        shape=np.concatenate([first.shape, second.shape]),
        form=np.concatenate([first.form, second.form]),
        scanner=np.concatenate([first.scanner, second.scanner]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well a sign tells one class from all others."""

    label: str
    patients: int
    """Held-out patients of the class."""
    auroc: float
    """0.5 is guessing."""
    low: float
    high: float
    """95 % interval."""
    auprc: float | None
    """Area under the precision-recall curve of a rare class; None for other classes."""
    base: float
    """Share of the class among the held-out images: what guessing reaches in AUPRC."""
    verdict: str = ""
    """"told" if the sign gives the class away, "none" if it does not, else "cannot-tell"."""
    others: int = 0
    """Held-out patients of all other classes."""
    patients_needed: int | None = None
    """Patients that a verdict needs, about, of the class or of the others, whichever are fewer.

    None if there are enough.
    """

    @property
    def judged(self) -> int:
        """Held-out patients of the scarcer side, who limit what can be told."""
        return min(self.patients, self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Giveaway:
    """How well one sign tells the classes apart by itself."""

    sign: str
    """"shape", "brightness" or "scanner"."""
    values: int
    """Distinct values among the training images; 0 if the sign is unknown of them or of the held-out ones."""
    classes: tuple[Separation, ...]
    """Empty if the sign is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Giveaways:
    """Whether signs other than the content of the images give classes away."""

    version: int = 2
    verdict: str
    """"told" if a sign gives a class away, "none" if surely none does, else "cannot-tell"."""
    sentence: str
    signs: tuple[Giveaway, ...]
    patients: int
    """Held-out patients."""
    threshold: float = _THRESHOLD
    clear_below: float = _CLEAR_BELOW
    method: str = _METHOD
    external: Giveaways | None = None
    """The same signs, judged on another hospital's patients; None if there are none."""


def measure_giveaways(  # noqa: PLR0913  # two sets of images, each with the facts of its files
    train: LabelledImages,
    held_out: LabelledImages,
    learned: Circumstances,
    asked: Circumstances,
    *,
    seed: int,
    resamples: int,
    whose: str = "held-out",
) -> Giveaways:
    """Learn each sign from training images, and test it on held-out ones.

    Args:
        train: Training images.
        held_out: Held-out images.
        learned: Facts of the training images' files.
        asked: Facts of the held-out images' files.
        seed: Decides the resamples.
        resamples: Bootstrap resamples of the patients.
        whose: "held-out" or "external" patients, for the sentence.

    Raises:
        DatasetError: fewer than two classes are among the training or the held-out images.
    """
    assert (len(train), len(held_out)) == (len(learned), len(asked))
    if min(len(np.unique(train.labels)), len(np.unique(held_out.labels))) < 2:
        raise DatasetError(
            "there are images of only one class, and two are needed",
            hint="Hold out patients of every class: a test/ folder, or train with --holdout 0.3.",
        )
    weights = resample_within_classes(held_out.patients, held_out.labels, resamples, seed)
    rare = rare_classes(train.counts)
    signs = tuple(
        Giveaway(
            sign=sign,
            values=_count_values(own),
            classes=tuple(_separations(scores, held_out, weights, rare, alike=_count_values(own) == 1)),
        )
        for sign, own, scores in (
            (_SHAPE, *_shape_scores(train.labels, learned, asked)),
            (_BRIGHTNESS, *_brightness_scores(train, held_out)),
            (_SCANNER, *_scanner_scores(train.labels, learned, asked)),
        )
    )
    verdicts = {one.verdict for sign in signs for one in sign.classes}
    return Giveaways(
        verdict=next((one for one in (_TOLD, CANNOT_TELL) if one in verdicts), _NONE),
        sentence=_verdict_text(signs, whose),
        signs=signs,
        patients=len(np.unique(held_out.patients)),
    )


def _separations(
    scores: dict[int, _Points],
    held_out: LabelledImages,
    weights: _Labels,
    rare: Sequence[str],
    *,
    alike: bool,
) -> Iterator[Separation]:
    """The separation of every class with training and held-out images, in the order of their names.

    Args:
        scores: {class: score of each held-out image}; empty if the sign is not known.
        held_out: Held-out images.
        weights: How often each of them counts in each resample of the patients.
        rare: Names of the rare classes.
        alike: Whether all training images have the same value of the sign, from which nothing can be learned.
    """
    for number, score in scores.items():
        truth = held_out.labels == number
        if not truth.any():
            continue
        label = held_out.names[number]
        own, others = (len(np.unique(held_out.patients[side])) for side in (truth, ~truth))
        auroc = float(roc_auc_score(truth, score))
        low, high = percentile_interval(auroc_under(score, truth, weights))
        verdict, needed = (_NONE, None) if alike else _decide(auroc, low, high, min(own, others))
        yield Separation(
            label=label,
            patients=own,
            auroc=round(auroc, 5),
            low=round(low, 5),
            high=round(high, 5),
            auprc=round(float(average_precision_score(truth, score)), 5) if label in rare else None,
            base=round(float(truth.mean()), 5),
            verdict=verdict,
            others=others,
            patients_needed=needed,
        )


def _decide(auroc: float, low: float, high: float, patients: int) -> tuple[str, int | None]:
    """The verdict on one class, and about how many patients it needs if there are too few.

    The width of an interval falls with the square root of the patients of the scarcer side. It must lie above
    one threshold or below the other, whichever takes fewer patients.
    """
    enough = patients >= LEAST_RARE
    if enough and low > _THRESHOLD:
        return _TOLD, None
    if enough and high < _CLEAR_BELOW:
        return _NONE, None
    sides = ((auroc - low, auroc - _THRESHOLD), (high - auroc, _CLEAR_BELOW - auroc))
    width = min(max(reach, 0.0) / margin for reach, margin in sides if margin > 0)
    least = patients + 1 if enough else LEAST_RARE
    return CANNOT_TELL, round_up(max(least, math.ceil(patients * width**2)))


# --- signs: (values of the training images, {class: scores (N,) of the held-out images}) ---


def _shape_of(record: Record) -> tuple[float, ...]:
    """The numbers of `Circumstances.shape` for one record."""
    frames, rows, columns = record.shape
    down, across = record.spacing_mm[1:] if record.spacing_mm else (0.0, 0.0)
    ratio = math.log(rows / columns)
    return rows, columns, ratio, frames, max(len(record.parts), 1), record.bits, record.channels, down, across


def _shape_scores(
    labels: _Labels, learned: Circumstances, asked: Circumstances
) -> tuple[_Points, dict[int, _Points]]:
    """Score by the numbers of the file, and by each form that training images have."""
    forms = np.unique(learned.form)
    ours, theirs = (
        np.concatenate([one.shape, one.form[:, None] == forms], axis=1) for one in (learned, asked)
    )
    return ours, _forest_scores(ours, labels, theirs)


def _brightness_scores(train: LabelledImages, held_out: LabelledImages) -> tuple[_Points, dict[int, _Points]]:
    """Score by mean and standard deviation of each image."""
    ours, theirs = (
        np.stack([one.pixels.mean(axis=(1, 2, 3)), one.pixels.std(axis=(1, 2, 3))], axis=1, dtype=np.float64)
        for one in (train, held_out)
    )
    return ours, _forest_scores(ours, train.labels, theirs)


def _scanner_scores(
    labels: _Labels, learned: Circumstances, asked: Circumstances
) -> tuple[_Points, dict[int, _Points]]:
    """Score by how often each class comes from each scanner; "unknown" and new scanners count as scanners."""
    known = np.unique(learned.scanner)
    if not known.any() or not asked.scanner.any():
        return np.zeros((0, 1)), {}
    ours, theirs = (
        np.where(np.isin(one, known), np.searchsorted(known, one), len(known))
        for one in (learned.scanner, asked.scanner)
    )
    model = CategoricalNB(fit_prior=False, min_categories=len(known) + 1).fit(ours[:, None], labels)
    return known[:, None].astype(np.float64), _class_scores(model, theirs[:, None])


def _forest_scores(points: _Points, labels: _Labels, asked: _Points) -> dict[int, _Points]:
    """Score with a forest of shallow trees, which need no scaling and can separate a middle range."""
    forest = RandomForestClassifier(
        _TREES, max_depth=_DEPTH, min_samples_leaf=_LEAF, class_weight="balanced", random_state=0, n_jobs=1
    )
    return _class_scores(forest.fit(points, labels), asked)


def _class_scores(
    model: RandomForestClassifier | CategoricalNB, asked: _Points | _Labels
) -> dict[int, _Points]:
    """{class: probability for each image}, rounded so that equal values tie."""
    chances = model.predict_proba(asked).round(9)
    return {int(number): chances[:, column] for column, number in enumerate(model.classes_)}


def _count_values(points: _Points) -> int:
    """Count the distinct rows."""
    return len(np.unique(points, axis=0))


# --- in words ---


def _verdict_text(signs: Sequence[Giveaway], whose: str) -> str:
    """Say of each sign whether it gives a class away, or how many patients it takes to tell."""
    # Signs that give a class away, and what to do about each.
    by_verdict = {verdict: _signs_with(signs, verdict) for verdict in (_TOLD, CANNOT_TELL, _NONE)}
    told = [
        f"{_SIGN_WORDS[sign.sign]} alone tells {one.label} from the rest with an AUROC of {one.auroc:.2f}"
        f" ({one.low:.2f} to {one.high:.2f}): {_ADVICE[sign.sign]}."
        for sign in by_verdict[_TOLD]
        for one in [max((one for one in sign.classes if one.verdict == _TOLD), key=lambda one: one.low)]
    ]

    # Signs of which too few patients tell too little.
    doubts = [(sign, _most_doubtful(sign)) for sign in by_verdict[CANNOT_TELL]]
    few = [(sign, one) for sign, one in doubts if one.judged < LEAST_RARE]
    if few:
        most = max(one.patients_needed or 0 for _, one in few)
        told.append(
            f"Cannot tell whether {_join_signs([sign for sign, _ in few])} gives a class away:"
            f" only {_patients_text(few[0][1], whose)}; a verdict needs at least {most:,}."
        )
    told += [
        f"Cannot tell whether {_join_signs([sign])} gives a class away: {one.label} is told from the rest"
        f" with an AUROC of {one.auroc:.2f}, but anything from {one.low:.2f} to {one.high:.2f} is plausible"
        f" (95 % interval). {_patients_text(one, whose)}; a verdict needs about {one.patients_needed:,}."
        for sign, one in doubts
        if (sign, one) not in few
    ]

    # Signs that give nothing away, and those that are not known.
    quiet = by_verdict[_NONE]
    if quiet:
        most_auroc, top = (
            max(getattr(one, name) for sign in quiet for one in sign.classes) for name in ("auroc", "high")
        )
        told.append(
            f"No class is given away by {_join_signs(quiet)} (AUROC at most {most_auroc:.2f}; 95 % intervals"
            f" reach up to {top:.2f})."
        )
    told += [f"{_SIGN_WORDS[sign.sign]} is not known." for sign in signs if not sign.classes]
    return " ".join(told)


def _signs_with(signs: Sequence[Giveaway], verdict: str) -> list[Giveaway]:
    """The signs with this verdict: the first of told, cannot-tell and none that a class of theirs has."""
    order = (_TOLD, CANNOT_TELL, _NONE)
    return [
        sign
        for sign in signs
        if sign.classes and min((one.verdict for one in sign.classes), key=order.index) == verdict
    ]


def _most_doubtful(sign: Giveaway) -> Separation:
    """Of the classes without a verdict the one with too few patients, or else the one that needs most."""
    doubtful = (one for one in sign.classes if one.verdict == CANNOT_TELL)
    return max(doubtful, key=lambda one: (one.judged < LEAST_RARE, one.patients_needed or 0, -one.patients))


def _patients_text(one: Separation, whose: str) -> str:
    """Say how many patients have the class, or another one if these are fewer."""
    label = one.label if one.judged == one.patients else f"another class than {one.label}"
    return f"{one.judged:,} {whose} patient{' has' if one.judged == 1 else 's have'} {label}"


def _join_signs(signs: Sequence[Giveaway]) -> str:
    """Join the words for signs as a sentence has them."""
    return " or ".join(_SIGN_WORDS[sign.sign].lower() for sign in signs)
