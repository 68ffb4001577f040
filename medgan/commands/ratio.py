"""Counts and wishes -> how many synthetic images each class gets; with `--ratio auto`, as many as validation patients say.

`auto` draws what the whole top-up would take, trains classifiers with and without it at every ratio (`quality.ratios`), and asks
validation patients alone: neither the generator nor the classifiers learned from them, and test patients stay unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medgan import __version__, files
from medgan.commands.kept import Kept
from medgan.commands.offer import drawn_images, seeds_of
from medgan.commands.preflight import AUTO
from medgan.commands.sifting import Against, Wish
from medgan.commands.splits import split_images
from medgan.dataset.manifest import Manifest
from medgan.dataset.quota import capped, quotas
from medgan.errors import PlanError
from medgan.gan.model import Model
from medgan.progress import OnProgress
from medgan.quality.arms import PARITY, rare_classes
from medgan.quality.contest import EFFORTS, judges_here
from medgan.quality.ratios import Chosen, choose_ratio, wish_of

MOST = 1000
"""Synthetic images of a class that are drawn to be tried."""
RUNS, RESULT = "runs.jsonl", "ratio.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """How far classes are topped up."""

    target: str | int = "largest"
    per_class: Mapping[str, int]
    most: float | None = None
    """Synthetic images per real one at most."""
    ratio: str = PARITY
    """Synthetic images per real one, up to the target: a number, "parity" (up to the target), or "auto"."""
    everywhere: bool = False
    """Every class gets as many synthetic images as the one that lacks most, and no more than `most` allows in any."""
    seed: int = 0
    """Of each class's first synthetic image."""
    device: str = "auto"

    def missing(self, before: Mapping[str, int]) -> dict[str, int]:
        """{class: synthetic images} beside `before` real ones; "auto" counts as parity until it is settled."""
        limits = [self.most, None if self.ratio in {PARITY, AUTO} else float(self.ratio)]
        most = min((limit for limit in limits if limit is not None), default=None)
        lacking = quotas(before, self.target, self.per_class, most)
        if not self.everywhere:
            return lacking
        shared = max(lacking.values(), default=0)
        # A ratio is asked of the class that lacks most, as by the classifiers that try it; a limit holds in every class.
        return dict.fromkeys(
            lacking, min((capped(shared, have, self.most) for have in before.values()), default=0)
        )


def refuse_unvalidated(manifest: Manifest, before: Mapping[str, int]) -> None:
    """PlanError where validation patients cannot say what is best: before hours of training, not after."""
    there = manifest.images().get("val", {})
    absent = [label for label in rare_classes(before) if not there.get(label)]
    if absent or sum(count > 0 for count in there.values()) < 2:
        raise PlanError(
            "--ratio auto is chosen by validation patients, and there are none"
            + (f" of {', '.join(absent)}" if there and absent else ""),
            hint="Set some aside with --holdout 0.25, or make a val/ folder beside train/.",
        )


def settle(
    manifest: Manifest,
    model: Model,
    top_up: TopUp,
    place: Path,
    against: Callable[[], Against] | None,
    on_progress: OnProgress,
) -> Chosen:
    """Try every ratio on the data set `model` learned from; what is finished is kept in the folder `place`.

    Images are tried as they would be written: chosen beside the training images that `against` gives, or unfiltered without it.
    """
    if model.data_digest != manifest.digest:
        raise PlanError(
            "--ratio auto cannot be trusted with a model that learned from other data: it may have seen the validation patients",
            hint="Leave --any-model away, or name a ratio.",
        )
    seed = top_up.seed
    train, val = (split_images(manifest, split, model.plan, on_progress) for split in ("train", "val"))
    wanted = {label: min(count, MOST) for label, count in top_up.missing(train.counts).items()}
    settings = wish_of(EFFORTS["quick"], everywhere=top_up.everywhere)
    settings = replace(settings, judges=judges_here(settings.judges))
    held = sorted((record.digest, record.label) for record in manifest.usable("val"))
    key = files.digest_of(
        [__version__, manifest.digest, held, model.digest, wanted, seed, settings, against is None]
    )
    seeds = seeds_of(model, Wish(counts=wanted, seed=seed, device=top_up.device), against, on_progress)
    found = choose_ratio(
        train,
        val,
        drawn_images(model, seeds, top_up.device, on_progress),
        settings=settings,
        seed=seed,
        runs=Kept(place / RUNS, key),
        on_progress=on_progress,
    )
    files.write_json(place / RESULT, found)
    return found
