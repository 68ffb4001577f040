"""Cases of the table of odd scans: unusual inputs, each with its one right outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import ScanError
from medgan.dataset.advice import data_warnings
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.scans import formats
from tests.scans.phantoms import ramp, wheel, write

CR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"}
SC = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}
MR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}


@dataclass(frozen=True)
class Seen:
    """What a readable file shall give; fields left out are not looked at."""

    pixels: Any = None
    meaning: str = ""
    note: str = ""
    shape: tuple[int, ...] = ()
    levels: tuple[float, float] | None = None


@dataclass(frozen=True)
class Told:
    """What a data set shall give; fields left out are not looked at."""

    verdicts: dict[str, str]
    """Of files that are not ok; every other one is."""
    warning: str = ""
    scans: int = 0
    """Usable scans: volumes and single images."""
    options: dict[str, Any] = field(default_factory=dict)


class Table(list[Any]):
    """Cases for `pytest.mark.parametrize`: (maker of the input, outcome), with the row first in the id."""

    def case(self, row: int, name: str, expected: Any) -> Callable[[Any], Any]:
        """File the decorated maker under its row."""

        def file(make: Any) -> Any:
            self.append(pytest.param(make, expected, id=f"{row:02d}-{name}"))
            return make

        return file

    def shipped(self, row: int, name: str, expected: Any) -> None:
        """File a file of pydicom's own wheel."""
        self.case(row, Path(name).name, expected)(lambda _: wheel(name))


def check(path: Path, expected: Seen | str) -> None:
    """Read a file as a data set does, header first, then pixels; a text is the expected verdict."""
    if isinstance(expected, str):
        with pytest.raises(ScanError) as caught:
            formats.read_header(path), formats.read(path)
        assert caught.value.verdict == expected
        assert path.name in caught.value.message
        return
    scan, header = formats.read(path), formats.read_header(path)
    assert scan.pixels.dtype == np.float32
    assert scan.pixels.shape == header.shape + ((3,) if header.channels == 3 else ())
    assert set(header.notes) <= set(scan.notes)
    assert np.isfinite(scan.pixels).all()
    if expected.pixels is not None:
        assert np.array_equal(scan.pixels, np.asarray(expected.pixels, np.float32).reshape(scan.pixels.shape))
    assert expected.meaning in {"", scan.meaning}
    assert not expected.note or expected.note in scan.notes
    assert expected.shape in {(), scan.pixels.shape}
    if expected.levels:
        assert (scan.pixels.min(), scan.pixels.max()) == pytest.approx(expected.levels, abs=1e-6)


def check_data_set(root: Path, expected: Told) -> None:
    """Index a folder, every file of which shall have a verdict, and each that is not ok a reason."""
    manifest = index(Source(path=root, **expected.options))
    assert {record.path: record.verdict for record in manifest.records if not record.ok} == expected.verdicts
    assert all(record.reason for record in manifest.records if not record.ok)
    assert expected.warning in " ".join((*manifest.warnings, *data_warnings(manifest)))
    assert not expected.scans or len(list(manifest.usable())) == expected.scans


def picture(path: Path, seed: int = 0, shape: tuple[int, ...] = (8, 8)) -> Path:
    """A gray or colour image that no other seed gives, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)
    return path


def single(path: Path, seed: int = 0, **attributes: Any) -> Path:
    """A CT image of a series of its own."""
    return write(
        path,
        ramp(start=100 * seed),
        **{"SeriesInstanceUID": f"1.2.3.{seed}", "RescaleIntercept": -1024} | attributes,
    )
