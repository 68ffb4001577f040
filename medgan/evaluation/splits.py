"""Hold out patients as the training did, and prepare the images of a split."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from medgan.base import cache
from medgan.base.errors import DatasetError
from medgan.base.job import Job
from medgan.dataset.manifest import Manifest, Record, sort_by_content
from medgan.dataset.split import hold_out, hold_out_for_training, holdout_of_training
from medgan.evaluation.giveaways import Circumstances
from medgan.learners.gan.model import Model
from medgan.plan import Frame, Overrides
from medgan.preparation.images import LabelledImages
from medgan.preparation.stack import prepare


def divide(
    manifest: Manifest, wish: float | None, maker: Overrides | Model, *, same: bool = True
) -> Manifest:
    """Hold out the patients whom the training of a model held out, or will hold out.

    Args:
        manifest: The data set.
        wish: Share of the patients that the user asks for; None leaves it to the model or the default.
        maker: The model, or the settings of one that is still to be trained.
        same: Whether the model was trained on this data set; otherwise only `wish` counts.
    """
    if isinstance(maker, Model):
        how = holdout_of_training(maker.holdout if same else None, wish)
        return hold_out(manifest, how, maker.plan.budget.seed)
    return hold_out_for_training(manifest, wish, maker.seed or 0)


def refuse_unknown_classes(labels: Iterable[str], known: Collection[str], folder: Path) -> None:
    """Raise DatasetError if a folder holds classes that the data set lacks."""
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise DatasetError(
            f"{folder} holds classes that the data set lacks: {', '.join(unknown)}",
            hint=f"Name its folders like the classes of the data set ({', '.join(known)}), remove the others,"
            " or name another data set.",
        )


def split_images(
    manifest: Manifest, split: str, frame: Frame, job: Job, most: int | None = None
) -> LabelledImages:
    """Prepare the images of one split, at most `most` per class and the same ones every time."""
    return read_split(manifest, split, frame, job, most)[0]


def read_split(
    manifest: Manifest, split: str, frame: Frame, job: Job, most: int | None = None
) -> tuple[LabelledImages, Circumstances]:
    """Prepare the images of one split, and collect the facts of their files; see `split_images`."""
    records = manifest.training() if split == "train" else manifest.usable(split)
    return read_records(manifest, records, frame, job, most)


def read_records(
    manifest: Manifest, records: Iterable[Record], frame: Frame, job: Job, most: int | None = None
) -> tuple[LabelledImages, Circumstances]:
    """Prepare the images of these scans, and collect the facts of their files.

    Args:
        manifest: The data set.
        records: Some of its scans; those whose class the frame lacks are left out.
        frame: How to prepare images.
        job: Its processes read the scans; it is told of the progress.
        most: Images per class, at most, the same ones every time; None: all.
    """
    shown = sort_by_content(record for record in records if record.label in frame.labels)
    if not shown:
        none = np.array([], str)
        pixels = np.zeros((0, *frame.shape), np.float32)
        nobody = LabelledImages(
            pixels=pixels, labels=np.array([], np.int64), names=frame.labels, patients=none, sources=none
        )
        return nobody, Circumstances.of([])
    stack = prepare(manifest, frame, cache.stacks_folder(), job, records=shown)

    # Draw images of every class.
    rng = np.random.default_rng(0)
    rows = np.sort(np.concatenate([rng.permutation(stack.rows_of(label))[:most] for label in stack.names]))
    sources = [f"patient {stack.patients[row]}, image {stack.slices[row] + 1}" for row in rows]
    images = LabelledImages(
        pixels=stack.images(rows),
        labels=stack.labels[rows],
        names=stack.names,
        patients=stack.patients[rows],
        sources=np.array(sources),
    )
    return images, Circumstances.of([shown[place] for place in stack.records[rows].tolist()])
