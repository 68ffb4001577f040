"""Read label, patient and split of files from a CSV or TSV table.

All problems of a table are reported at once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medgan.base.errors import DatasetError
from medgan.dataset.encoding import decode_text
from medgan.dataset.layout import split_of_name
from medgan.dataset.source import normalise_label
from medgan.dataset.walk import os_error_text

_PATH_COLUMNS = ("path", "file", "file_name")
_PATIENT_COLUMNS = ("patient", "patient_id", "subject", "subject_id")
_SUBJECT_COLUMNS = ("participant_id",)
_EMPTY = {"", "n/a", "na", "nan"}
"""What stands for "no value". "n/a" is the word that BIDS uses."""
_MAX_CELL = 40
"""Most letters of a cell that a message repeats."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table: a file or participant with class, patient and split."""

    number: int
    """Line in the file, counted from 1 (the headings)."""
    key: str
    """A path, or a BIDS participant."""
    label: str
    """Empty when the table gives none."""
    patient: str
    split: str
    """Empty when the table gives none."""


def read_labels(path: Path) -> tuple[TableRow, ...]:
    """Read a table of files with a path, a label, and perhaps patient and split.

    The path is in a column path, file or file_name.

    Raises:
        DatasetError: the table cannot be read or lacks a column.
    """
    return tuple(_read_rows(path, _PATH_COLUMNS, "label"))


def read_participants(path: Path, label_column: str) -> tuple[TableRow, ...]:
    """Read a BIDS participants.tsv with the class in `label_column`.

    Raises:
        DatasetError: the table is missing, cannot be read or lacks a column.
    """
    if not path.is_file():
        raise DatasetError(
            f"{path.parent} has no participants.tsv, so there is no column {label_column!r}",
            hint="--label-column is for BIDS data sets; use --labels FILE.csv for other tables.",
        )
    return tuple(_read_rows(path, _SUBJECT_COLUMNS, label_column))


def read_headings(path: Path) -> tuple[str, ...]:
    """The headings of a table, without empty ones."""
    return tuple(filter(None, _read_lines(path)[0]))


_Line = tuple[int, Sequence[str]]


def _read_lines(path: Path) -> tuple[tuple[str, ...], list[_Line]]:
    """Headings, and every line as (line number, cells), all stripped of spaces."""
    try:
        text = decode_text(path.read_bytes())
        text.encode()  # which fails where a byte was no UTF-8
        # RFC 4180: only a line feed or carriage return ends a line; cells may hold a vertical tab or U+2028.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        names = tuple(name.strip().strip("\ufeff") for name in next(reader, []))
        body: list[_Line] = [
            (reader.line_num, [cell.strip() for cell in cells])
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except OSError as error:
        raise DatasetError(f"{path} {os_error_text(error)}", hint="Check the path of the table.") from error
    except UnicodeError as error:
        raise DatasetError(
            f"{path} cannot be read as a table: its text is not in a Unicode encoding",
            hint="Save it as CSV in UTF-8.",
        ) from error
    except csv.Error as error:
        raise DatasetError(
            f"{path} cannot be read as a table: {error}", hint="Save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise DatasetError(
            f"{path} cannot be read as a table: it holds zero bytes", hint="Save it as CSV in UTF-8."
        )
    if not body:
        raise DatasetError(f"{path} has no rows", hint="Write a heading line and one line per file.")
    return names, _without_row_names(names, body)


def _delimiter(text: str) -> str:
    heading = text.lstrip().partition("\n")[0]
    return max(",\t;", key=heading.count)


def _without_row_names(names: Sequence[str], body: list[_Line]) -> list[_Line]:
    """Drop a first cell that has no heading, as R writes for row names."""
    unnamed = all(len(cells) == len(names) + 1 for _, cells in body) and any(cells[-1] for _, cells in body)
    return [(number, cells[1:]) for number, cells in body] if unnamed else body


def _read_rows(path: Path, key_names: Sequence[str], label_name: str) -> Iterator[TableRow]:
    names, lines = _read_lines(path)
    key = _require_column(path, names, lines, key_names)
    label = _require_column(path, names, lines, (label_name,))
    patient, split = (_find_column(path, names, lines, wanted) for wanted in (_PATIENT_COLUMNS, ("split",)))
    _refuse_unknown_splits(path, (_cell(cells, split) for _, cells in lines))
    for number, cells in lines:
        if _cell(cells, key):
            yield TableRow(
                number=number,
                key=_cell(cells, key),
                label=_value(cells, label),
                patient=_value(cells, patient),
                split=split_of_name(_cell(cells, split)),
            )


def _cell(cells: Sequence[str], column: int | None) -> str:
    """The text in a column, or "" where the table or the line has no such cell."""
    return "" if column is None or column >= len(cells) else cells[column]


def _value(cells: Sequence[str], column: int | None) -> str:
    text = normalise_label(_cell(cells, column))  # patients, too, are one in every Unicode form
    return "" if text.lower() in _EMPTY else text


def _find_column(
    path: Path, names: Sequence[str], lines: Sequence[_Line], wanted: Sequence[str]
) -> int | None:
    """The number of the first column that has one of the `wanted` headings, or None.

    Case does not matter. If no heading matches, letters and digits alone are compared ("Patient ID" is
    patient_id). A column without a heading never matches; pandas writes one for its index.
    """
    words = {name.lower() for name in wanted}
    exact = [at for at, name in enumerate(names) if name.lower() in words]
    bare = set(map(_alphanumeric, words)) - {""}
    found = exact or [at for at, name in enumerate(names) if _alphanumeric(name) in bare]
    for other in found[1:]:
        same = names[other].lower() == names[found[0]].lower()
        if same and any(_cell(cells, found[0]) != _cell(cells, other) for _, cells in lines):
            raise DatasetError(
                f"{path} has two columns called {names[other]}, and they differ", hint="Rename one of them."
            )
    return found[0] if found else None


def _alphanumeric(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _require_column(path: Path, names: Sequence[str], lines: Sequence[_Line], wanted: Sequence[str]) -> int:
    found = _find_column(path, names, lines, wanted)
    if found is None:
        raise DatasetError(
            f"{path} has no column {' or '.join(wanted)}; it has {', '.join(filter(None, names))}",
            hint="Rename the column, or name another table.",
        )
    return found


def _refuse_unknown_splits(path: Path, values: Iterable[str]) -> None:
    strange = sorted({value for value in values if not (value.lower() in _EMPTY or split_of_name(value))})
    if strange:
        shown = ", ".join(
            value if len(value) <= _MAX_CELL else value[:_MAX_CELL] + "..." for value in strange[:5]
        )
        raise DatasetError(
            f"{path} has unknown splits: {shown}",
            hint="Write train, val or test in the column split, or leave it empty to use the split of the "
            "folder, else train.",
        )
