"""What a compressed frame says of itself, and the JPEG grammar that keeps damaged streams from GDCM."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import gdcm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medgan.errors import ScanError
from medgan.scans import formats
from medgan.scans.streams import damage, segments, stream_size
from tests.scans.phantoms import ramp, write


def jpeg(shape=(24, 16, 3), **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ramp(*shape[:2], dtype=np.uint8)).convert("RGB").save(buffer, "JPEG", **options)
    return buffer.getvalue()


SOUND = jpeg()


def lossless(path: Path, pixels: np.ndarray) -> Path:
    """A DICOM file with JPEG lossless pixels, which GDCM alone of the free codecs reads and writes."""
    source = write(
        path, pixels, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4", StudyInstanceUID="1.2"
    )
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


def test_lossless_jpeg_gives_back_every_pixel(tmp_path):
    pixels = ramp(16, 16) * 7
    path = lossless(tmp_path / "a.dcm", pixels)
    assert b"\xff\xc3" in path.read_bytes()
    assert np.array_equal(formats.read(path).pixels[0], pixels)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xff\xc3\x00\x0b\x10", b"\xff\xc3\x00\x0b\xf6"),  # 246 bits per value
        (b"\xff\xda\x00\x08\x01\x01", b"\xff\xda\x00\x08\x01\x09"),  # a component that is not in the frame
        (b"\xff\xda\x00\x08\x01\x01\x00", b"\xff\xda\x00\x08\x01\x01\x30"),  # a table that is not there
    ],
    ids=["depth", "component", "table"],
)
def test_damaged_lossless_jpeg_is_an_error_and_not_the_end_of_the_process(old, new, tmp_path):
    path = lossless(tmp_path / "a.dcm", ramp(16, 16))
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    with pytest.raises(ScanError) as caught:
        formats.read(path)
    assert caught.value.verdict == "error:decode-failed"


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_rows": 1}, {"quality": 5}])
def test_sound_streams_pass(options):
    assert damage(jpeg(**options)) == ""


def test_missing_end_marker_and_fill_bytes_are_let_pass():
    assert damage(SOUND.removesuffix(b"\xff\xd9")) == ""
    assert damage(SOUND.replace(b"\xff\xda", b"\xff\xff\xff\xda")) == ""


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        SOUND[2:],
        SOUND[: SOUND.index(b"\xff\xda")],
        SOUND.replace(b"\xff\xd9", SOUND[2:20]),
        SOUND.replace(b"JFIF\0\1", b"JFIF\0\0"),
        SOUND.replace(b"\xff\xc0", b"\xff\xc8"),
        SOUND.replace(b"\xff\xc4\x00\x1f\x00", b"\xff\xc4\x00\x1f\x40"),
        jpeg(progressive=True),
    ],
    ids=[
        *("empty", "start only", "start and end", "no start", "no scan", "segment after the scan"),
        *("JFIF of version 0", "reserved marker", "table of a class there is not", "progressive"),
    ],
)
def test_streams_that_break_the_grammar_are_told(stream):
    assert damage(stream)


@given(st.binary(max_size=64), st.integers(0, len(SOUND)))
def test_any_bytes_anywhere_are_walked_without_an_exception(junk, place):
    damaged = SOUND[:place] + junk + SOUND[place + len(junk) :]
    assert isinstance(damage(damaged), str)
    assert sum(len(content) for _, content in segments(damaged)) <= len(damaged)
    stream_size(damaged)


def test_size_and_depth_come_from_the_frame_header():
    assert stream_size(SOUND) == (24, 16, 8)
    assert stream_size(b"\xff\xd8\xff\xff" + SOUND[2:]) == (24, 16, 8)  # after a fill byte


def test_size_of_a_jpeg_2000_stream_is_that_of_its_picture_within_its_canvas():
    canvas, corner, tiles = (16 + 3, 24 + 5), (3, 5), (64, 64, 0, 0)
    siz = struct.pack(">HH8IHB", 41, 0, *canvas, *corner, *tiles, 1, 11)
    assert stream_size(b"\xff\x4f\xff\x51" + siz + bytes(9)) == (24, 16, 12)


def test_run_lengths_say_no_size():
    assert stream_size(b"\x02\0\0\0" + bytes(60)) is None
