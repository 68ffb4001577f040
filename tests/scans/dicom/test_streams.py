"""What a compressed frame says of itself, and the JPEG grammar that keeps damaged streams from GDCM."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medgan.base.errors import ScanError
from medgan.scans import formats
from medgan.scans.dicom.streams import (
    _segments,
    find_damage,
    has_circular_boxes,
    lacks_end_marker,
    read_stream_size,
)
from tests.scans.phantoms import patch, ramp, wheel


def jpeg(shape=(24, 16, 3), **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ramp(*shape[:2], dtype=np.uint8)).convert("RGB").save(buffer, "JPEG", **options)
    return buffer.getvalue()


SOUND = jpeg()


LOSSLESS = "SC_rgb_jpeg_gdcm.dcm"
"""JPEG lossless, which GDCM alone of the free codecs decodes: ten colour bars, ten rows each."""


def test_lossless_jpeg_gives_back_every_colour():
    bars = formats.read(wheel(LOSSLESS)).pixels[0, 5::10, 50]
    assert bars[:3].tolist() == [[255, 0, 0], [255, 128, 128], [0, 255, 0]]
    assert bars[6:].tolist() == [[level] * 3 for level in (0, 64, 192, 255)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xff\xc3\x00\x11\x08", b"\xff\xc3\x00\x11\xf6"),  # 246 bits per value
        (b"\x03\x52\x00\x47\x00", b"\x03\x52\x00\x09\x00"),  # a component that is not in the frame
        (b"\x03\x52\x00\x47\x00", b"\x03\x52\x30\x47\x00"),  # a table that is not there
        (b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2"),  # a colour transform of four components
        (b"\x08\x07\x06\xff", b"\x08\x07\x08\xff"),  # two codes for one symbol
    ],
    ids=["depth", "component", "table", "transform", "symbols"],
)
def test_damaged_lossless_jpeg_is_an_error_and_not_the_end_of_the_process(old, new, tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(wheel(LOSSLESS).read_bytes())
    with pytest.raises(ScanError) as caught:
        formats.read(patch(path, old, new))
    assert caught.value.verdict == "error:decode-failed"


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_rows": 1}, {"quality": 5}])
def test_sound_streams_pass(options):
    assert find_damage(jpeg(**options)) == ""


def test_missing_end_marker_and_fill_bytes_are_let_pass():
    assert find_damage(SOUND.removesuffix(b"\xff\xd9")) == ""
    assert find_damage(SOUND.replace(b"\xff\xda", b"\xff\xff\xff\xda")) == ""


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
    assert find_damage(stream)


@given(st.binary(max_size=64), st.integers(0, len(SOUND)))
def test_any_bytes_anywhere_are_walked_without_an_exception(junk, place):
    damaged = SOUND[:place] + junk + SOUND[place + len(junk) :]
    assert isinstance(find_damage(damaged), str)
    assert sum(len(content) for _, content in _segments(damaged)) <= len(damaged)
    read_stream_size(damaged)


def test_size_and_depth_come_from_the_frame_header():
    assert read_stream_size(SOUND) == (24, 16, 8)
    assert read_stream_size(b"\xff\xd8\xff\xff" + SOUND[2:]) == (24, 16, 8)  # after a fill byte


def test_size_of_a_jpeg_2000_stream_is_that_of_its_picture_within_its_canvas():
    canvas, corner, tiles = (16 + 3, 24 + 5), (3, 5), (64, 64, 0, 0)
    siz = struct.pack(">HH8IHB", 41, 0, *canvas, *corner, *tiles, 1, 11)
    assert read_stream_size(b"\xff\x4f\xff\x51" + siz + bytes(9)) == (24, 16, 12)


def test_run_lengths_say_no_size():
    assert read_stream_size(b"\x02\0\0\0" + bytes(60)) is None


def test_a_jpeg_ls_stream_ends_with_a_marker():
    head = bytes.fromhex("ffd8 fff7000b08002d000a01011100 ffda0008010100020000")
    assert lacks_end_marker(head + b"\x57\xfd\xff\x7f")
    assert lacks_end_marker(
        head.replace(b"\x00\x0a", b"\xff\xd9") + b"\x57"
    )  # what stands before the scan is no end
    assert not lacks_end_marker(head + b"\x57\xff\xd9\x00")


def box(kind: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


SIGNATURE = box(b"jP  ", b"\r\n\x87\n")


def test_a_box_without_a_length_is_told_from_boxes_that_lead_to_the_codestream():
    codestream = b"\xff\x4f\xff\x51" + bytes(60)
    sound = (
        SIGNATURE + box(b"ftyp", b"jp2 ") + box(b"jp2c", codestream, length=0)
    )  # the last may reach to the end
    assert not has_circular_boxes(sound)
    assert not has_circular_boxes(codestream)
    assert not has_circular_boxes(SIGNATURE + box(b"ftyp", b"jp2 "))
    for length in (0, 1, 7):
        assert has_circular_boxes(SIGNATURE + box(b"ftyp", b"jp2 ", length) + box(b"jp2c", codestream))
