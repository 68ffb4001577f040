"""Whom a training holds out, and the real images of a split as the evidence looks at them, prepared by a plan as for training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medgan.base import cache
from medgan.base.progress import OnProgress
from medgan.dataset.manifest import Manifest, sort_by_content
from medgan.dataset.split import hold_out, hold_out_for_training, holdout_of_training
from medgan.evaluation.giveaways import Circumstances
from medgan.learners.gan.model import Model
from medgan.plan import Overrides, Plan
from medgan.prepare.images import LabelledImages
from medgan.prepare.stack import prepare


def divide(
    manifest: Manifest, wish: float | None, maker: Overrides | Model, *, same: bool = True
) -> Manifest:
    """The data set less whom the training of a model held out, or will hold out; unless it is the `same` data, as is wished for alone."""
    if isinstance(maker, Model):
        how = holdout_of_training(maker.holdout if same else None, wish)
        return hold_out(manifest, how, maker.plan.seed)
    return hold_out_for_training(manifest, wish, maker.seed or 0)


def split_images(
    manifest: Manifest, split: str, plan: Plan, on_progress: OnProgress, most: int | None = None
) -> LabelledImages:
    """The images of one split, of the plan's classes; at most `most` of a class, the same ones every time."""
    return read_split(manifest, split, plan, on_progress, most)[0]


def read_split(
    manifest: Manifest, split: str, plan: Plan, on_progress: OnProgress, most: int | None = None
) -> tuple[LabelledImages, Circumstances]:
    """`split_images`, and what the file of each says beside its picture."""
    records = manifest.training() if split == "train" else sort_by_content(manifest.usable(split))
    shown = tuple(replace(record, split="train") for record in records if record.label in plan.labels)
    if not shown:
        none = np.array([], str)
        pixels = np.zeros((0, plan.channels, *plan.size), np.float32)
        nobody = LabelledImages(
            pixels=pixels, labels=np.array([], np.int64), names=plan.labels, patients=none, sources=none
        )
        return nobody, Circumstances.of([])
    shown_alone = replace(manifest, records=shown)
    stack = prepare(shown_alone, plan, cache.stacks_folder(), on_progress=on_progress)
    chance = np.random.default_rng(0)
    rows = np.sort(np.concatenate([chance.permutation(stack.rows_of(label))[:most] for label in stack.names]))
    sources = [f"patient {stack.patients[row]}, image {stack.slices[row] + 1}" for row in rows]
    images = LabelledImages(
        pixels=stack.images(rows),
        labels=stack.labels[rows],
        names=stack.names,
        patients=stack.patients[rows],
        sources=np.array(sources),
    )
    prepared = shown_alone.training()
    return images, Circumstances.of([prepared[place] for place in stack.records[rows].tolist()])
