"""Counts and wishes -> what each class of a balanced folder is made up of; with `--share auto`, the share that validation patients say.

`auto` draws what the largest share would take, trains classifiers with and without it at every share (`evaluation.share_choice`), and asks
validation patients alone: neither the generator nor the classifiers learned from them, and test patients stay unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medgan import __version__
from medgan.base import files
from medgan.base.errors import PlanError
from medgan.base.progress import OnProgress
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
from medgan.evaluation.arms import rare_classes
from medgan.evaluation.result_cache import ResultCache
from medgan.evaluation.share_choice import MOST as LARGEST
from medgan.evaluation.share_choice import Chosen, choose_share, wish_of
from medgan.evaluation.splits import split_images
from medgan.evaluation.trials import EFFORTS, judges_here
from medgan.filtering.candidates import ReferenceSet, SampleRequest, Selection
from medgan.filtering.in_memory import choose_seeds, draw_images
from medgan.learners.gan.model import Model

MOST = 1000
"""Synthetic images of a class that are drawn to be tried."""
RUNS, RESULT = "runs.jsonl", "share.json"
ONE_SIDED = (
    "--fill synthetic puts synthetic images into the classes that lack some, and only there, so that they become a sign of the class. "
    "Measured on chest X-rays with 40 rare images (128 px, linear probe, one split): AUPRC of the rare class fell by 5.8 points "
    "(95 % -9.4 to -2.5) where the same images in every class cost nothing (+0.4, -0.6 to +1.5)."
)
"""What is known of topping up rare classes alone."""
DIGITS = (2, 3, 4)
"""Decimals in which a share is told: as few as tell it from the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How far classes are filled up, and with what."""

    target: str | int = "largest"
    per_class: Mapping[str, int]
    most: float | None = None
    """Synthetic images per (different) real one at most."""
    fill: str = "repeated"
    """With what classes reach their target: "repeated" real images, or "synthetic" ones."""
    share: float | str | None
    """Of synthetic images in every class; "auto" counts as the largest that is tried until it is settled; None where classes are
    filled up with synthetic images."""
    seed: int = 0
    """Of each class's first synthetic image."""
    device: str = "auto"

    @property
    def one_sided(self) -> bool:
        """Whether synthetic images join only the classes that lack some."""
        return self.fill == SYNTHETIC

    @property
    def number(self) -> float:
        """The share as a number."""
        assert self.share is not None, "there is one unless the mixture is one-sided"
        return float(LARGEST if self.share == AUTO else self.share)

    def of(self, before: Mapping[str, int]) -> dict[str, Quota]:
        """What each class of `before` real images is made up of, as far as numbers can tell before any image is drawn."""
        lacking = quotas(before, self.target, self.per_class)
        if self.one_sided:
            return top_up(before, lacking, self.most)
        return same_share(before, lacking, self.number, self.most)

    def limit(self, before: Mapping[str, int]) -> str:
        """Why the share is smaller than it was asked to be; empty where it is not."""
        if self.one_sided or self.most is None or self.share == AUTO:
            return ""
        wanted = replace(self, most=None).of(before)
        available = allowed_synthetic(wanted, self.most)
        return less(
            wanted, available, self.number, "{} of {} images of {} are allowed by --max-synthetic-ratio"
        )

    def fit(self, wanted: Quotas, choice: Selection) -> tuple[dict[str, Quota], str]:
        """What classes are made up of where the filter keeps fewer images than wanted, and the sentence that says so."""
        available = {label: len(choice.seeds(label)) for label in wanted}
        if not self.one_sided:
            words = "only {} of {} images of {} passed the filter"
            return level_shares(wanted, available), less(wanted, available, self.number, words)
        short = {label: quota.made - available[label] for label, quota in wanted.items()}
        lost = ", ".join(f"{count} of class {label}" for label, count in short.items() if count > 0)
        words = f"repeated real images stand in for synthetic ones that did not pass the filter: {lost}"
        return fill_with_repeats(wanted, available), words if lost else ""


def less(wanted: Quotas, available: Mapping[str, int], asked: float, words: str) -> str:
    """The sentence for a share that is smaller than `asked`, `words` for why; empty where all can have what they should."""
    label = scarcest_class(wanted, available)
    if label is None:
        return ""
    reached = synthetic_share(level_shares(wanted, available))
    told = next(
        (text for digits in DIGITS if float(text := f"{reached:.{digits}f}") != asked), f"{reached:.4f}"
    )
    why = words.format(available[label], wanted[label].made, label)
    return f"share {float(told):g} instead of {asked:g}: {why}"


def beside(whole: Quotas) -> str:
    """What real images synthetic ones that are written alone belong beside."""
    bodies = {label: quota.body for label, quota in whole.items()}
    if len(set(bodies.values())) == 1:
        words = f"until every class has {next(iter(bodies.values())):,}"
    else:
        words = f"until there are {', '.join(f'{count:,} of {label}' for label, count in bodies.items())}"
    return (
        f"These images belong beside your real ones, repeated {words}: beside fewer the share of synthetic images differs from class to"
        " class, and becomes a sign of the class."
    )


def require_validation(manifest: Manifest, before: Mapping[str, int]) -> None:
    """PlanError where validation patients cannot say what is best: before hours of training, not after."""
    there = manifest.images().get("val", {})
    absent = [label for label in rare_classes(before) if not there.get(label)]
    if absent or sum(count > 0 for count in there.values()) < 2:
        raise PlanError(
            "--share auto is chosen by validation patients, and there are none"
            + (f" of {', '.join(absent)}" if there and absent else ""),
            hint="Set some aside with --holdout 0.25, or make a val/ folder beside train/.",
        )


def settle(
    manifest: Manifest,
    model: Model,
    mixture: Mixture,
    place: Path,
    against: Callable[[], ReferenceSet] | None,
    on_progress: OnProgress,
) -> Chosen:
    """Try every share on the data set `model` learned from; what is finished is kept in the folder `place`.

    Images are tried as they would be written: chosen beside the training images that `against` gives, or unfiltered without it.
    """
    if model.data_digest != manifest.digest:
        raise PlanError(
            "--share auto cannot be trusted with a model that learned from other data: it may have seen the validation patients",
            hint="Leave --any-model away, or name a share.",
        )
    seed = mixture.seed
    train, val = (split_images(manifest, split, model.plan, on_progress) for split in ("train", "val"))
    wanted = {label: min(quota.made, MOST) for label, quota in mixture.of(train.counts).items()}
    settings = wish_of(EFFORTS["quick"])
    settings = replace(settings, judges=judges_here(settings.judges))
    held = sorted((record.digest, record.label) for record in manifest.usable("val"))
    key = files.digest_of(
        [__version__, manifest.digest, held, model.digest, wanted, seed, settings, against is None]
    )
    wish = SampleRequest(counts=wanted, seed=seed, device=mixture.device, doubtful=False)
    seeds = choose_seeds(model, wish, against, on_progress)
    found = choose_share(
        train,
        val,
        draw_images(model, seeds, mixture.device, on_progress),
        settings=settings,
        seed=seed,
        runs=ResultCache(place / RUNS, key),
        on_progress=on_progress,
    )
    files.write_json(place / RESULT, found)
    return found
