"""JPEG of 12 bits, lossy or lossless: GDCM gives the values of other readers, or a true reason to refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.encaps import encapsulate

from medgan.base.errors import ScanError
from medgan.scans import formats
from medgan.scans.dicom import jpeg12
from tests.scans.phantoms import dataset, save, wheel
from tests.scans.seeds import by_gdcm

MR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}
TWELVE = {"BitsStored": 12, "HighBit": 11, "StudyInstanceUID": "1.2.3"}
BLOCKS = np.array([[0, 4095, 17], [2048, 3000, 1], [511, 512, 4094]])
"""The value of each block of 8 x 8 pixels: a stream of such blocks loses nothing."""
PICTURE = np.kron(BLOCKS, np.ones((8, 8))).astype(np.uint16)
FRAMES = (BLOCKS, BLOCKS[::-1], BLOCKS.T)
WITHOUT_LOSS = ("LosslessProcess14", "LosslessProcess14_1")
EXTENDED = "1.2.840.10008.1.2.4.51"


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def stream(blocks: np.ndarray, precision: int = 12) -> bytes:
    """A sequential JPEG stream (ISO 10918-1 process 4) of even blocks, by differences of their means."""
    rows, columns = (8 * n for n in blocks.shape)
    size = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    means = bytes([0x00]) + bytes([0] * 4 + [16] + [0] * 11) + bytes(range(16))  # sixteen codes of five bits
    others = bytes([0x10]) + bytes([1] + [0] * 15) + bytes([0])  # one bit: the rest of the block is 0
    bits, last = "", 0
    for value in (8 * (blocks.astype(int) - 2 ** (precision - 1))).ravel().tolist():
        step, last = value - last, value
        length = abs(step).bit_length()
        coded = step if step >= 0 else step + (1 << length) - 1
        bits += f"{length:05b}" + (f"{coded:0{length}b}" if length else "") + "0"
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, bytes([0]) + bytes([1] * 64)),
            segment(0xC1, bytes([precision]) + size + bytes([1, 1, 0x11, 0])),
            segment(0xC4, means),
            segment(0xC4, others),
            segment(0xDA, bytes([1, 1, 0, 0, 63, 0])),
            data,
            b"\xff\xd9",
        )
    )


def packed(path: Path, *streams: bytes, **attributes: Any) -> Path:
    """A file of such streams; its header is that of as many pictures."""
    pixels = np.stack([PICTURE] * len(streams)) if len(streams) > 1 else PICTURE
    made = dataset(pixels, **(MR | TWELVE | attributes))
    made.PixelData = encapsulate(list(streams))
    made["PixelData"].is_undefined_length = True
    return save(made, path, syntax=EXTENDED)


def theirs(path: Path) -> np.ndarray:
    """SimpleITK's values."""
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).astype(np.float32)


def refused(path: Path) -> ScanError:
    with pytest.raises(ScanError) as caught:
        formats.read(path)
    assert path.name in caught.value.message
    return caught.value


@pytest.mark.parametrize("pictures", [FRAMES[:1], FRAMES], ids=["one frame", "three"])
def test_every_value_of_twelve_bits_with_loss_is_read(pictures, tmp_path):
    path = packed(tmp_path / "a.dcm", *map(stream, pictures))
    scan = formats.read(path)
    assert (scan.bits, scan.meaning) == (12, "raw")
    assert np.array_equal(scan.pixels, np.kron(np.stack(pictures), np.ones((1, 8, 8))))
    assert np.array_equal(scan.pixels, theirs(path).reshape(scan.pixels.shape))


@pytest.mark.parametrize("process", WITHOUT_LOSS)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_twelve_bits_without_loss_are_the_values_that_were_packed(process, dtype, tmp_path):
    pixels = (PICTURE.astype(np.int32) - (2048 if dtype == np.int16 else 0)).astype(dtype)
    (tmp_path / "a.dcm").write_bytes(by_gdcm(dataset(pixels, **MR, **TWELVE), process))
    assert np.array_equal(formats.read(tmp_path / "a.dcm").pixels[0], pixels)


@pytest.mark.skipif(not shutil.which("dcmcjpeg"), reason="dcmtk is not installed")
def test_what_dcmtk_packs_is_what_dcmtk_unpacks(tmp_path):
    save(dataset(PICTURE, **MR, **TWELVE), tmp_path / "plain.dcm")
    for command in (
        ["dcmcjpeg", "+ee", "plain.dcm", "packed.dcm"],
        ["dcmdjpeg", "packed.dcm", "unpacked.dcm"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert pydicom.dcmread(tmp_path / "packed.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.51"
    assert np.array_equal(*(formats.read(tmp_path / name).pixels for name in ("packed.dcm", "unpacked.dcm")))


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_so_are_the_published_files(name):
    assert np.array_equal(formats.read(wheel(name)).pixels[0], theirs(wheel(name)).squeeze())


def test_without_gdcm_the_reason_is_that_it_is_absent(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.dcm", stream(BLOCKS))
    monkeypatch.setattr(jpeg12, "gdcm", None)
    error = refused(path)
    assert error.verdict == "error:missing-codec"
    assert "JPEG Extended" in error.message
    assert "12 bits" in error.message
    assert "codecs" in error.hint


def test_the_size_of_the_stream_is_that_of_the_header(tmp_path):
    path = packed(tmp_path / "a.dcm", stream(BLOCKS[:2]))
    assert refused(path).verdict == "error:dimension-mismatch"


def test_a_damaged_stream_is_refused_before_gdcm_sees_it(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.dcm", stream(BLOCKS).replace(b"\xff\xc4", b"\xff\xc8", 1))
    monkeypatch.setattr(jpeg12, "decode", lambda *_, **__: pytest.fail("GDCM was asked"))
    assert refused(path).verdict == "error:decode-failed"


def test_a_stream_of_a_depth_that_there_is_not_is_refused_by_its_depth(tmp_path):
    error = refused(packed(tmp_path / "a.dcm", stream(BLOCKS, 16)))
    assert error.verdict == "error:decode-failed"
    assert "16 bits" in error.message


def test_a_header_of_eight_bits_over_a_stream_of_twelve_is_refused(tmp_path):
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    error = refused(packed(tmp_path / "a.dcm", stream(BLOCKS), **eight))
    assert error.verdict == "error:decode-failed"
    assert "12 bits" in error.message


def test_streams_of_eight_bits_go_the_way_they_went(tmp_path, monkeypatch):
    monkeypatch.setattr(jpeg12, "decode", lambda *_, **__: pytest.fail("GDCM was asked"))
    blocks = BLOCKS // 16
    path = packed(tmp_path / "a.dcm", stream(blocks, 8), BitsAllocated=8, BitsStored=8, HighBit=7)
    assert np.array_equal(formats.read(path).pixels[0], np.kron(blocks, np.ones((8, 8))))


def test_reading_says_nothing_on_standard_error(tmp_path):
    path = packed(tmp_path / "a.dcm", stream(BLOCKS))
    code = (
        "import sys; from pathlib import Path; from medgan.scans import formats; "
        "formats.read(Path(sys.argv[1]))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    assert run.stderr == b""


@pytest.mark.slow
def test_damage_within_the_picture_ends_no_process(tmp_path):
    path = packed(tmp_path / "a.dcm", stream(BLOCKS))
    data, chance = path.read_bytes(), np.random.default_rng(0)
    start = data.index(b"\xff\xd8")
    for _ in range(400):
        broken = bytearray(data)
        for place in chance.integers(start, len(data), chance.integers(1, 6)):
            broken[place] = chance.integers(256)
        path.write_bytes(broken)
        with suppress(ScanError):
            assert formats.read(path).pixels.shape == (1, *PICTURE.shape)
