"""Keep what an evaluation's page shows in exhibits.npz, and read it back."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.evaluation.predictions import Predictions

EXHIBITS = "exhibits.npz"
MAX_BYTES = 256 * 1024**2
"""Most that the arrays may come to, unpacked: a file that claims more is none of medgan's."""
TOP = 255
CURVES = ("truth", "probabilities")
"""Arrays that are there where usefulness was measured."""

Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassImages:
    """The images of a class, by row."""

    label: str
    real: tuple[int, ...]
    synthetic: tuple[int, ...]
    names: tuple[str, ...] = ()
    """What each synthetic one is called; empty where none has a name."""

    def __post_init__(self) -> None:
        """ValueError for names of other images."""
        if self.names and len(self.names) != len(self.synthetic):
            raise ValueError("a wall has another number of names than of images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A synthetic image and the training image nearest to it, by row."""

    label: str
    words: str
    rows: tuple[int, ...]

    def __post_init__(self) -> None:
        """ValueError for anything but two images."""
        if len(self.rows) != 2:
            raise ValueError("a pair is no two images")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRow:
    """Images that the filter thought equally well of, by row."""

    title: str
    rows: tuple[int, ...]
    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        """ValueError for captions of other images."""
        if len(self.captions) != len(self.rows):
            raise ValueError("a row has another number of captions than of images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Of a class the rows from best to worst."""

    label: str
    rows: tuple[RankedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibits:
    """What a page shows: images, and facts about them that refer to images by row."""

    path: Path
    stored: NDArray[np.uint8]
    """(N, C, H, W)."""
    facts: Mapping[str, Any]
    predictions: Predictions | None = None

    def images(self, rows: Sequence[int]) -> Pixels:
        """(n, C, H, W) in [0, 1]; DatasetError for rows that are not there."""
        if not isinstance(rows, list) or not all(
            type(row) is int and 0 <= row < len(self.stored) for row in rows
        ):
            raise damage(self.path, f"it has no images {rows}")
        return np.asarray(self.stored[list(rows)] / TOP, np.float32)


def write(folder: Path, pixels: Sequence[Pixels], facts: Mapping[str, Any], said: Predictions | None) -> None:
    """Keep images (C, H, W) in [0, 1], facts (JSON) and predictions."""
    arrays: dict[str, NDArray[Any]] = {"pixels": np.rint(np.stack(pixels) * TOP).astype(np.uint8)}
    told = dict(facts)
    if said is not None:
        told["predictions"] = {"names": said.names, "rare": said.rare, "arms": said.arms}
        arrays |= {
            "truth": said.truth.astype(np.int32),
            "probabilities": said.probabilities,
        }
    stream = io.BytesIO()
    arrays["facts"] = np.array(json.dumps(files.to_json(told)))
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    files.write_bytes(folder / EXHIBITS, stream.getvalue())


def read_exhibits(folder: Path) -> Exhibits:
    """What `write` kept; without images where the file is absent, DatasetError where it is a link or not what medgan writes."""
    path = folder / EXHIBITS
    if not os.path.lexists(path):
        return Exhibits(path=path, stored=np.zeros((0, 1, 1, 1), np.uint8), facts={})
    path = files.resolve_inside(folder, EXHIBITS)
    try:
        return _check_exhibits(path, dict(_unpack(path)))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        MemoryError,
        RecursionError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        raise damage(path, error) from error


def damage(path: Path, why: object) -> DatasetError:
    """The sentence for exhibits that medgan did not leave like this."""
    return DatasetError(
        f"{path} is damaged, or not written by medgan ({why})",
        hint="Repeat the command `medgan evaluate` that wrote it: it measures nothing twice.",
    )


def _unpack(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays by name; nothing is unpickled, and nothing is unpacked that claims too much."""
    with zipfile.ZipFile(path) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > MAX_BYTES:
            raise ValueError(f"it claims more than {MAX_BYTES // 1024**2} MiB")
        with np.load(path, allow_pickle=False) as arrays:
            for name in ("pixels", "facts", *(CURVES if "probabilities" in arrays else ())):
                yield name, arrays[name]


def _check_exhibits(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Exhibits:
    """The exhibits, or ValueError, TypeError or KeyError where one does not fit the others."""
    stored, facts = arrays["pixels"], json.loads(str(arrays["facts"]))
    if stored.dtype != np.uint8 or stored.ndim != len("NCHW") or stored.shape[1] not in {1, 3}:
        raise ValueError("its images have another form")
    for name, kind in (("walls", ClassImages), ("pairs", Match), ("ranked", Ranked)):
        items = files.from_json(Mapping[str, Any], facts, "facts").get(name, [])
        files.from_json(tuple[kind, ...], items, name)  # type: ignore[valid-type]
    return Exhibits(path=path, stored=stored, facts=facts, predictions=_predictions(arrays, facts))


def _predictions(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Predictions | None:
    if "probabilities" not in arrays:
        return None
    told = facts["predictions"]
    found = Predictions(
        names=tuple(map(str, told["names"])),
        rare=tuple(map(str, told["rare"])),
        arms=tuple((str(judge), str(arm)) for judge, arm in told["arms"]),
        truth=arrays["truth"].astype(np.int64, casting="safe"),
        probabilities=arrays["probabilities"].astype(np.float32, casting="same_kind"),
    )
    count, classes = found.truth.size, len(found.names)
    shapes = found.truth.shape, found.probabilities.shape
    if shapes != ((count,), (len(found.arms), count, classes)) or not count:
        raise ValueError("its predictions do not fit its arms and classes")
    if (
        not np.isfinite(found.probabilities).all()
        or not 0 <= found.truth.min() <= found.truth.max() < classes
    ):
        raise ValueError("its predictions are none")
    if not set(found.rare) <= set(found.names):
        raise ValueError("its rare classes are not among its classes")
    return found
