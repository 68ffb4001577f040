"""The output folder of `sample` and `balance`: claimed, filled, finalised.

Layout: `images/<class>/<class>_syn_000001.<ext>`, with `_real_` and `_repeated_` likewise, and nothing else
below `images/`. Beside it are `manifest.csv`, `rejected.csv` (where drawn images were filtered),
`datalist.json`, `metadata.csv` (where all images are PNG, JPEG or TIFF), `run.json`, `README.md`,
`contact-sheet.png` and `SHA256SUMS`, and `films/` where `sample` was asked for animations.

`run.json` is written first, and again as complete at the very end: in between, the command can be killed at
any moment and repeated. Equal commands on equal data give equal bytes.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medgan.base import files
from medgan.base.errors import OutputError
from medgan.base.processes import current_processes
from medgan.base.results import CLASSES_NOT_CHECKED, WriteResult
from medgan.base.run_folder import RECORD, STAGING, RunFolder, list_changes
from medgan.dataset.checks import REPEATED
from medgan.dataset.manifest import Record
from medgan.scans import formats
from medgan.scans.scan import OutputFormat, Pixels, Provenance

VERSION = 1
"""Version of run.json and of the report."""
SUFFIXES = {name: writer.SUFFIX for name, writer in formats.WRITERS.items()}
"""{format: suffix of its files}."""
MANIFEST, METADATA, REJECTED = "manifest.csv", "metadata.csv", "rejected.csv"
FILMS = "films"
"""Subfolder of the animations that `sample --film` writes."""
_SELECTION = ".choice.json"


NO_SHARE: Mapping[str, Any] = {"asked": "", "reached": None, "sentence": ""}
"""The share of a folder in which none was asked for."""

Settings = Mapping[str, Any]
"""What makes two commands the same command: {name: JSON value}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenImage:
    """An image that has its place in the folder."""

    mark: Provenance
    path: Path
    original: Record | None = None
    """The scan whose file is linked; None for an image that medgan wrote."""
    repeats: Path | None = None
    """Path of the real image that this one repeats; None for an image that is no repeat."""
    number: int = 0
    """Number in the name of a repeated image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetWriter:
    """A claimed output folder, and the form of all images in it."""

    path: Path
    form: OutputFormat
    folders: Mapping[str, str]
    """{label: class folder} of every class that is numbered."""

    @property
    def selection(self) -> Path:
        """The file that stores the selection of samples until the folder is complete."""
        return self.path / _SELECTION

    def place(self, mark: Provenance, suffix: str = "") -> Path:
        """The path of the image with this provenance.

        `suffix` is only for files that keep their own format.
        """
        folder = self.folders[mark.label]
        kind = "syn" if mark.synthetic else "real"
        name = f"{folder}_{kind}_{mark.index:06d}{suffix or SUFFIXES[self.form.format]}"
        return self.path / "images" / folder / name

    def put(self, mark: Provenance, pixels: Pixels) -> WrittenImage:
        """Write pixels (C, H, W) in [0, 1].

        Files are written in a staging folder of this process, so that `images/` holds complete files only.
        """
        place, staging = self.place(mark), self.path / STAGING / str(current_processes().rank)
        image = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
        written = formats.write(
            staging / place.name.removesuffix(SUFFIXES[self.form.format]), image, self.form, mark
        )
        assert written.name == place.name, "writers and folder agree on suffixes"
        companions = sorted(path for path in staging.iterdir() if path != written)
        _move([*companions, written], place.parent)  # the image last: where it is, its side file is
        return WrittenImage(mark=mark, path=place)

    def link(self, mark: Provenance, original: Record, source: Path, suffix: str) -> WrittenImage:
        """Link the image's path to the file `source` of `original`.

        It is a hard link, or a symbolic one across disks.
        """
        place = self.place(mark, suffix)
        if not (place.exists() or place.is_symlink()):
            try:
                files.refuse_removed(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(place, source.resolve(), Path.symlink_to)
            except OSError as error:
                raise files.write_error(place, error) from error
        return WrittenImage(mark=mark, path=place, original=original)

    def repeat(self, image: WrittenImage, number: int, own: Sequence[Path]) -> WrittenImage:
        """Give the files `own` of a real image further names.

        They are hard links, or copies where the disk has none; originals are linked again.
        """
        stem = f"{self.folders[image.mark.label]}{REPEATED}{number:06d}"
        ends = {path.name.partition(".")[2]: path for path in own if path != image.path}
        ends[image.path.name.partition(".")[2]] = image.path  # the image last: where it is, its side file is
        try:
            for end, path in ends.items():
                place = path.with_name(f"{stem}.{end}")
                files.refuse_removed(place)
                if place.exists() or place.is_symlink():
                    continue
                if image.original is None:
                    _link(place, path, partial(_copy, self.path / STAGING / str(current_processes().rank)))
                else:
                    _link(place, path.resolve(), Path.symlink_to)
        except OSError as error:
            raise files.write_error(place, error) from error
        return WrittenImage(
            mark=image.mark, path=place, original=image.original, repeats=image.path, number=number
        )

    def images(self) -> list[Path]:
        """Every file below `images/`, sorted."""
        return sorted(path for path in (self.path / "images").rglob("*") if path.is_file())


def dataset_folder(out: Path, command: str) -> RunFolder:
    """The output folder of a command that writes a data set."""
    return RunFolder(path=out, command=command, check=_check_record, memos=(_SELECTION,))


def _check_record(record: Mapping[str, Any]) -> None:
    """Raise ValueError for a run.json that no version of these commands wrote."""
    files.from_json(Mapping[str, Any], record.get("settings"), "settings")
    files.from_json(bool, record.get("complete"), "complete")


def find_result(folder: RunFolder, settings: Settings) -> WriteResult | None:
    """The result of the same command in this folder, if it had finished.

    Raises:
        OutputError: the folder belongs to another command, or is not medgan's.
    """
    begun = folder.read()
    if begun is None:
        return None
    # Older versions did not record a holdout of 0, and films are recorded only where there are any.
    known = {"holdout": 0.0, "film": False, **begun["settings"]}
    folder.refuse_changes(list_changes(known, {"film": False, **settings}))
    return _read_result(folder.path, begun) if begun["complete"] else None


def claim_folder(folder: RunFolder, settings: Settings) -> WriteResult | None:
    """Make the folder that of this command, new or to be continued.

    Returns:
        What `find_result` does, where nothing is left to do.
    """
    done = find_result(folder, settings)
    if done is None:
        _refuse_links(folder.path)
        folder.begin({"version": VERSION, "complete": False, "settings": settings})
    return done


def _refuse_links(out: Path) -> None:
    """Raise OutputError for folders of images or films that are links.

    What is written into them would land, and replace files, elsewhere.
    """
    images = out / "images"
    try:
        for folder in (out / FILMS, images, *(images.iterdir() if images.exists() else ())):
            if folder.is_symlink() and folder.is_dir():
                raise OutputError(
                    f"{folder}: this is a link, and nothing is written through a link",
                    hint="Remove it, or choose another --out.",
                )
    except OSError as error:
        raise files.write_error(images, error) from error


_END: Mapping[str, Any] = {
    "counts": {"before": Mapping[str, int], "after": Mapping[str, int]},
    "written": Mapping[str, int],
    "repeated": Mapping[str, int],
    "real": str,
    "share": {"asked": str, "reached": float | None, "sentence": str},
    "notes": tuple[str, ...],
}
"""The keys of a complete run.json that are read."""
_FILTER: Mapping[str, Any] = {
    "on": bool,
    "checks": tuple[str, ...],
    "class_check": {
        "labels": tuple[str, ...],
        "pairs": tuple[Mapping[str, Any], ...],
        "sentences": tuple[str, ...],
    },
    "counts": Mapping[str, Mapping[str, int]],
}
"""The keys of `Selection.report` that are read."""


def _read_result(out: Path, run: Mapping[str, Any]) -> WriteResult:
    try:
        end = files.from_json(_END, {name: run[name] for name in _END}, RECORD)
        filtered = files.from_json(Mapping[str, Any], run.get("filter"), "filter")
        filtered = {
            **filtered,
            "class_check": filtered.get("class_check", CLASSES_NOT_CHECKED),
        }  # older folders lack it
        files.from_json(_FILTER, {name: filtered[name] for name in _FILTER}, "filter")
        films = files.from_json(tuple[str, ...], run.get("films", []), "films")
        _ = [end["counts"]["before"][label] for label in end["counts"]["after"]]
    except (KeyError, ValueError) as error:
        raise OutputError(
            f"{out / RECORD} cannot be read ({error})", hint="Choose another --out, or copy the folder anew."
        ) from error
    return WriteResult(
        version=VERSION,
        out=out,
        **end,
        filter=filtered,
        manifest=out / MANIFEST,
        films=tuple(out / name for name in films) or None,
    )


def _move(paths: Iterable[Path], folder: Path) -> None:
    files.refuse_removed(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            path.replace(folder / path.name)
    except OSError as error:
        raise files.write_error(folder, error) from error


_NO_HARD_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)
"""Error codes of a disk that has no hard links, no more of them for this file, or none to that place."""


def _link(place: Path, source: Path, otherwise: Callable[[Path, Path], None]) -> None:
    """Make a hard link to `source`, or call `otherwise` where the disk has none."""
    try:
        place.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        otherwise(place, source)


def _copy(staging: Path, place: Path, source: Path) -> None:
    """Copy a file so that it never appears incomplete.

    A symbolic link within the folder would break where the folder is moved.
    """
    staging.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, staging / place.name)
    (staging / place.name).replace(place)
