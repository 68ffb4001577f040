"""Decide how many images of each kind make up a class of a balanced folder.

The kinds are real, repeated and synthetic.

With `--share auto` the share of synthetic images is chosen on validation patients. The images that the
largest share needs are drawn, and classifiers are trained at every share (`evaluation.share_choice`).
Neither the generator nor the classifiers learned from validation patients, and test patients are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medgan import __version__
from medgan.base import files
from medgan.base.errors import PlanError
from medgan.base.job import Job
from medgan.base.run_folder import ResultCache
from medgan.commands.preflight import AUTO, SYNTHETIC
from medgan.dataset.manifest import Manifest
from medgan.dataset.quota import (
    Quota,
    Quotas,
    allowed_synthetic,
    fill_with_repeats,
    level_shares,
    quotas,
    same_share,
    scarcest_class,
    synthetic_share,
    top_up,
)
from medgan.evaluation.splits import split_images
from medgan.evaluation.usefulness.arms import rare_classes
from medgan.evaluation.usefulness.image_sets import Split
from medgan.evaluation.usefulness.share_choice import MOST as LARGEST
from medgan.evaluation.usefulness.share_choice import Chosen, choose_share, wish_of
from medgan.evaluation.usefulness.trials import EFFORTS, judges_here
from medgan.filtering.candidates import ReferenceSet, SampleRequest, Selection, count_outcomes
from medgan.filtering.in_memory import choose_seeds, draw_images
from medgan.filtering.selection import CLASS
from medgan.learners.gan.model import Model

_MEASURES = 2
"""Version of the measurements; a choice that an older version began is made anew."""
_MOST_TRIED = 1000
"""Synthetic images per class that are drawn at most to try shares."""
_RUNS = "runs.jsonl"
"""Cache of the classifier runs that are finished."""
_RESULT = "share.json"
"""The share that was chosen, and the reason."""
ONE_SIDED = (
    "--fill synthetic puts synthetic images only into the classes that lack some, so that being synthetic "
    "becomes a sign of the class. Measured on chest X-rays with 40 rare images (64 px, fine-tuned "
    "EfficientNet-Lite1, ten splits): AUPRC of the rare class was 2.9 points (95 % 1.4 to 4.4) below that "
    "with the same share in every class, and 2.7 (0.0 to 5.3) below the best way without synthetic images."
)
"""What is known about synthetic images in rare classes alone."""
_DIGITS = (2, 3, 4)
"""Decimals of a share in messages: as few as distinguish it from the share asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancePolicy:
    """How large classes become, and with which images."""

    target: str | int = "largest"
    per_class: Mapping[str, int]
    most: float | None = None
    """Synthetic images per distinct real image, at most."""
    fill: str = "repeated"
    """What fills classes up to their target: "repeated" real images, or "synthetic" ones."""
    share: float | str | None
    """Share of synthetic images in every class; None if `fill` is "synthetic".

    "auto" counts as the largest share that is tried, until one is chosen.
    """
    seed: int = 0
    """Seed of the first synthetic image of each class."""

    @property
    def one_sided(self) -> bool:
        """Whether synthetic images join only the classes that lack images."""
        return self.fill == SYNTHETIC

    @property
    def number(self) -> float:
        """The share as a number."""
        assert self.share is not None, "there is one unless the mixture is one-sided"
        return float(LARGEST if self.share == AUTO else self.share)

    def of(self, before: Mapping[str, int]) -> dict[str, Quota]:
        """{label: quota} for classes of `before` real images, before any image is drawn."""
        lacking = quotas(before, self.target, self.per_class)
        if self.one_sided:
            return top_up(before, lacking, self.most)
        return same_share(before, lacking, self.number, self.most)

    def limit(self, before: Mapping[str, int]) -> str:
        """Say why the share is smaller than asked for; empty if it is not."""
        if self.one_sided or self.most is None or self.share == AUTO:
            return ""
        wanted = replace(self, most=None).of(before)
        available = allowed_synthetic(wanted, self.most)
        return _smaller_share_text(
            wanted, available, self.number, "{} of {} images of {} are allowed by --max-synthetic-ratio"
        )

    def fit(self, wanted: Quotas, choice: Selection) -> tuple[dict[str, Quota], str]:
        """Reduce quotas to what passed the filter; return them with the sentence that says so."""
        available = {label: len(choice.seeds(label)) for label in wanted}
        if not self.one_sided:
            words = "only {} of {} images of {} passed the filter" + _refusals_text(wanted, available, choice)
            return level_shares(wanted, available), _smaller_share_text(wanted, available, self.number, words)
        short = {label: quota.made - available[label] for label, quota in wanted.items()}
        lost = ", ".join(f"{count} of class {label}" for label, count in short.items() if count > 0)
        words = f"repeated real images stand in for synthetic ones that did not pass the filter: {lost}"
        return fill_with_repeats(wanted, available), words if lost else ""


def _refusals_text(wanted: Quotas, available: Mapping[str, int], choice: Selection) -> str:
    """What most candidates of the scarcest class were refused for, if it was their class; else empty."""
    counts = count_outcomes(choice.drawn.get(scarcest_class(wanted, available) or "", ()))
    if 2 * counts[CLASS] <= counts["drawn"]:
        return ""
    return (
        f"; {counts[CLASS]:,} of {counts['drawn']:,} drawn show that class less surely than real images do, "
        "and a longer training (--minutes) may draw better ones"
    )


def _smaller_share_text(wanted: Quotas, available: Mapping[str, int], asked: float, words: str) -> str:
    """Say that a share is smaller than asked for; empty if every class gets its images.

    Args:
        wanted: {label: quota at the share asked for}.
        available: {label: synthetic images that are there}.
        asked: The share asked for.
        words: The reason, with places for the images available, the images wanted and the class.
    """
    label = scarcest_class(wanted, available)
    if label is None:
        return ""
    reached = synthetic_share(level_shares(wanted, available))
    rounded = next(
        (text for digits in _DIGITS if float(text := f"{reached:.{digits}f}") != asked), f"{reached:.4f}"
    )
    why = words.format(available[label], wanted[label].made, label)
    return f"share {float(rounded):g} instead of {asked:g}: {why}"


def companion_text(whole: Quotas) -> str:
    """Say which real images belong beside synthetic images that are written alone."""
    bodies = {label: quota.body for label, quota in whole.items()}
    if len(set(bodies.values())) == 1:
        words = f"until every class has {next(iter(bodies.values())):,}"
    else:
        words = f"until there are {', '.join(f'{count:,} of {label}' for label, count in bodies.items())}"
    return (
        f"Use these images together with your real ones, repeated {words}. With fewer real images the share "
        "of synthetic images differs between classes and becomes a sign of the class."
    )


def require_validation(manifest: Manifest, before: Mapping[str, int]) -> None:
    """Raise PlanError, before hours of training, if no validation patients can choose the share."""
    there = manifest.images().get("val", {})
    absent = [label for label in rare_classes(before) if not there.get(label)]
    if absent or sum(count > 0 for count in there.values()) < 2:
        raise PlanError(
            "--share auto needs validation patients, and there are none"
            + (f" of {', '.join(absent)}" if there and absent else ""),
            hint="Set some aside with --holdout 0.25, or make a val/ folder beside train/.",
        )


def settle_share(
    manifest: Manifest,
    model: Model,
    mixture: BalancePolicy,
    place: Path,
    against: Callable[[], ReferenceSet] | None,
    job: Job,
) -> Chosen:
    """Try every share and choose one on validation patients.

    Args:
        manifest: The data set that the model learned from.
        model: Draws the synthetic images.
        mixture: The policy whose share is "auto".
        place: Folder for the finished runs and the result, from which a repeated command continues.
        against: Loads the training images that candidates are compared with; None tries unfiltered images.
        job: Where images are drawn; it is told of the progress.

    Raises:
        PlanError: the model learned from other data, and perhaps from the validation patients.
    """
    if model.data_digest != manifest.digest:
        raise PlanError(
            "--share auto needs a model that was trained on this data set; another one may have seen the "
            "validation patients",
            hint="Remove --any-model, or give a share such as --share 0.25.",
        )

    # Real images, and how many synthetic ones the largest share needs.
    seed = mixture.seed
    train, val = (split_images(manifest, split, model.plan.frame, job) for split in ("train", "val"))
    wanted = {label: min(quota.made, _MOST_TRIED) for label, quota in mixture.of(train.counts).items()}

    # Everything that the result depends on is in the key of the cache.
    settings = wish_of(EFFORTS["quick"])
    settings = replace(settings, judges=judges_here(settings.judges))
    held = sorted((record.digest, record.label) for record in manifest.usable("val"))
    key = files.digest_of(
        [_MEASURES, __version__, manifest.digest, held, model.digest, wanted, seed, settings, against is None]
    )

    # Draw the images as they would be written, and try every share.
    wish = SampleRequest(counts=wanted, seed=seed, doubtful=False)
    seeds = choose_seeds(model, wish, against, job)
    found = choose_share(
        Split(train, val, draw_images(model, seeds, job)),
        settings=settings,
        seed=seed,
        runs=ResultCache(place / _RUNS, key),
        on_progress=job.tell,
    )
    files.write_json(place / _RESULT, found)
    return found
