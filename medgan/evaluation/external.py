"""Read another hospital's scans, of patients who are not in the data set, for a second test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medgan.base.errors import DatasetError
from medgan.base.job import Job
from medgan.dataset.index import index
from medgan.dataset.manifest import Manifest, Record, digest_records
from medgan.dataset.source import Source
from medgan.evaluation.giveaways import Circumstances
from medgan.evaluation.splits import read_records, refuse_unknown_classes
from medgan.evaluation.usefulness.arms import rare_classes
from medgan.plan import Frame
from medgan.preparation.images import LabelledImages


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class External:
    """Images of another hospital's patients; empty if none were asked for."""

    images: LabelledImages | None = None
    circumstances: Circumstances | None = None
    """Facts of their files. Scanners are unknown, because the data set's numbers mean others."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Digest of the scans."""
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Circumstances]:
        """{"external": facts of the files}; empty if there are no images."""
        return {} if self.circumstances is None else {"external": self.circumstances}


def read_external(
    folder: Path | None, source: Source, manifest: Manifest, frame: Frame, most: int, job: Job
) -> External:
    """Read the scans of all splits of a folder, and prepare them like those of the data set.

    Args:
        folder: Another hospital's scans; None reads nothing.
        source: How the data set was read, which holds here too except for a table of labels.
        manifest: The data set.
        frame: How to prepare images.
        most: Images per class, at most.
        job: Its processes read the scans; it is told of the progress.

    Raises:
        DatasetError: the folder holds a class that the data set lacks, no image of a rare class, only one
            class, only patients of the data set, or scans with other values.
    """
    if folder is None:
        return External()
    theirs = index(replace(source, path=folder, labels=None, lines=None), job)
    refuse_unknown_classes(theirs.labels, frame.labels, folder)
    kept, shared = _divide_patients(theirs, manifest)
    if not kept:
        raise DatasetError(
            f"every patient of {folder} is in the data set too, with the same images",
            hint="Name scans of other patients with --external, or remove it.",
        )
    _require_two_classes(kept, manifest, folder, most)
    images, circumstances = _prepare(theirs, kept, frame, folder, most, job)
    return External(
        images=images,
        circumstances=replace(circumstances, scanner=np.zeros_like(circumstances.scanner)),
        sources={"external": digest_records(kept)},
        notes=_notes(theirs, kept, shared),
    )


def _require_two_classes(kept: Sequence[Record], manifest: Manifest, folder: Path, most: int) -> None:
    """Raise DatasetError, before anything is trained, if a rare class or a second class is missing."""
    labels = {record.label for record in kept}
    if len(labels) < 2:
        raise DatasetError(
            f"{folder} holds only images of class {min(labels)}, and two classes are needed",
            hint="Add scans of the other classes to it.",
        )
    rare = rare_classes({label: min(count, most) for label, count in manifest.training_counts().items()})
    missing = [label for label in rare if label not in labels]
    if missing:
        raise DatasetError(
            f"{folder} holds no image of {', '.join(missing)}, a rare class of the data set, so it cannot be"
            " told whether a classifier gains there",
            hint="Add scans of it, or remove --external.",
        )


def _divide_patients(theirs: Manifest, manifest: Manifest) -> tuple[list[Record], set[str]]:
    """Divide patients into those without any image in the data set (their records) and the others.

    Patients are compared by their images, because hospitals use the same identifiers for different patients.
    """
    digests = {record.digest for record in manifest.usable()}
    usable = list(theirs.usable())
    shared = {record.patient for record in usable if record.digest in digests}
    return [record for record in usable if record.patient not in shared], shared


def _prepare(
    theirs: Manifest, kept: Sequence[Record], frame: Frame, folder: Path, most: int, job: Job
) -> tuple[LabelledImages, Circumstances]:
    """Prepare the images; raises DatasetError with the folder's name if they do not fit the frame."""
    try:
        return read_records(theirs, kept, frame, job, most)
    except DatasetError as error:
        raise DatasetError(
            f"{folder} cannot be prepared like the data set: {error.message}",
            hint="Export its scans like those of the data set: the same modality, values and millimetres.",
        ) from error


def _notes(theirs: Manifest, kept: list[Record], shared: set[str]) -> tuple[str, ...]:
    """Notes on what was left out and what is not known."""
    people = len({record.patient for record in theirs.usable()})
    found = []
    if shared:
        found.append(
            f"{len(shared):,} of {people:,} external patients were left out, because the data set holds the"
            " same images of them"
        )
    if not all(record.named for record in kept):
        found.append("external scans that name no patient count as a patient each")
    return tuple(found)
