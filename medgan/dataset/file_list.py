"""List the files of a data set, and what their place says about each.

The place gives label, patient and split as far as folders and tables know them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medgan.base.errors import DatasetError
from medgan.dataset import tables
from medgan.dataset.layout import AMBIGUOUS_SPLIT_WORDS, FolderLayout, list_folders, split_of_name
from medgan.dataset.lookup import PathLookup
from medgan.dataset.source import (
    SUBJECT,
    FileEntry,
    FileList,
    Source,
    normalise_label,
    relative_name,
    to_valid_text,
)
from medgan.dataset.tables import TableRow
from medgan.dataset.walk import check_path, is_ignored, walk
from medgan.scans import npz


def list_files(source: Source) -> FileList:
    """List the files of a data set with label, patient and split.

    Raises:
        DatasetError: the data set does not exist, or its files have no labels.
    """
    if source.lines is not None:
        return _from_lines(source)
    path = source.path
    assert path is not None, "Source has a path or lines"
    if not path.exists():
        raise DatasetError(f"{path} does not exist", hint="Check the path for typing errors.")
    found = _list_arrays(path)
    if found and not (source.labels or source.label_column or source.label_tag):
        return FileList(root=source.root, arrays=found)
    if not path.is_dir():
        raise DatasetError(
            f"{path} is a single file, not a folder of scans",
            hint="Give the folder that has one sub-folder per class, or an .npz file in the MedMNIST layout.",
        )
    return _list_with_labels(source, path)


def _list_with_labels(source: Source, root: Path) -> FileList:
    if source.labels:
        return _from_table(root, source.labels)
    if source.label_column:
        return _from_participants(root, source.label_column)
    return _from_tag(root) if source.label_tag else _from_folders(root)


def _list_arrays(path: Path) -> tuple[Path, ...]:
    """List the MedMNIST-style arrays at `path`.

    They are the file itself, or files in a folder without sub-folders.
    """
    if not path.is_dir():
        return (path,) if npz.is_array_file(path) else ()
    try:
        children = sorted(path.iterdir())
    except OSError:
        return ()  # `walk` gives a folder that cannot be listed its verdict
    if any(child.is_dir() and not is_ignored(child.name) for child in children):
        return ()
    files = (child for child in children if child.is_file() and not is_ignored(child.name))
    return tuple(child for child in files if npz.is_array_file(child))


def _from_folders(root: Path) -> FileList:
    found, layout = list(walk(root)), FolderLayout.of(root)
    _require_labels(root, found, layout)
    entries = tuple(_by_folder(layout, file) for file in found)
    warnings = (*_empty_classes(layout, entries), *layout.doubts(), *_link_warnings(root, found))
    return FileList(root=root, entries=entries, warnings=warnings)


def _by_folder(layout: FolderLayout, file: FileEntry) -> FileEntry:
    label, split = layout.place(file.path)
    reason = file.reason or ("" if label else "it is not in a class folder")
    return replace(file, label=label, split=split or "train", reason=reason)


def _link_warnings(root: Path, found: Iterable[FileEntry]) -> Iterator[str]:
    """Warn of links to folders that are listed under another name."""
    again = [file.path for file in found if file.verdict == "skip:linked-folder"]
    if again:
        some = ", ".join(to_valid_text(relative_name(path, root)) for path in again[:3]) + (
            ", ..." if len(again) > 3 else ""
        )
        yield (
            f"{len(again)} links to folders that the data set holds under another name were not followed, so "
            f"that no image counts twice: {some}. Keep each folder under its right class."
        )


def _require_labels(root: Path, found: list[FileEntry], layout: FolderLayout) -> None:
    """Refuse a folder in which no file can have a label."""
    if not found:
        raise DatasetError(f"{root} is empty", hint="Give a folder that has one sub-folder per class.")
    tops = [child.name for child in list_folders(root)]
    if (root / "participants.tsv").is_file() and any(SUBJECT.fullmatch(name) for name in tops):
        columns = ", ".join(tables.read_headings(root / "participants.tsv"))
        raise DatasetError(
            f"{root} is a BIDS data set: its folders are subjects, not classes",
            hint=f"Name the column of participants.tsv that holds the class with --label-column ({columns}).",
        )
    if not any(True for _ in layout.classes()):
        raise DatasetError(
            f"{root} has no class sub-folders, so its files have no labels",
            hint="Sort the scans into one sub-folder per class, or say where labels are: --labels FILE.csv, "
            "--label-column NAME (BIDS) or --label-from-tag KEYWORD (DICOM).",
        )


def _empty_classes(layout: FolderLayout, entries: Iterable[FileEntry]) -> Iterator[str]:
    root = layout.root
    filled = {entry.path.relative_to(root).parts[:2] for entry in entries}
    tops = {parts[0] for parts in filled}
    for folder in layout.classes():
        parts = folder.relative_to(root).parts
        if parts[0] not in tops or (len(parts) > 1 and parts not in filled):
            yield (
                f"The class folder {to_valid_text('/'.join(parts))} is empty: add scans or remove the folder."
            )


def _from_tag(root: Path) -> FileList:
    """List files whose labels come from their headers later.

    A train, val or test folder at the top still gives the split.
    """
    found, layout = list(walk(root)), FolderLayout.of(root)
    if not found:
        raise DatasetError(f"{root} is empty", hint="Give a folder with DICOM files.")
    files = tuple(_await_tag(_by_folder(layout, file)) for file in found)
    return FileList(root=root, entries=files, warnings=tuple(_link_warnings(root, found)))


def _await_tag(entry: FileEntry) -> FileEntry:
    if entry.verdict != "ok":
        return entry
    return replace(entry, label="", reason="its header has no such attribute, or it is empty")


def _from_lines(source: Source) -> FileList:
    lines = [line.rstrip("\r\n") for line in source.lines or () if line.strip()]
    if not lines:
        raise DatasetError(
            "The list of files is empty",
            hint="Write one path per line: find scans -name '*.dcm' | medgan inspect -",
        )
    parts = (line.partition("\t") for line in lines)
    lookup = PathLookup(source.root, source.root, ())
    files = [
        (_check_listed_path(*lookup.place(name)), normalise_label(label.strip())) for name, _, label in parts
    ]
    splits = _splits_of_folders(
        [file.path.parent if label or source.label_tag else file.path.parent.parent for file, label in files]
    )
    entries = [_by_line(file, label, split) for (file, label), split in zip(files, splits, strict=True)]
    if source.label_tag:
        entries = [_await_tag(entry) for entry in entries]
    return FileList(root=source.root, entries=tuple(_refuse_repeats(entries)))


def _splits_of_folders(folders: Sequence[Path]) -> list[str]:
    """The split of listed files by the folders that they lie in.

    `folders` are those of the files, apart from the folder of their class. The nearest folder that is named
    like a split decides, below the folder that all share; else the shared folder itself.
    """
    shared = len(Path(os.path.commonpath(folders)).parts)

    def named(parts: Sequence[str]) -> str:
        # A list may begin anywhere: a folder such as dev far above the scans says nothing of them.
        names = (name for name in reversed(parts) if name.lower() not in AMBIGUOUS_SPLIT_WORDS)
        return next(filter(None, map(split_of_name, names)), "")

    below = [named(folder.parts[shared:]) for folder in folders]
    own = "" if any(below) else named(folders[0].parts[shared - 1 : shared])
    return [split or own or "train" for split in below]


def _by_line(file: FileEntry, label: str, split: str) -> FileEntry:
    return replace(file, label=label or normalise_label(file.path.parent.name), split=split)


def _refuse_repeats(entries: Iterable[FileEntry]) -> Iterator[FileEntry]:
    """Refuse files that are listed twice.

    Under one label the first entry counts. Under two labels neither can be trusted.
    """
    files = list(entries)
    labels: dict[Path, set[str]] = {}
    for file in files:
        labels.setdefault(file.path, set()).add(file.label)
    seen: set[Path] = set()
    for file in files:
        names = " and as ".join(sorted(labels[file.path]))
        if file.verdict != "ok":
            yield file
        elif len(labels[file.path]) > 1:
            yield replace(file, verdict="error:label-conflict", reason=f"it is listed as {names}")
        elif file.path in seen:
            yield replace(file, verdict="skip:duplicate", reason="it is listed twice")
        else:
            yield file
        seen.add(file.path)


def _from_table(root: Path, table: Path) -> FileList:
    """List every file below `root`, and every file outside it that a row names.

    A row may name a folder and then stands for all files in it.
    """
    rows, found, layout = tables.read_labels(table), list(walk(root)), FolderLayout.of(root)
    lookup = PathLookup(root, table.parent, [file.path for file in found if file.verdict == "ok"])
    claims: dict[Path, list[TableRow]] = {}
    places: dict[Path, tuple[Path, str]] = {}
    for row in rows:
        place, problem = lookup.place(row.key)
        places.setdefault(place.resolve(), (place, problem))
        claims.setdefault(place.resolve(), []).append(row)
    used: set[Path] = set()
    entries = [_by_row(file, table.name, claims, used, layout.place(file.path)[1]) for file in found]
    strays: dict[Path, FileEntry] = {}  # once each, though rows may name a folder and what lies in it
    elsewhere = [asked for claimed, asked in places.items() if claimed not in used]
    for place, problem in elsewhere:
        is_folder = os.path.isdir(place)  # noqa: PTH112 pathlib raises for a name too long
        for file in walk(place) if is_folder else [_check_listed_path(place, problem)]:
            strays[file.path.resolve()] = _by_row(file, table.name, claims, used)
    return FileList(
        root=root, entries=(*entries, *strays.values()), warnings=tuple(_link_warnings(root, found))
    )


def _check_listed_path(place: Path, problem: str) -> FileEntry:
    """Check a path that a table or list names, giving the reason if it is missing."""
    file = check_path(place)
    return replace(file, reason=problem) if problem and file.verdict == "error:not-found" else file


def _by_row(
    file: FileEntry, table: str, claims: Mapping[Path, list[TableRow]], used: set[Path], above: str = ""
) -> FileEntry:
    """A file with the facts of the row that names it or a folder above it.

    Args:
        file: The file.
        table: Name of the table, for messages.
        claims: {path: rows that name it}.
        used: Paths that rows name and that were found; this one is added.
        above: Split by the folders above the file, for rows without a split.
    """
    # The row that names the file itself, or the nearest folder above it.
    real = file.path.resolve()
    place = next((place for place in (real, *real.parents) if place in claims), None)
    if place is None:
        return replace(file, reason=file.reason or f"no row of {table} names it")
    used.add(place)
    row = claims[place][0]
    entry = replace(
        file,
        label=row.label,
        patient=row.patient,
        split=row.split or above or "train",
        reason=file.reason or ("" if row.label else f"row {row.number} of {table} gives no label"),
    )
    return _check_agreement(entry, claims[place], table)


def _check_agreement(entry: FileEntry, rows: Sequence[TableRow], table: str) -> FileEntry:
    """Refuse a file whose rows disagree about it."""
    first = rows[0]
    if entry.verdict != "ok" or all(
        replace(row, number=first.number, key=first.key) == first for row in rows
    ):
        return entry
    numbers = " and ".join(str(row.number) for row in rows)
    return replace(
        entry, verdict="error:label-conflict", reason=f"rows {numbers} of {table} disagree about it"
    )


def _from_participants(root: Path, column: str) -> FileList:
    """List the files of a BIDS data set.

    A file belongs to the subject in whose folder it lies. Derivatives and other folders have no label.
    """
    table = root / "participants.tsv"
    rows: dict[str, list[TableRow]] = {}
    for row in tables.read_participants(table, column):
        rows.setdefault(f"sub-{row.key.removeprefix('sub-')}", []).append(row)
    found = list(walk(root))
    entries = tuple(_by_subject(root, file, rows) for file in found)
    absent = sorted(rows.keys() - {entry.patient for entry in entries})
    some = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    warnings = [f"{len(absent)} participants of participants.tsv have no files: {some}."] if absent else []
    return FileList(root=root, entries=entries, warnings=(*warnings, *_link_warnings(root, found)))


def _by_subject(root: Path, file: FileEntry, rows: Mapping[str, list[TableRow]]) -> FileEntry:
    top = to_valid_text(file.path.relative_to(root).parts[0])
    if top not in rows:
        reason = (
            "no row of participants.tsv names its subject"
            if SUBJECT.fullmatch(top)
            else "its folder is not that of a subject"
        )
        return replace(file, reason=file.reason or reason)
    row = rows[top][0]
    reason = file.reason or ("" if row.label else f"{top} has no value in the column of participants.tsv")
    entry = replace(file, label=row.label, patient=top, split=row.split or "train", reason=reason)
    return _check_agreement(entry, rows[top], "participants.tsv")
