"""Write the real images of an output folder: prepared, or as links, then repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from medgan.base import files
from medgan.base.errors import PlanError
from medgan.base.processes import Processes
from medgan.base.progress import OnProgress, Progress, warn
from medgan.dataset.manifest import ARRAY, Record
from medgan.dataset.quota import Quotas
from medgan.output.folder import DatasetWriter, WrittenImage
from medgan.preparation.stack import Stack
from medgan.scans import nifti
from medgan.scans.scan import Provenance

PREPARED, _LINK, NONE = "prepared", "link", "none"
"""Ways in which real images are handed on."""
LINK_WARNING = (
    "--real link hands on your files themselves: editing one of them in the output edits the original. "
    "They keep their own size and form, which may differ from those of the synthetic images, and a "
    "classifier can learn that difference."
)
"""What users should know before originals lie beside synthetic images."""
_COPY_WARNING = "this disk has no hard links, so repeated images are copies here and take room"
_ORIGINAL_SUFFIXES = {"dicom": ".dcm", "png": ".png", "jpeg": ".jpg", "tiff": ".tif"}
"""Suffix of a link by the format of the file, because the name of an original may identify a patient."""


def plan_real_images(
    folder: DatasetWriter, records: Sequence[Record], root: Path, way: str, stack: Stack | None
) -> tuple[int, Callable[[Processes], Iterator[WrittenImage]]]:
    """The number of real images, and a function that writes a process's share of them.

    Args:
        folder: Where they are written.
        records: The scans to write, in the order of the stack.
        root: The folder to which their paths are relative.
        way: "prepared", "link" or "none".
        stack: The images that are "prepared"; the other ways need none.
    """
    if way == NONE:
        return 0, lambda _: iter(())
    if way == _LINK:
        originals = list(_original_files(records, root))
        return len(originals), partial(_link_originals, folder, originals)
    assert stack is not None, "prepared before they are written"
    return len(stack), partial(_write_prepared, folder, stack, records)


def _write_prepared(
    folder: DatasetWriter, stack: Stack, records: Sequence[Record], part: Processes
) -> Iterator[WrittenImage]:
    """Write real images as the generator saw them: those of this process's share."""
    marks = _real_marks(records[position] for position in stack.records.tolist())
    for row, mark in list(enumerate(marks))[part.share(len(stack))]:
        place = folder.place(mark)
        if place.exists():
            yield WrittenImage(mark=mark, path=place)
        else:
            yield folder.put(mark, stack.images([row])[0])


def _link_originals(
    folder: DatasetWriter, originals: Sequence[tuple[Record, Mapping[str, Path]]], part: Processes
) -> Iterator[WrittenImage]:
    """Link this process's share of the real images, named by class and number."""
    marks = _real_marks(record for record, _ in originals)
    for (record, paths), mark in list(zip(originals, marks, strict=True))[part.share(len(originals))]:
        links = [folder.link(mark, record, path, suffix) for suffix, path in paths.items()]
        yield links[0]


def _real_marks(records: Iterable[Record]) -> Iterator[Provenance]:
    """The provenance of real images, numbered within their classes."""
    numbers: Counter[str] = Counter()
    for record in records:
        numbers[record.label] += 1
        yield Provenance(
            synthetic=False, label=record.label, index=numbers[record.label], patient=record.patient
        )


def _original_files(records: Sequence[Record], root: Path) -> Iterator[tuple[Record, Mapping[str, Path]]]:
    """Every image file of these records once, as {suffix of its format: path}."""
    seen: set[str] = set()
    for record in records:
        if record.format == ARRAY:
            raise PlanError(
                f"the images in {record.path.partition('#')[0]} are no files of their own "
                "and cannot be linked",
                hint="Use --real prepared or --real none.",
            )
        paths = [path for path in record.parts or (record.path,) if path not in seen]
        seen.update(paths)  # a file with several kinds of frames has a record for each
        for part in paths:
            yield record, _files_by_format(root / part, record.format)


def _files_by_format(path: Path, format: str) -> Mapping[str, Path]:  # noqa: A002  # the record's word
    """{suffix: file}; the two files of a NIfTI pair belong together."""
    return nifti.volume_files(path) if format == "nifti" else {_ORIGINAL_SUFFIXES[format]: path}


def order_digest(records: Iterable[Record]) -> str:
    """Digest of the order of real images and of their patients.

    A run that continues must find both unchanged.
    """
    return files.digest_of([(record.digest, record.patient) for record in records])


# --- repeats ---


def repeat_images(
    folder: DatasetWriter, images: Sequence[WrittenImage], whole: Quotas, seed: int, on_progress: OnProgress
) -> list[WrittenImage]:
    """Give real images further names, until each class has its number of repeats.

    Repeats that are there already stay. Where linked files hold several images each, a class gets
    proportionally more files.
    """
    classes = {
        label: sorted(
            (image for image in images if image.mark.label == label and not image.mark.synthetic),
            key=lambda image: image.mark.index,
        )
        for label, quota in whole.items()
        if quota.repeated
    }
    if not any(classes.values()):
        return []
    own: dict[str, list[Path]] = {}
    for path in folder.images():
        own.setdefault(path.name.partition(".")[0], []).append(path)
    wanted = {
        label: round(whole[label].repeated * len(real) / whole[label].real) for label, real in classes.items()
    }
    found: list[WrittenImage] = []
    for label, real in classes.items():
        for number, row in enumerate(_choose_repeats(len(real), wanted[label], label, seed), start=1):
            image = real[row]
            found.append(folder.repeat(image, number, own[image.path.name.partition(".")[0]]))
            on_progress(Progress("repeating", len(found), sum(wanted.values())))
    if any(image.repeats is not None and not image.path.samefile(image.repeats) for image in found):
        warn(on_progress, _COPY_WARNING)
    return found


def _choose_repeats(real: int, wanted: int, label: str, seed: int) -> list[int]:
    """Which of `real` images each of the `wanted` repeats shows.

    Each is repeated as often as every other, give or take one; the seed decides who gets one more.
    """
    if not real:
        return []
    rounds, left = divmod(wanted, real)
    rng = np.random.default_rng([seed, int(files.digest(label)[:8], 16)])
    return [*range(real)] * rounds + sorted(rng.permutation(real)[:left].tolist())
