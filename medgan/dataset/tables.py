"""CSV or TSV file -> rows of label, patient and split, and every problem of the table told at once."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medgan.dataset.walk import unreadable
from medgan.errors import DatasetError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What a folder or a table may call a split, in lower case."""

PATH = ("path", "file", "file_name")
PATIENT = ("patient", "patient_id", "subject", "subject_id")
SUBJECT = ("participant_id",)
EMPTY = {"", "n/a", "na", "nan"}
"""What stands for "no value"; "n/a" is the word of BIDS."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what it is about, and the class, patient and split it names."""

    number: int
    """Line in the file, from 1 (the heading)."""
    key: str
    """A path, or a BIDS participant."""
    label: str
    """Empty when the table gives none."""
    patient: str
    split: str
    """Empty when the table gives none."""


def read_labels(path: Path) -> tuple[Row, ...]:
    """Rows of a labels file: columns path (or file, file_name), label, and perhaps patient and split."""
    return tuple(_rows(path, PATH, "label"))


def read_participants(path: Path, label_column: str) -> tuple[Row, ...]:
    """Rows of a BIDS participants.tsv, with the class in `label_column`."""
    if not path.is_file():
        raise DatasetError(
            f"{path.parent} has no participants.tsv, so there is no column {label_column!r}",
            hint="--label-column is for BIDS data sets; use --labels FILE.csv for other tables.",
        )
    return tuple(_rows(path, SUBJECT, label_column))


def columns(path: Path) -> tuple[str, ...]:
    """The headings of a table."""
    return _read(path)[0]


Line = tuple[int, Mapping[str, str]]


def _read(path: Path) -> tuple[tuple[str, ...], list[Line]]:
    """Headings, and every line as (line number, {heading: text}), all stripped of blanks."""
    try:
        # utf-8-sig: spreadsheets begin their files with a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
        lines = text.splitlines()
        reader = csv.reader(lines, delimiter=_delimiter(lines[0] if lines else ""))
        names = tuple(name.strip() for name in next(reader, []))
        body: list[Line] = [
            (reader.line_num, dict(zip(names, [cell.strip() for cell in cells], strict=False)))
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except OSError as error:
        raise DatasetError(f"{path} {unreadable(error)}", hint="Check the path of the table.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path} is no readable table: {error}", hint="Save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise DatasetError(
            f"{path} is no readable table: it holds bytes of zero", hint="Save it as CSV in UTF-8."
        )
    if not body:
        raise DatasetError(f"{path} has no rows", hint="Write a heading line and one line per file.")
    return names, body


def _delimiter(heading: str) -> str:
    return max(",\t;", key=heading.count)


def _rows(path: Path, key_names: Sequence[str], label_name: str) -> Iterator[Row]:
    names, lines = _read(path)
    key, label = _column(path, names, key_names), _column(path, names, (label_name,))
    patient, split = _optional(names, PATIENT), _optional(names, ("split",))
    _refuse_splits(path, (line.get(split, "") for _, line in lines))
    for number, line in lines:
        if line.get(key):
            yield Row(
                number=number,
                key=line[key],
                label=_value(line, label),
                patient=_value(line, patient),
                split=SPLIT_NAMES.get(line.get(split, "").lower(), ""),
            )


def _value(line: Mapping[str, str], name: str) -> str:
    text = line.get(name, "")
    return "" if text.lower() in EMPTY else text


def _optional(names: Iterable[str], wanted: Sequence[str]) -> str:
    """The first heading that is one of `wanted` to the letter and case aside, else by its letters and digits; or ""."""
    exact = (name for name in names if name.lower() in wanted)
    bare = {_bare(name) for name in wanted}  # "Patient ID" is patient_id
    return next(exact, "") or next((name for name in names if _bare(name) in bare), "")


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _column(path: Path, names: Sequence[str], wanted: Sequence[str]) -> str:
    found = _optional(names, [name.lower() for name in wanted])
    if not found:
        raise DatasetError(
            f"{path} has no column {' or '.join(wanted)}; it has {', '.join(names)}",
            hint="Rename the column, or name another table.",
        )
    return found


def _refuse_splits(path: Path, values: Iterable[str]) -> None:
    strange = sorted({value for value in values if value.lower() not in SPLIT_NAMES.keys() | EMPTY})
    if strange:
        raise DatasetError(
            f"{path} names splits that medgan does not know: {', '.join(strange[:5])}",
            hint="Write train, val or test in the column split, or leave it empty for what folders say, else train.",
        )
