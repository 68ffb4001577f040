"""Write the images and predictions that a report shows to exhibits.npz, and read them."""

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
from medgan.evaluation.usefulness.predictions import Predictions

_FILE = "exhibits.npz"
_MAX_BYTES = 256 * 1024**2
"""Size of all arrays, unpacked, at most; medgan never writes a larger file."""
_WHITE = 255
_PREDICTION_ARRAYS = ("truth", "probabilities")
"""Arrays that are stored if usefulness was measured."""

_Pixels = NDArray[np.float32]


_ROWS = tuple[int, ...]
"""Images, as rows of the stored array."""
_FACTS: Mapping[str, Any] = {
    "walls": {"label": str, "real": _ROWS, "synthetic": _ROWS, "names?": tuple[str, ...]},
    "pairs": {"label": str, "words": str, "rows": _ROWS},
    "ranked": {"label": str, "rows": [{"title": str, "rows": _ROWS, "captions": tuple[str, ...]}]},
}
"""Images of a class, with the names of synthetic ones; synthetic images with their nearest training images;
rows of each class's images from best to worst."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibits:
    """What a report shows: images, and facts that refer to them by row."""

    path: Path
    stored: NDArray[np.uint8]
    """(N, C, H, W)."""
    facts: Mapping[str, Any]
    predictions: Predictions | None = None

    def images(self, rows: Sequence[int]) -> _Pixels:
        """(n, C, H, W) in [0, 1]; raises DatasetError for rows that do not exist."""
        if not isinstance(rows, list) or not all(
            type(row) is int and 0 <= row < len(self.stored) for row in rows
        ):
            raise _damage_error(self.path, f"it has no images {rows}")
        return np.asarray(self.stored[list(rows)] / _WHITE, np.float32)


def write_exhibits(
    folder: Path, pixels: Sequence[_Pixels], facts: Mapping[str, Any], said: Predictions | None
) -> None:
    """Store images, facts and predictions.

    Args:
        folder: The folder of the evaluation.
        pixels: Images (C, H, W) in [0, 1].
        facts: Plain JSON values.
        said: Predictions of every arm; None if usefulness was not measured.
    """
    arrays: dict[str, NDArray[Any]] = {"pixels": np.rint(np.stack(pixels) * _WHITE).astype(np.uint8)}
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
    files.write_bytes(folder / _FILE, stream.getvalue())


def read_exhibits(folder: Path) -> Exhibits:
    """Read what `write_exhibits` stored; without images if the file is absent.

    Raises:
        DatasetError: the file leads out of the folder, or is not what medgan writes.
    """
    path = folder / _FILE
    if not os.path.lexists(path):
        return Exhibits(path=path, stored=np.zeros((0, 1, 1, 1), np.uint8), facts={})
    path = files.resolve_inside(folder, _FILE)
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
        raise _damage_error(path, error) from error


def _damage_error(path: Path, why: object) -> DatasetError:
    """The error for a file that is not as medgan writes it."""
    return DatasetError(
        f"{path} is damaged, or was not written by medgan ({why})",
        hint="Repeat the `medgan evaluate` command that wrote it; finished parts are not measured again.",
    )


def _unpack(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield (name, array) without unpickling, after checking the unpacked size."""
    with zipfile.ZipFile(path) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > _MAX_BYTES:
            raise ValueError(f"it claims more than {_MAX_BYTES // 1024**2} MiB")
        with np.load(path, allow_pickle=False) as arrays:
            for name in ("pixels", "facts", *(_PREDICTION_ARRAYS if "probabilities" in arrays else ())):
                yield name, arrays[name]


def _check_exhibits(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Exhibits:
    """Check arrays and facts against each other; raises ValueError, TypeError or KeyError."""
    stored, facts = arrays["pixels"], json.loads(str(arrays["facts"]))
    if stored.dtype != np.uint8 or stored.ndim != len("NCHW") or stored.shape[1] not in {1, 3}:
        raise ValueError("its images have the wrong type or shape")
    known = files.from_json(Mapping[str, Any], facts, "facts")
    shown = {name: files.from_json([kind], known.get(name, []), name) for name, kind in _FACTS.items()}
    if any(wall.get("names") and len(wall["names"]) != len(wall["synthetic"]) for wall in shown["walls"]):
        raise ValueError("a class has more or fewer names than images")
    if any(len(pair["rows"]) != 2 for pair in shown["pairs"]):
        raise ValueError("a pair does not have two images")
    if any(len(row["captions"]) != len(row["rows"]) for one in shown["ranked"] for row in one["rows"]):
        raise ValueError("a row has more or fewer captions than images")
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
        raise ValueError("its predictions are not probabilities of its classes")
    if not set(found.rare) <= set(found.names):
        raise ValueError("its rare classes are not among its classes")
    return found
