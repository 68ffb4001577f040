"""Facts of files, and how bright images are -> how well each alone tells the classes apart on patients it has not seen.

Where picture shape, brightness or the scanner gives a class away, a classifier can do well without looking at the disease, and so
can every arm of a comparison (Zech et al. 2018, PLoS Medicine 15:e1002683; DeGrave et al. 2021, Nature Machine Intelligence 3:610).
These are signs of the data themselves; that an image is synthetic is another one, `shortcut`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.naive_bayes import CategoricalNB

from medgan.base.errors import DatasetError
from medgan.dataset.manifest import Record
from medgan.evaluation.arms import rare_classes
from medgan.evaluation.endpoints import auroc_under, interval, patient_weights
from medgan.prepare.images import LabelledImages

SHAPE, BRIGHTNESS, SCANNER = "shape", "brightness", "scanner"
LOUD = 0.6
"""A sign gives a class away where its AUROC surely lies above this: the lower end of the 95 % interval."""
FEWEST = 5
"""Held-out patients of a class, below which an interval over patients is too narrow to conclude anything from."""
TREES, DEEPEST, LEAF = 100, 3, 5
"""Trees of a forest, questions that each asks, images that must be left in a branch."""
NUMBERS = 9
"""Of `Circumstances.shape`."""
NONE, TOLD = "none", "told"
WORDS = {SHAPE: "Picture shape", BRIGHTNESS: "Brightness", SCANNER: "The scanner"}
ADVICE = {
    SHAPE: "a classifier may use it; conform shapes first, or judge on centre squares",
    BRIGHTNESS: "a classifier may see no more than that; where exposure makes the difference and not disease, level it first",
    SCANNER: "a classifier may use its look; take every class from every scanner, or judge within one",
}
METHOD = (
    "learned from the training images, every class weighing the same, and judged on all held-out images: a forest of shallow trees on the "
    "facts of the file (shape) or on mean and standard deviation of the prepared image (brightness), naive Bayes on the number of the "
    "scanner; intervals by bootstrap over patients within their class"
)

Labels = NDArray[np.int64]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Circumstances:
    """What the files of N images say beside their pixels, and nothing that names anybody."""

    shape: Points
    """(N, 9): rows, columns, log of their ratio, frames, files, bits, channels, millimetres per pixel down and across (0 where unknown)."""
    form: NDArray[np.str_]
    """(N,): format of the file and how its colours are stored."""
    scanner: Labels
    """(N,): number of the scanner in the data set; 0 where unknown."""

    @classmethod
    def of(cls, records: Sequence[Record]) -> Circumstances:
        """Those of images by the record of each."""
        return cls(
            shape=np.array([shape_of(record) for record in records], np.float64).reshape(-1, NUMBERS),
            form=np.array([f"{record.format} {record.photometric}" for record in records], np.str_),
            scanner=np.array([record.scanner for record in records], np.int64),
        )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.scanner)


def concatenate(first: Circumstances, second: Circumstances) -> Circumstances:
    """Those of two sets of images as one, in order."""
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
    """Of a rare class; None of the others."""
    base: float
    """Share of the class among the held-out images: what guessing reaches in AUPRC."""

    @property
    def loud(self) -> bool:
        """Whether the class is surely given away."""
        return self.low > LOUD and self.patients >= FEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Giveaway:
    """What one sign tells by itself."""

    sign: str
    """"shape", "brightness" or "scanner"."""
    values: int
    """Different ones among the training images; 0 where it is known of none."""
    classes: tuple[Separation, ...]
    """Empty where it is known of no training image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Giveaways:
    """Whether the data give their classes away by something else than what the pictures show."""

    version: int = 1
    verdict: str
    """"told" where a sign surely gives a class away, else "none"."""
    sentence: str
    signs: tuple[Giveaway, ...]
    patients: int
    """Held-out patients who judge."""
    threshold: float = LOUD
    method: str = METHOD


def measure_giveaways(  # the images and the facts of their files go together
    train: LabelledImages,
    held_out: LabelledImages,
    learned: Circumstances,
    asked: Circumstances,
    *,
    seed: int,
    resamples: int,
) -> Giveaways:
    """Learn each sign of `train` images, whose files are `learned`, and judge it on `held_out` ones, whose files are `asked`.

    Raises:
        DatasetError: fewer than two classes are among the training or the held-out images.
    """
    assert (len(train), len(held_out)) == (len(learned), len(asked))
    if min(len(np.unique(train.labels)), len(np.unique(held_out.labels))) < 2:
        raise DatasetError(
            "there are images of one class only, and one class cannot be told from another",
            hint="Hold out patients of every class: a test/ folder, or train with --holdout 0.3.",
        )
    weights = patient_weights(held_out.patients, held_out.labels, resamples, seed)
    signs = tuple(
        Giveaway(
            sign=sign,
            values=count_values(own),
            classes=separations(scores, train, held_out, weights) if count_values(own) else (),
        )
        for sign, own, scores in (
            (SHAPE, *shape_scores(train.labels, learned, asked)),
            (BRIGHTNESS, *brightness_scores(train, held_out)),
            (SCANNER, *scanner_scores(train.labels, learned, asked)),
        )
    )
    loud = any(one.loud for sign in signs for one in sign.classes)
    return Giveaways(
        verdict=TOLD if loud else NONE,
        sentence=sentence(signs),
        signs=signs,
        patients=len(np.unique(held_out.patients)),
    )


def separations(
    scores: dict[int, Points], train: LabelledImages, held_out: LabelledImages, weights: Labels
) -> tuple[Separation, ...]:
    """Of every class that is learned from and asked about, in the order of their names."""
    rare = rare_classes(train.counts)
    found = []
    for number, score in scores.items():
        truth = held_out.labels == number
        if not truth.any():
            continue
        label = held_out.names[number]
        low, high = interval(auroc_under(score, truth, weights))
        auprc = round(float(average_precision_score(truth, score)), 5) if label in rare else None
        found.append(
            Separation(
                label=label,
                patients=len(np.unique(held_out.patients[truth])),
                auroc=round(float(roc_auc_score(truth, score)), 5),
                low=round(low, 5),
                high=round(high, 5),
                auprc=auprc,
                base=round(float(truth.mean()), 5),
            )
        )
    return tuple(found)


# --- signs: (values of the training images, {class: scores (N,) of the held-out images}) ---


def shape_of(record: Record) -> tuple[float, ...]:
    """The numbers that the file of a record says of its picture (`Circumstances.shape`)."""
    frames, rows, columns = record.shape
    down, across = record.spacing_mm[1:] if record.spacing_mm else (0.0, 0.0)
    ratio = math.log(rows / columns)
    return rows, columns, ratio, frames, max(len(record.parts), 1), record.bits, record.channels, down, across


def shape_scores(
    labels: Labels, learned: Circumstances, asked: Circumstances
) -> tuple[Points, dict[int, Points]]:
    """By the numbers, and by each form that training images have."""
    forms = np.unique(learned.form)
    ours, theirs = (
        np.concatenate([one.shape, one.form[:, None] == forms], axis=1) for one in (learned, asked)
    )
    return ours, forest_scores(ours, labels, theirs)


def brightness_scores(train: LabelledImages, held_out: LabelledImages) -> tuple[Points, dict[int, Points]]:
    """By mean and standard deviation of each image."""
    ours, theirs = (
        np.stack([one.pixels.mean(axis=(1, 2, 3)), one.pixels.std(axis=(1, 2, 3))], axis=1, dtype=np.float64)
        for one in (train, held_out)
    )
    return ours, forest_scores(ours, train.labels, theirs)


def scanner_scores(
    labels: Labels, learned: Circumstances, asked: Circumstances
) -> tuple[Points, dict[int, Points]]:
    """By how often each class comes from each scanner; unknown is one of them, and so is each that training images never met."""
    known = np.unique(learned.scanner)
    if not known.any():
        return np.zeros((0, 1)), {}
    ours, theirs = (
        np.where(np.isin(one, known), np.searchsorted(known, one), len(known))
        for one in (learned.scanner, asked.scanner)
    )
    model = CategoricalNB(fit_prior=False, min_categories=len(known) + 1).fit(ours[:, None], labels)
    return known[:, None].astype(np.float64), by_class(model, theirs[:, None])


def forest_scores(points: Points, labels: Labels, asked: Points) -> dict[int, Points]:
    """What a forest of shallow trees learns from `points`; trees need no scale, and see a middle between two ends."""
    forest = RandomForestClassifier(
        TREES, max_depth=DEEPEST, min_samples_leaf=LEAF, class_weight="balanced", random_state=0, n_jobs=1
    )
    return by_class(forest.fit(points, labels), asked)


def by_class(model: RandomForestClassifier | CategoricalNB, asked: Points | Labels) -> dict[int, Points]:
    """{class: how probable it is of each image}, rounded, so that what is equal counts as equal."""
    chances = model.predict_proba(asked).round(9)
    return {int(number): chances[:, column] for column, number in enumerate(model.classes_)}


def count_values(points: Points) -> int:
    """How many different ones there are."""
    return len(np.unique(points, axis=0))


# --- in words ---


def sentence(signs: Sequence[Giveaway]) -> str:
    """What gives a class away, each with what to do about it, and in one line what does not."""
    loud = [found for sign in signs if (found := loudest(sign))]
    told = [
        f"{WORDS[sign]} alone tells {one.label} from the rest with an AUROC of {one.auroc:.2f} ({one.low:.2f} to {one.high:.2f}): {ADVICE[sign]}."
        for sign, one in loud
    ]
    named = {sign for sign, _ in loud}
    quiet = [sign for sign in signs if sign.classes and sign.sign not in named]
    if quiet:
        most = max(one.auroc for sign in quiet for one in sign.classes)
        names = " or ".join(WORDS[sign.sign].lower() for sign in quiet)
        told.append(f"No class is given away by {names} (AUROC at most {most:.2f}).")
    told += [f"{WORDS[sign.sign]} is not known." for sign in signs if not sign.classes]
    return " ".join(told)


def loudest(giveaway: Giveaway) -> tuple[str, Separation] | None:
    """The sign with the class that it tells most surely; None where it gives none away."""
    loud = [one for one in giveaway.classes if one.loud]
    return (giveaway.sign, max(loud, key=lambda one: one.low)) if loud else None
