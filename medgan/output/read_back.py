"""Read and check a folder that `sample` or `balance` wrote.

It may be damaged, or written by others.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.base.progress import OnProgress, Progress
from medgan.base.run_folder import RECORD
from medgan.dataset.manifest import Holdout
from medgan.output.folder import MANIFEST
from medgan.output.tables import unescape_row
from medgan.plan.stored import parse_output_format
from medgan.preparation.images import LabelledImages
from medgan.scans import formats
from medgan.scans.scan import OutputFormat

_COLUMNS = ("path", "label", "origin", "seed", "patient", "pixel_sha256")
"""Columns of manifest.csv that are needed here."""
_ORIGINS = ("real", "synthetic")


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredClass:
    """A class as run.json names it."""

    label: str
    number: int
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The parts of run.json that an evaluation needs."""

    form: OutputFormat
    labels: tuple[_StoredClass, ...]
    data: str
    """Digest of what the generator was trained on."""
    model: str
    real: str
    training_seed: int | None = None
    holdout: Holdout | None = None
    """What its training held out; None where the folder does not say."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return tuple(sorted(one.label for one in self.labels))


_Rows = list[dict[str, str]]
"""Lines of manifest.csv, {column: text}, with at least _COLUMNS."""


def is_written(folder: Path) -> bool:
    """Whether `sample` or `balance` wrote the folder."""
    return (folder / MANIFEST).is_file() and (folder / RECORD).is_file()


def read_tables(folder: Path, *, repeats: bool = False) -> tuple[RunRecord, _Rows]:
    """Read run.json and the lines of manifest.csv.

    Real images that are there once more are left out, unless `repeats` is true.

    Raises:
        DatasetError: the folder is not complete, or has what medgan never writes.
    """
    try:
        facts = _run_record(files.read_object(files.resolve_inside(folder, RECORD)))
        lines = _rows(files.resolve_inside(folder, MANIFEST), facts.names)
        rows = [row for row in lines if repeats or not row.get("repeats")]
    except (OSError, ValueError, csv.Error) as error:
        raise _unusable(folder, error) from error
    if not rows:
        raise _unusable(folder, f"{MANIFEST} has no rows")
    return facts, rows


def _unusable(folder: Path, why: object) -> DatasetError:
    """The error for a folder that medgan did not leave like this."""
    return DatasetError(
        f"{folder} is not finished or damaged ({why})",
        hint="Repeat the command that wrote it: it goes on.",
    )


def _run_record(value: Mapping[str, Any]) -> RunRecord:
    """The needed parts of run.json; ValueError for anything that no command writes."""
    facts: RunRecord = files.from_known_json(RunRecord, value, RECORD)
    parse_output_format(value["form"], f"{RECORD}.form")
    if not facts.labels or len(set(facts.names)) < len(facts.labels):
        raise ValueError(f"{RECORD}: its labels are no different classes")
    return facts


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The lines of manifest.csv; ValueError for one that does not fit the header or run.json."""
    with path.open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        absent = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
        if absent:
            raise ValueError(f"{path.name} has no column {absent[0]}")
        for line in table:
            where = f"{path.name}, line {table.line_num}"
            if None in line or None in line.values():
                raise ValueError(f"{where} has another number of cells than its heading")
            row = unescape_row(line)
            if row["label"] not in names or row["origin"] not in _ORIGINS:
                raise ValueError(
                    f"{where}: {RECORD} knows no class {row['label'][:80]!r} of {row['origin'][:80]!r} images"
                )
            yield row


def realism_scores(rows: _Rows) -> tuple[float | None, ...]:
    """The filter's realism score of each line, or None."""
    return tuple(_number(row.get("realism", "")) for row in rows)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_images(folder: Path, facts: RunRecord, rows: _Rows, on_progress: OnProgress) -> LabelledImages:
    """Read the images of these lines, in [0, 1] over their form's range.

    Raises:
        DatasetError: the images are not all of one size.
    """
    pixels: list[NDArray[np.float32]] = []
    for row in rows:
        image = formats.read_output(files.resolve_inside(folder, row["path"]), facts.form)
        pixels.append(np.moveaxis(image, -1, 0) if image.ndim > 2 else image[None])
        if pixels[-1].shape != pixels[0].shape or pixels[-1].shape[0] != facts.form.channels:
            there, here = (" x ".join(map(str, one.shape)) for one in (pixels[0], pixels[-1]))
            raise _unusable(
                folder, f"{row['path']} is {here}, others are {there}, with {facts.form.channels} channels"
            )
        on_progress(Progress("reading", len(pixels), len(rows)))
    return LabelledImages(
        pixels=_one_channel(np.stack(pixels)),
        labels=np.array([facts.names.index(row["label"]) for row in rows]),
        names=facts.names,
        patients=np.array([row["patient"] or f"synthetic {number}" for number, row in enumerate(rows)]),
        sources=np.array([f"seed {row['seed']}" for row in rows]),
    )


def _one_channel(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reduce three equal channels to one, and return other images as they are."""
    return pixels[:, :1] if (pixels == pixels[:, :1]).all() else pixels


def content_digests(facts: RunRecord, rows: _Rows) -> dict[str, str]:
    """Digests of what the folder holds."""
    pixels = files.digest_of(sorted((row["label"], row["origin"], row["pixel_sha256"]) for row in rows))
    return {"learned_from": facts.data, "model": facts.model, "synthetic": pixels}
