"""What the user pointed at, and what is known of a file before it is opened."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from medgan.base.errors import DatasetError

SUBJECT = re.compile(r"sub-[0-9A-Za-z]+")
"""A BIDS subject: a folder, or the first entity of a file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The data set as the user gave it.

    At most one of `labels`, `label_column` and `label_tag` says where labels come from.
    """

    path: Path | None = None
    """A folder or a MedMNIST-style .npz file; None together with `lines`."""
    labels: Path | None = None
    """CSV or TSV table with the columns path (or file, file_name) and label, and perhaps patient (or
    patient_id) and split."""
    label_column: str = ""
    """Column of the participants.tsv of a BIDS folder."""
    label_tag: str = ""
    """Keyword of the DICOM attribute that holds the label, such as BodyPartExamined."""
    lines: tuple[str, ...] | None = None
    """A list of files, one path per line. A tab and a label may follow; otherwise the name of the parent
    folder is the label."""
    modality: str = ""
    """Use only scans of this DICOM Modality and skip the others."""
    allow_burned_in: bool = False
    """Use images whose header says that text is burned into the pixels."""
    allow_synthetic: bool = False
    """Use images that are marked as synthetic. A generator that learns from generated images collapses."""

    def __post_init__(self) -> None:
        """Refuse contradictory options before any file is read."""
        if (self.path is None) == (self.lines is None):
            raise DatasetError(
                "Give either a folder or a list of files", hint="For example: medgan inspect scans/"
            )
        given = [option for option in self.wishes if option != "--modality"]
        if len(given) > 1 or (given and self.lines is not None and not self.label_tag):
            sources = " and ".join([*given, *(["the list"] if self.lines is not None else [])])
            raise DatasetError(
                f"Labels would come from {sources}",
                hint="Keep one of them, because a file has exactly one label.",
            )

    @property
    def wishes(self) -> dict[str, str]:
        """{option: value} of the options that select scans or labels.

        The name of a table is private and does not appear.
        """
        values = {
            "--labels": "LABELS" if self.labels else "",
            "--label-column": self.label_column,
            "--label-from-tag": self.label_tag,
            "--modality": self.modality,
        }
        return {option: value for option, value in values.items() if value}

    @property
    def root(self) -> Path:
        """The folder that paths in the manifest are relative to."""
        if self.path is None:
            return Path.cwd()
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Folders that output must not be written into.

        They are the data set's own folder, or the folders of the listed files.
        """
        if self.path is not None:
            return (self.root if self.path.is_dir() else self.path,)
        return tuple(sorted({Path(line.split("\t")[0]).parent for line in self.lines or () if line.strip()}))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file with what its place says of it, before it is opened."""

    path: Path
    label: str = ""
    """Empty when its place gives none; `reason` then says why."""
    patient: str = ""
    """Raw identifier. Private: never written, only hashed."""
    split: str = "train"
    verdict: str = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """All files of a data set before any of them is opened."""

    root: Path
    entries: tuple[FileEntry, ...] = ()
    arrays: tuple[Path, ...] = ()
    """MedMNIST-style .npz files; then there are no entries."""
    warnings: tuple[str, ...] = ()


def relative_name(path: Path, root: Path) -> str:
    """How the manifest names a file.

    The name is relative to the root with "/", or absolute where the file lies elsewhere.
    """
    inside = str(path).removeprefix(f"{root}{os.sep}")
    if len(inside) < len(str(path)):  # nearly always, and far faster than asking pathlib
        return inside.replace(os.sep, "/")
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.absolute().as_posix()


def find_subject(path: str, label: str = "") -> str:
    """The BIDS subject ("sub-01") that a relative path names, or "".

    A folder or the start of the file's name gives it. A class may have such a name too ("sub-solid"), so the
    class `label` of the file is no subject.
    """
    nobody = SUBJECT.match(label)
    for name in path.split("/"):
        match = SUBJECT.match(name)
        if (
            match
            and (nobody is None or match.group() != nobody.group())
            and (match.end() == len(name) or name[match.end()] in "_.")
        ):
            return match.group()
    return ""


def normalise_label(text: str) -> str:
    """Bring the name of a class to one form.

    It is valid, composed Unicode (UAX 15, form C), so that a class is the same however a disk or a table
    writes it.
    """
    return unicodedata.normalize("NFC", to_valid_text(text))


def to_valid_text(text: str) -> str:
    """Replace the bytes of a file name that are not valid UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
