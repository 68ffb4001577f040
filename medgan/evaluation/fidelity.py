"""Score how close to real images, and how varied, synthetic images are, class by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from medgan.base.errors import MedganError
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.evaluation import feature_scores
from medgan.evaluation.bootstrap import Weights, interval_about_value, resample_patients
from medgan.evaluation.ms_ssim import WINDOW, likeness, likeness_under, pairs_of
from medgan.evaluation.score import Score, caveat
from medgan.evaluation.usefulness.image_sets import Split
from medgan.preparation.images import LabelledImages
from medgan.similarity.features import FeatureFunction
from medgan.similarity.spaces import SPACES

_Features = NDArray[np.float32]
_Values = NDArray[np.float64]

_LEAST = feature_scores.K + 2
"""Images of each kind that a score needs: an image, its five neighbours, and one other."""
_COMPONENTS = 64
"""Principal components in which Frechet distances are measured."""
_DRAWS = 5
"""Sets of other real images whose mean score is the floor, if there are more images than needed."""
_PAIRS = 200
"""Pairs of images per class and set whose MS-SSIM is measured."""
_BETTER = {
    "kid": "lower",
    "fd": "lower",
    "sliced_wasserstein": "lower",
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
    "ms_ssim_gap": "lower",
}
_SHARES = ("precision", "recall", "coverage")
"""Scores in [0, 1]. Only KID may be negative, because it is unbiased."""
_SAMPLE = 500
"""Images per class and set that are compared, by default."""


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """Rows of the images of one comparison."""

    label: str
    """The class; empty for all classes together."""
    reference: NDArray[np.int64]
    """Held-out real images."""
    synthetic: NDArray[np.int64]
    others: tuple[NDArray[np.int64], ...]
    """Draws of as many other real images as synthetic ones, for the floor."""


def measure_fidelity(
    split: Split,
    *,
    spaces: Sequence[str] = tuple(SPACES),
    seed: int = 0,
    resamples: int = 200,
    most: int = _SAMPLE,
    on_progress: OnProgress = ignore,
) -> tuple[Score, ...]:
    """Score synthetic images against held-out ones; training images in their place give the floor.

    The reference is real images that the generator has not seen, so that copies of training images earn
    nothing. If none are held out, half of the training patients are the reference and the other half the
    floor. Scores depend on the number of images, so every comparison has as many other real images as
    synthetic ones. Classes without synthetic images are left out, and so is a space that cannot be computed
    here (no weights, one class).

    Args:
        split: Real, held-out and synthetic images.
        spaces: Names of the feature spaces to compare in.
        seed: Decides which images are drawn.
        resamples: Bootstrap resamples of the patients.
        most: Images per class and set, at most.
        on_progress: Called after every comparison.

    Raises:
        MedganError: no space can be computed.
    """
    # Match the sets: one comparison per class, and one for all classes together.
    train = split.train
    real, other = (split.held_out, train) if len(split.held_out) else _halve_patients(train, seed)
    sets = tuple(_cap_per_class(one, most, seed) for one in (real, split.synthetic, other))
    trios, short = _match_sets(sets, most, seed)
    scopes = [_ResampledComparison.of(trio, sets, resamples, seed) for trio in trios]

    # Compare in every feature space.
    makers = _build_spaces(_cap_per_class(train, most, seed), spaces, seed)
    found: list[Score] = list(short)
    total = (len(makers) + 1) * max(len(scopes), 1)
    for done, (space, look) in enumerate(makers.items()):
        on_progress(Progress("fidelity", done * len(scopes), total, f"looking through {space}"))
        seen = tuple(look(one.pixels) for one in sets)
        spread = PCA(min(_COMPONENTS, len(seen[2]) - 1, seen[2].shape[1]), random_state=seed).fit(seen[2])
        slim = tuple(spread.transform(one).astype(np.float32) for one in seen)
        for number, scope in enumerate(scopes):
            found += _score_in_space(space, scope, (seen, slim))
            words = f"{space}: {scope.trio.label or 'all classes together'}"
            on_progress(Progress("fidelity", done * len(scopes) + number + 1, total, words))

    # Compare the variety of pairs.
    on_progress(Progress("fidelity", len(makers) * len(scopes), total, "comparing pairs of images"))
    found += _score_variety(sets, scopes, seed)
    on_progress(Progress("fidelity", total, total, "scores are there"))
    return tuple(found)


def _build_spaces(train: LabelledImages, spaces: Sequence[str], seed: int) -> dict[str, FeatureFunction]:
    """Build the feature spaces that can be computed here; raise the last error if none can."""
    able: dict[str, FeatureFunction] = {}
    refusal: MedganError | None = None
    for name in spaces:
        try:
            able[name] = SPACES[name](train, seed)
        except MedganError as error:
            refusal = error
    if refusal is not None and not able:
        raise refusal
    return able


# --- which images are compared ---


def _halve_patients(images: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Divide images into two halves without common patients, with every class in both if possible."""
    rng, first = np.random.default_rng(seed), set[str]()
    for label in images.names:
        patients = list(np.unique(images.of(label).patients).tolist())
        missing = len(patients) // 2 - sum(name in first for name in patients)
        free = [name for name in patients if name not in first]
        first |= set(rng.permutation(free)[: max(missing, 0)].tolist())
    inside = np.isin(images.patients, sorted(first))
    return images.take(inside), images.take(~inside)


def _cap_per_class(images: LabelledImages, most: int, seed: int) -> LabelledImages:
    """Draw at most `most` images of every class."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(images.rows_of(label))[:most] for label in images.names]
    return images.take(np.sort(np.concatenate(rows)))


def _match_sets(
    sets: Sequence[LabelledImages], most: int, seed: int
) -> tuple[list[_Comparison], list[Score]]:
    """Comparisons of all classes together and of each; and a note for every class with too few images."""
    there = [label for label, count in sets[1].counts.items() if count]
    fit, short = [], []
    for label in there:
        counts = [one.counts[label] for one in sets]
        people = [len(np.unique(one.of(label).patients)) for one in sets]
        if min(counts) >= _LEAST and min(people) > 1:
            fit.append(label)
        else:
            short.append(_too_few(label, min(counts[1:]), counts[0]))
    trios = [_match_mix(sets, fit, most, seed), *(_match_class(sets, label, seed) for label in fit)]
    return [trio for trio in trios if len(fit) > 1 or trio.label], short


def _too_few(label: str, n: int, n_real: int) -> Score:
    """The empty score of a class with too few images."""
    words = (
        f"{_LEAST} images, and two patients, are needed of each kind (synthetic, held out, other real);"
        " nothing can be said of this class"
    )
    return Score(
        name="kid", space="", label=label, value=None, n=n, n_real=n_real, better="lower", note=words
    )


def _match_class(sets: Sequence[LabelledImages], label: str, seed: int) -> _Comparison:
    """Draw as many synthetic as other real images of a class, to compare with all held-out ones."""
    real, synthetic, other = (one.rows_of(label) for one in sets)
    rng, n = np.random.default_rng(seed), min(len(synthetic), len(other))
    return _Comparison(label, real, rng.permutation(synthetic)[:n], _draw_rows(other, n, rng))


def _match_mix(sets: Sequence[LabelledImages], labels: Sequence[str], most: int, seed: int) -> _Comparison:
    """Draw images of all classes, in the proportions of the held-out ones.

    Synthetic images may have other proportions, which must not count against them.
    """
    # The share of the held-out images that every class can match.
    real, synthetic, other = sets
    rng = np.random.default_rng(seed)
    have = {label: real.counts[label] for label in labels}
    share = min(
        [min(synthetic.counts[label], other.counts[label]) / have[label] for label in labels], default=0.0
    )
    share = min(share, most / max(sum(have.values()), 1))
    take = {label: max(int(share * count), 1) for label, count in have.items()}

    # That share of every class.
    of = {label: [rng.permutation(one.rows_of(label)) for one in sets] for label in labels}
    reference = [rows[0] for rows in of.values()]
    drawn = [rows[1][: take[label]] for label, rows in of.items()]
    other_draws = [_draw_rows(rows[2], take[label], rng) for label, rows in of.items()]
    whole = tuple(
        np.concatenate([pool[turn % len(pool)] for pool in other_draws])
        for turn in range(max(map(len, other_draws), default=0))
    )
    empty = np.zeros(0, np.int64)
    return _Comparison("", np.concatenate([*reference, empty]), np.concatenate([*drawn, empty]), whole)


def _draw_rows(rows: NDArray[np.int64], n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Draw several sets of `n` rows, or one if that is all of them."""
    return tuple(rng.permutation(rows)[:n] for _ in range(1 if n == len(rows) else _DRAWS))


@dataclass(frozen=True, slots=True, eq=False)
class _ResampledComparison:
    """One comparison with its patients and their resamples."""

    trio: _Comparison
    people: tuple[NDArray[np.str_], ...]
    """Patients of the held-out (N,) and the synthetic (M,) images, and of each draw of others (M,)."""
    weights: tuple[Weights, ...]
    """Weights of the first three sets in every resample of patients."""

    @classmethod
    def of(
        cls, trio: _Comparison, sets: Sequence[LabelledImages], resamples: int, seed: int
    ) -> _ResampledComparison:
        """Resample the patients of a comparison."""
        rows = (trio.reference, trio.synthetic, *trio.others)
        people = tuple(sets[min(n, 2)].patients[own] for n, own in enumerate(rows))
        weights = (resample_patients(who, resamples, seed + n) for n, who in enumerate(people[:3]))
        return cls(trio, people, tuple(weights))

    @property
    def limit(self) -> str:
        """A note on what so few images or patients cannot show."""
        return caveat(len(self.trio.synthetic), len(np.unique(self.people[0])))


# --- scores ---


def _score_in_space(
    space: str, scope: _ResampledComparison, views: Sequence[Sequence[_Features]]
) -> Iterator[Score]:
    """All scores of one comparison in one space.

    Args:
        space: Name of the space.
        scope: The comparison.
        views: The features of the three sets, and their principal components.
    """
    full, slim = views
    trio, people, (w, v, u) = scope.trio, scope.people, scope.weights
    found = _score_values(full, slim, trio.reference, (1, trio.synthetic), (w, v), (people[0], people[1]))
    floors = [_score_values(full, slim, trio.reference, (2, trio.others[0]), (w, u), (people[0], people[2]))]
    for rows, who in zip(trio.others[1:], people[3:], strict=True):
        plain = np.ones((1, len(trio.reference))), np.ones((1, len(rows)))
        floors.append(_score_values(full, slim, trio.reference, (2, rows), plain, (people[0], who)))
    for name, values in found.items():
        floor = float(np.mean([other[name][0] for other in floors]))
        yield _build_score(name, space, scope, (values, floors[0][name]), floor)


def _score_values(
    full: Sequence[_Features],
    slim: Sequence[_Features],
    reference: NDArray[np.int64],
    candidates: tuple[int, NDArray[np.int64]],
    weights: tuple[Weights, Weights],
    who: feature_scores.Persons,
) -> dict[str, _Values]:
    """{score: values under every resample} of some images against the reference.

    Args:
        full: Features of the three sets.
        slim: Their principal components.
        reference: Rows of the first set.
        candidates: Number of a set, and rows of it.
        weights: Of the reference and of the candidates, in every resample.
        who: Patients of the reference and of the candidates.
    """
    which, rows = candidates
    real, images = full[0][reference], full[which][rows]
    return {
        "kid": feature_scores.kid_under(real, images, *weights, who),
        "fd": feature_scores.frechet_under(slim[0][reference], slim[which][rows], *weights),
        "sliced_wasserstein": feature_scores.sliced_wasserstein_under(real, images, *weights),
        **feature_scores.neighbourhood_under(real, images, *weights, who),
    }


def _build_score(
    name: str,
    space: str,
    scope: _ResampledComparison,
    under: tuple[_Values, _Values],
    floor: float,
    note: str = "",
) -> Score:
    """Build a score from values under every resample.

    Args:
        name: Name of the score.
        space: Name of the feature space.
        scope: The comparison.
        under: Values of synthetic and of other real images; the first value of each is that of the data.
        floor: What other real images reach.
        note: A sentence to add.
    """
    trio, (values, others) = scope.trio, under
    low, high = interval_about_value(values)
    n, n_real = len(trio.synthetic), len(trio.reference)
    notes = [note, scope.limit]
    return Score(
        name=name,
        space=space,
        label=trio.label,
        value=float(values[0]),
        low=max(low, -np.inf if name == "kid" else 0.0),
        high=min(high, 1.0 if name in _SHARES else np.inf),
        n=n,
        n_real=n_real,
        floor=floor,
        at_floor=_reaches_floor(values, others, floor, _BETTER[name]),
        better=_BETTER[name],
        note="; ".join(words for words in notes if words),
    )


def _reaches_floor(values: _Values, others: _Values, floor: float, better: str) -> bool:
    """Whether the paired interval of the difference to the floor reaches 0 or the better side of it."""
    difference = values - others
    low, high = interval_about_value(np.concatenate([[values[0] - floor], difference[1:]]))
    return low <= 0 if better == "lower" else high >= 0


def _score_variety(
    sets: Sequence[LabelledImages], scopes: Sequence[_ResampledComparison], seed: int
) -> Iterator[Score]:
    """Score how much more alike two synthetic images of a class are than two real ones (MS-SSIM)."""
    if min(sets[0].pixels.shape[2:]) < WINDOW:
        return
    for scope in scopes:
        # Mean MS-SSIM of pairs of real, of synthetic and of other real images.
        trio, (w, v, u) = scope.trio, scope.weights
        if not trio.label:
            continue
        real = _mean_likeness(sets[0], trio.reference, w, seed)
        drawn = _mean_likeness(sets[1], trio.synthetic, v, seed)
        others = [
            _mean_likeness(sets[2], rows, u if not n else np.ones((1, len(rows))), seed)
            for n, rows in enumerate(trio.others)
        ]
        known = [other for other in others if other is not None]
        if real is None or drawn is None or not known:
            continue

        # The gap to real pairs, and that of other real pairs as the floor.
        kind = "more alike than" if drawn[0] > real[0] else "more varied than"
        floor = float(np.mean([abs(other[0] - real[0]) for other in known]))
        gaps = tuple((one - real) * np.sign((one - real)[0]) for one in (drawn, known[0]))
        yield _build_score(
            "ms_ssim_gap",
            "pixels",
            scope,
            (gaps[0], gaps[1]),
            floor,
            f"two synthetic images are {kind} two real ones",
        )


def _mean_likeness(
    images: LabelledImages, rows: NDArray[np.int64], weights: Weights, seed: int
) -> _Values | None:
    """Mean MS-SSIM of pairs of different patients in every resample; None without such pairs."""
    pairs = pairs_of(images.patients[rows], _PAIRS, seed)
    if not len(pairs):
        return None
    return likeness_under(likeness(images.pixels[rows], pairs), pairs, weights)
