"""A TIFF file whose page list is a circle, or endless in practice, gets its verdict soon."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from medgan.base.errors import ScanError
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.scans import formats
from medgan.scans.tiff_pages import _MAX_PAGES, walk_pages

ROWS = COLUMNS = 4
BYTE, FLOAT = (8, 1), (32, 3)  # BitsPerSample and SampleFormat
SUB_IFDS, EXIF_IFD = 330, 34665
LONG, LONG8 = 4, 16  # types of a tag


def tiff(
    path: Path,
    pages: int = 1,
    following: int = 0,
    *,
    kind: tuple[int, int] = FLOAT,
    big: bool = False,
    sub: int = 0,
) -> Path:
    """A file of `pages` pages that all show the same pixels; the last one names page `following` (from 1; 0:
    none) as the next.

    With `sub`, every page also names itself by the tag of that number.
    """
    values = np.arange(ROWS * COLUMNS)
    pixels = values.astype("<f4" if kind == FLOAT else np.uint8).tobytes()
    start, word, offset = (16, "<HHQQ", "<Q") if big else (8, "<HHII", "<I")
    tags = {
        256: COLUMNS,
        257: ROWS,
        258: kind[0],
        259: 1,
        262: 1,
        273: start,
        277: 1,
        278: ROWS,
        279: len(pixels),
        339: kind[1],
    }
    tags |= {sub: 0} if sub else {}
    count = struct.pack("<Q" if big else "<H", len(tags))
    size = len(count) + len(tags) * struct.calcsize(word) + struct.calcsize(offset)
    first = start + len(pixels)
    out = bytearray(b"II+\0\x08\0\0\0" if big else b"II*\0") + struct.pack(offset, first) + pixels
    for number in range(1, pages + 1):
        here = first + (number - 1) * size
        after = here + size if number < pages else first + (following - 1) * size if following else 0
        said = {**tags, sub: here} if sub else tags
        kinds = {273: LONG8 if big else LONG, sub: LONG8 if big else LONG}
        entries = (
            struct.pack(word, tag, kinds.get(tag, LONG), 1, value) for tag, value in sorted(said.items())
        )
        out += count + b"".join(entries) + struct.pack(offset, after)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)
    return path


@pytest.mark.parametrize("kind", [BYTE, FLOAT], ids=["by Pillow", "by tifffile"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize(("pages", "back_to"), [(1, 1), (2, 1), (3, 2), (150, 120)])
def test_pages_in_a_circle_are_each_read_once_and_noted(pages, back_to, big, kind, tmp_path):
    path = tiff(tmp_path / "loop.tif", pages, back_to, kind=kind, big=big)
    scan, header = formats.read(path), formats.read_header(path)
    assert scan.pixels.shape == header.shape == (pages, ROWS, COLUMNS)
    assert np.array_equal(scan.pixels[-1].ravel(), np.arange(ROWS * COLUMNS))
    assert scan.notes == header.notes == ("circular-pages",)


@pytest.mark.parametrize("kind", [BYTE, FLOAT], ids=["by Pillow", "by tifffile"])
@pytest.mark.parametrize("sub", [SUB_IFDS, EXIF_IFD])
def test_a_page_that_names_itself_as_its_own_part_is_read(sub, kind, tmp_path):
    scan = formats.read(tiff(tmp_path / "sub.tif", sub=sub, kind=kind))
    assert scan.pixels.shape == (1, ROWS, COLUMNS)
    assert not scan.notes


@pytest.mark.parametrize("kind", [BYTE, FLOAT], ids=["by Pillow", "by tifffile"])
def test_tens_of_thousands_of_pages_are_refused_before_one_is_read(kind, tmp_path):
    path = tiff(tmp_path / "many.tif", 60_000, kind=kind)
    for look in (formats.read_header, formats.read):
        with pytest.raises(ScanError, match=f"more than {_MAX_PAGES:,} pages") as caught:
            look(path)
        assert caught.value.verdict == "error:too-large"


def test_a_stack_of_some_thousand_pages_is_read(tmp_path):
    assert formats.read_header(tiff(tmp_path / "film.tif", 2_000)).shape == (2_000, ROWS, COLUMNS)


@pytest.mark.parametrize(
    "nowhere", [b"", b"\xff\xff\xff\x7f", b"\x0e\0\0\0"], ids=["cut", "beyond the end", "no page"]
)
def test_a_walk_ends_where_no_page_lies(nowhere, tmp_path):
    path = tiff(tmp_path / "odd.tif", 3)
    path.write_bytes(path.read_bytes()[:-4] + nowhere)
    assert walk_pages(path) == (3, False)


def test_a_circle_does_not_stop_a_run_and_is_told(tmp_path):
    for number in range(4):
        path = tiff(tmp_path / "ab"[number % 2] / f"{number}.tif", following=1 if number == 0 else 0)
        data = bytearray(path.read_bytes())
        data[9] = number  # of the first pixel, or all would be the same image
        path.write_bytes(data)
    manifest = index(Source(path=tmp_path))
    assert manifest.verdicts() == {"ok": 4}
    assert any("runs in a circle" in warning for warning in measure(manifest).warnings)
