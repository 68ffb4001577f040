"""Finalise a filled output folder: read back, describe, sum, and write run.json."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medgan import __version__
from medgan.base import files
from medgan.base.errors import ScanError
from medgan.base.progress import OnProgress, Progress
from medgan.base.results import FILTER_OFF, WriteResult
from medgan.base.run_folder import RECORD, RunFolder
from medgan.dataset.manifest import Holdout, Record
from medgan.dataset.measure import pixel_digest
from medgan.output import tables
from medgan.output.card import CONTACT_SHEET, data_card
from medgan.output.folder import (
    MANIFEST,
    METADATA,
    NO_SHARE,
    REJECTED,
    VERSION,
    DatasetWriter,
    Settings,
    WrittenImage,
    dataset_folder,
)
from medgan.output.tables import FolderContents, ManifestRow
from medgan.pictures.contact_sheet import contact_sheet, images_per_class
from medgan.pictures.display import ClassGallery, Images
from medgan.pictures.spread import choose_spread
from medgan.scans import formats
from medgan.scans.scan import Header, OutputFormat, Pixels, Scan

_TOOL = f"medgan {__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterResult:
    """What the folder reports about the filter, as plain text and tables."""

    report: Mapping[str, Any] = field(default_factory=lambda: dict(FILTER_OFF))
    """The entry of run.json."""
    text: str = ""
    """Section of the data card."""
    scores: Mapping[tuple[str, int], Mapping[str, Any]] = field(default_factory=dict)
    """{(label, seed): columns of manifest.csv} of every image that was kept."""
    rejected: Sequence[Mapping[str, Any]] | None = None
    """Rows of rejected.csv; None where the filter was off, and there is no such file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What run.json and the data card tell beside the images themselves."""

    command: str
    """The command as users type it, such as "sample"."""
    settings: Settings
    before: Mapping[str, int]
    """{label: real training images} of every class."""
    model: str = ""
    """SHA-256 of the generator's weights; empty when none was needed."""
    data: str = ""
    """SHA-256 of the data that the generator was trained on."""
    split: str = "train"
    """The split of these images, "" for all splits together. Synthetic images are always in "train"."""
    training_seed: int | None = None
    """Seed of its training, by which patients were held out; None when no generator was needed."""
    holdout: Holdout | None = None
    """What its training held out; None where that is unknown."""
    cautions: tuple[str, ...] = ()
    """Sentences on classes with little to learn from."""
    real: str = "none"
    """"prepared", "link" or "none"."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """{verdict: input files}."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """{label: real images that are in the folder once more}; classes without any may be absent."""
    share: Mapping[str, Any] = field(default_factory=lambda: dict(NO_SHARE))
    """`WriteResult.share`."""
    notes: tuple[str, ...] = ()
    """`WriteResult.notes`."""
    filter: FilterResult = field(default_factory=FilterResult)
    """What the filter did."""
    films: tuple[str, ...] = ()
    """Paths of the films within the folder."""


def finalise(
    folder: DatasetWriter, images: Sequence[WrittenImage], account: RunFacts, on_progress: OnProgress
) -> WriteResult:
    """Read every image back, describe it, and close the folder.

    Equal folders get equal descriptions.
    """
    gallery, rows = _read_all(folder, images, account, on_progress)
    contents = _contents_of(folder, account, rows)
    real, synthetic = contents.tally("real"), contents.tally("synthetic")
    repeated = {label: account.repeated.get(label, 0) for label in synthetic}
    after = {label: account.before[label] + repeated[label] + made for label, made in synthetic.items()}
    written = WriteResult(
        version=VERSION,
        out=folder.path,
        counts={"before": dict(account.before), "after": after},
        real=account.real,
        written=synthetic,
        repeated=repeated,
        share=account.share,
        notes=account.notes,
        filter=account.filter.report,
        manifest=folder.path / MANIFEST,
        films=tuple(folder.path / name for name in account.films) or None,
    )
    rejected = account.filter.rejected
    _close(
        folder,
        gallery.galleries({label: (real[label], made) for label, made in synthetic.items()}),
        {
            MANIFEST: tables.manifest_csv(rows),
            **({} if rejected is None else {REJECTED: tables.rejected_csv(rejected)}),
            "datalist.json": tables.datalist_json(contents),
            **({METADATA: tables.metadata_csv(rows)} if tables.is_image_folder(rows) else {}),
            "README.md": data_card(contents),
        },
        dataset_folder(folder.path, account.command),
        _run_record(folder, account, written),
    )
    return written


def _read_all(
    folder: DatasetWriter, images: Sequence[WrittenImage], account: RunFacts, on_progress: OnProgress
) -> tuple[_SheetImages, list[ManifestRow]]:
    """The images for the contact sheet, and a line of the manifest for every image.

    Lines are sorted by path.
    """
    numbers = tables.label_ids(folder.folders)
    images = sorted(images, key=lambda image: image.path)
    gallery, chosen, scores = _SheetImages(), _choose_for_sheet(images), account.filter.scores
    rows: list[ManifestRow] = []
    known: dict[Path, ManifestRow] = {}
    for done, image in enumerate(images, start=1):
        if image.repeats is None:
            row, pixels = _describe_image(folder, image, numbers[image.mark.label], account.split)
        else:
            row, pixels = _row_of_repeat(folder, image, known[image.repeats]), None
        if image.mark.seed is not None:
            row = replace(row, **scores.get((image.mark.label, image.mark.seed), {"filter": "off"}))
        known[image.path] = row
        rows.append(row)
        if pixels is not None and image.path in chosen:
            gallery.add(row, pixels)
        on_progress(Progress(stage="checking", done=done, total=len(images)))
    return gallery, rows


def _contents_of(folder: DatasetWriter, account: RunFacts, rows: Sequence[ManifestRow]) -> FolderContents:
    """All that the data card and datalist.json tell."""
    return FolderContents(
        command=f"medgan {account.command}",
        folders=folder.folders,
        rows=rows,
        form=folder.form,
        real=account.real,
        tool=_TOOL,
        model=account.model,
        data=account.data,
        share=account.share,
        notes=account.notes,
        checks=account.filter.text,
        cautions=account.cautions,
        split=account.split,
    )


def _row_of_repeat(folder: DatasetWriter, image: WrittenImage, row: ManifestRow) -> ManifestRow:
    """The line of a repeated image: that of the real one, `row`, under another name."""
    path = image.path.relative_to(folder.path).as_posix()
    return replace(row, path=path, index=image.number, repeats=row.path)


def _describe_image(
    folder: DatasetWriter, image: WrittenImage, number: int, split: str
) -> tuple[ManifestRow, Pixels | None]:
    """A line of the manifest, and the pixels (C, H, W) as readers get them.

    There are no pixels for a link.
    """
    mark = image.mark
    row = ManifestRow(
        path=image.path.relative_to(folder.path).as_posix(),
        label=mark.label,
        label_id=number,
        split=split,
        origin="synthetic" if mark.synthetic else "real",
        is_synthetic=str(mark.synthetic).lower(),
        format=folder.form.format,
        seed="" if mark.seed is None else mark.seed,
        index=mark.index,
        model_digest=mark.model,
        patient=mark.patient,
        rows=0,
        columns=0,
        tool_version=__version__,
    )
    if image.original is not None:
        return _of_original(row, image.original), None
    scan = _readable(image)
    pixels = None if scan is None else scan.pixels[0]
    if pixels is not None:
        pixels = np.moveaxis(pixels, -1, 0) if folder.form.channels > 1 else pixels[None]
    return _row_as_read(row, formats.read_header(image.path), folder.form, scan), pixels


def _row_as_read(row: ManifestRow, header: Header, form: OutputFormat, scan: Scan | None) -> ManifestRow:
    return replace(
        row,
        sop_instance_uid=header.instance,
        rows=header.shape[1],
        columns=header.shape[2],
        spacing_mm=tables.spacing_text(form.spacing_mm),
        unit=form.unit,
        low=form.low,
        high=form.high,
        pixel_sha256="" if scan is None else pixel_digest(scan),
    )


def _of_original(row: ManifestRow, record: Record) -> ManifestRow:
    """The line of a linked file, without its own identifiers (SOP Instance UID)."""
    return replace(
        row,
        format=record.format,
        rows=record.shape[1],
        columns=record.shape[2],
        spacing_mm=tables.spacing_text(record.spacing_mm),
        unit=record.meaning,
        pixel_sha256="" if record.parts else record.digest,
    )


def _readable(image: WrittenImage) -> Scan | None:
    """The scan that a reader gets, or None for an image without content.

    The NIfTI reader skips constant images.
    """
    try:
        return formats.read(image.path)
    except ScanError as error:
        if error.verdict.startswith("skip:"):
            return None
        raise


def _choose_for_sheet(images: Sequence[WrittenImage]) -> set[Path]:
    """Paths of the images for the contact sheet, of as many patients as possible.

    Repeated images are left out.
    """
    groups: dict[tuple[str, bool], list[WrittenImage]] = {}
    for image in (image for image in images if image.repeats is None):
        groups.setdefault((image.mark.label, image.mark.synthetic), []).append(image)
    wanted = images_per_class(len({label for label, _ in groups}))
    return {
        group[place].path
        for group in groups.values()
        for place in choose_spread([image.mark.patient or str(image.mark.index) for image in group], wanted)
    }


@dataclass(slots=True)
class _SheetImages:
    """The images of the contact sheet as they were read back, by class and origin."""

    images: dict[tuple[str, str], list[Pixels]] = field(default_factory=dict)

    def add(self, row: ManifestRow, pixels: Pixels) -> None:
        """Keep an image."""
        self.images.setdefault((row.label, row.origin), []).append(pixels)

    def galleries(self, counts: Mapping[str, tuple[int, int]]) -> list[ClassGallery]:
        """The classes of the sheet, with all images scaled to [0, 1] by one range.

        `counts` are the numbers of real and synthetic images of each class.
        """
        everything = [image for wall in self.images.values() for image in wall]
        low = min((float(image.min()) for image in everything), default=0.0)
        high = max((float(image.max()) for image in everything), default=1.0)
        span = (low, high if high > low else low + 1.0)
        return [
            ClassGallery(
                label=label,
                real=self._wall(label, "real", span),
                synthetic=self._wall(label, "synthetic", span),
                counts=counts[label],
            )
            for label in sorted(counts)
            if any(counts[label])
        ]

    def _wall(self, label: str, origin: str, span: tuple[float, float]) -> Images | None:
        wall = self.images.get((label, origin))
        if not wall:
            return None
        stack = (np.stack(wall) - span[0]) / (span[1] - span[0])
        return stack.astype(np.float32)


def _close(
    folder: DatasetWriter,
    images: Sequence[ClassGallery],
    texts: Mapping[str, str],
    run: RunFolder,
    record: Mapping[str, Any],
) -> None:
    """Write everything beside `images/`, with run.json as the last file."""
    sides = [
        name for side, name in enumerate(("real", "synthetic")) if any(wall.totals[side] for wall in images)
    ]
    title = f"{' beside '.join(sides).capitalize()} images"
    sheet = contact_sheet(images, folder.path / CONTACT_SHEET, title)
    digests = _image_digests(folder)
    digests |= {name: files.digest_file(folder.path / name) for name in record.get("films", ())}
    digests[sheet.name] = files.digest_file(sheet)
    described = {**texts, RECORD: files.json_text(record)}
    digests |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in described.items()}
    for name, text in (*texts.items(), ("SHA256SUMS", tables.checksums(digests))):
        files.write_text(folder.path / name, text)
    run.finish(record)


def _image_digests(folder: DatasetWriter) -> dict[str, str]:
    """{file below `images/`: its SHA-256}; a file with several names is read once."""
    known: dict[tuple[int, int], str] = {}
    found = {}
    for path in folder.images():
        facts = path.stat()
        file = (facts.st_dev, facts.st_ino)
        known[file] = known.get(file) or files.digest_file(path)
        found[path.relative_to(folder.path).as_posix()] = known[file]
    return found


def _run_record(folder: DatasetWriter, account: RunFacts, written: WriteResult) -> dict[str, Any]:
    """The contents of run.json.

    It holds no path and no time, so that equal commands give equal folders.
    """
    numbers = tables.label_ids(folder.folders)
    return {
        "version": VERSION,
        "complete": True,
        "settings": account.settings,
        "tool": _TOOL,
        "libraries": {"python": platform.python_version(), "numpy": np.__version__},
        "form": folder.form,
        "labels": [
            {"label": label, "number": number, "folder": folder.folders[label]}
            for label, number in numbers.items()
        ],
        "counts": written.counts,
        "written": written.written,
        "repeated": written.repeated,
        "share": account.share,
        "notes": account.notes,
        "model": account.model,
        "data": account.data,
        "training_seed": account.training_seed,
        "holdout": account.holdout,
        "real": account.real,
        "filter": account.filter.report,
        "verdicts": account.verdicts,
        **({"films": account.films} if account.films else {}),
    }
