"""PNG, JPEG and TIFF in; PNG with its marks out."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medgan.base.errors import ScanError
from medgan.scans import raster
from medgan.scans.scan import OutputFormat, Provenance, Scan
from tests.scans.phantoms import ramp

BYTES = ramp(12, 9, dtype=np.uint8)
WORDS = (ramp(12, 9) * 601).astype(np.uint16)
COLOUR = np.stack([BYTES, BYTES[::-1], 200 - BYTES], axis=-1)
SYNTHETIC = Provenance(synthetic=True, label="Größe", index=3, seed=7, model="ab" * 32)
REAL = Provenance(synthetic=False, label="normal", index=3, patient="0f")
DEEP = OutputFormat(format="png", low=0, high=65535, unit="stored", bits=16)
BYTE = OutputFormat(format="png", low=0, high=255, unit="stored", bits=8)


def saved(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def tiff(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


def read(path: Path) -> Scan:
    """The scan, after a look at whether the header said the same."""
    scan, header = raster.read(path), raster.read_header(path)
    assert scan.pixels.dtype == np.float32
    assert scan.pixels.shape == header.shape + ((3,) if header.channels == 3 else ())
    assert scan.bits == header.bits
    return scan


def verdict(path: Path) -> str:
    with pytest.raises(ScanError) as caught:
        raster.read(path)
    assert path.name in caught.value.message
    return caught.value.verdict


# --- depth and colour


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("pixels", [BYTES, WORDS, COLOUR], ids=["8-bit", "16-bit", "colour"])
def test_lossless_files_give_every_value_on_the_fixed_scale_of_their_bits(suffix, pixels, tmp_path):
    scan = read(saved(tmp_path / f"a.{suffix}", pixels))
    assert np.array_equal(scan.pixels[0], pixels)
    assert (scan.meaning, scan.bits) == ("stored", 8 * pixels.itemsize)


@pytest.mark.parametrize("pixels", [BYTES, COLOUR], ids=["gray", "colour"])
def test_jpeg_is_read_to_within_its_loss(pixels, tmp_path):
    scan = read(saved(tmp_path / "a.jpg", pixels, quality=100, subsampling=0))
    assert np.abs(scan.pixels[0] - pixels).max() <= 3


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"compression": "zlib"}])
def test_every_form_of_tiff_gives_the_same_words(options, tmp_path):
    assert np.array_equal(read(tiff(tmp_path / "a.tif", WORDS, **options)).pixels[0], WORDS)


def test_deep_colour_tiff_keeps_its_16_bits(tmp_path):
    deep = COLOUR.astype(np.uint16) * 257
    scan = read(tiff(tmp_path / "a.tif", deep, photometric="rgb"))
    assert np.array_equal(scan.pixels[0], deep)
    assert (scan.meaning, scan.bits) == ("stored", 16)


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.uint32])
def test_numbers_without_a_fixed_scale_are_raw(kind, tmp_path):
    pixels = (WORDS.astype(np.int64) - (0 if kind is np.uint32 else 20_000)).clip(-32768, 32767).astype(kind)
    scan = read(tiff(tmp_path / "a.tif", pixels))
    assert np.array_equal(scan.pixels[0], pixels.astype(np.float32))
    assert scan.meaning == "raw"


def test_deep_colour_png_says_that_it_was_reduced(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(deep_colour_png())
    assert raster.read_header(path).notes == ("reduced-to-8-bit",)
    assert read(path).pixels[0].tolist() == [[[1, 2, 3]]]


def test_a_jpeg_tells_how_it_was_compressed_and_by_which_camera(tmp_path):
    pixels = ramp(dtype=np.uint8)
    exif = Image.Exif()
    exif[271], exif[272] = "Maker", "Model 3"
    fine, coarse, again = (
        raster.read_header(saved(tmp_path / f"{name}.jpg", pixels, quality=quality)).scanner
        for name, quality in (("fine", 95), ("coarse", 30), ("again", 95))
    )
    assert fine == again != coarse
    known = raster.read_header(saved(tmp_path / "exif.jpg", pixels, quality=95, exif=exif)).scanner
    assert known.startswith("Maker\nModel 3\n")
    assert known.endswith(fine.strip())
    assert not raster.read_header(saved(tmp_path / "a.png", pixels)).scanner


def deep_colour_png() -> bytes:
    """One pixel of 16-bit RGB, which Pillow cannot write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    row = b"\0" + struct.pack(">3H", 257, 514, 771)
    header = struct.pack(">2I5B", 1, 1, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )


def test_white_is_zero_is_turned_bright_side_up(tmp_path):
    assert np.array_equal(
        read(tiff(tmp_path / "a.tif", BYTES, photometric="miniswhite")).pixels[0], 255 - BYTES
    )
    assert np.array_equal(
        read(tiff(tmp_path / "b.tif", WORDS, photometric="miniswhite")).pixels[0], 65535.0 - WORDS
    )


def test_alpha_is_dropped_and_a_palette_resolved(tmp_path):
    image = Image.fromarray(COLOUR)
    image.putalpha(7)
    image.save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png").pixels[0], COLOUR)
    Image.fromarray(BYTES).convert("P").save(tmp_path / "p.png")
    assert np.array_equal(read(tmp_path / "p.png").pixels[0], np.repeat(BYTES[..., None], 3, axis=-1))


def test_pages_of_one_size_are_frames_and_a_thumbnail_is_none(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as pages:
        for page in (BYTES, BYTES[:4, :3], BYTES + 1):
            pages.write(page, photometric="minisblack")
    assert np.array_equal(read(tmp_path / "a.tif").pixels, np.stack([BYTES, BYTES + 1]))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_orientation_says(orientation, kind, tmp_path):
    stored = BYTES.astype(kind)
    upright = stored.T if orientation > 4 else stored
    upright = upright[
        :: -1 if orientation in {3, 4, 7, 8} else 1, :: -1 if orientation in {2, 3, 6, 7} else 1
    ]
    tag = [(274, "H", 1, orientation, True)]
    assert np.array_equal(read(tiff(tmp_path / "a.tif", stored, extratags=tag)).pixels[0], upright)
    if kind is not np.float32:
        exif = Image.Exif()
        exif[274] = orientation
        assert np.array_equal(read(saved(tmp_path / "a.png", stored, exif=exif)).pixels[0], upright)


# --- damage


def test_one_value_all_over_is_noted(tmp_path):
    assert read(saved(tmp_path / "a.png", np.full((4, 4), 9, np.uint8))).notes == ("constant",)


def test_gaps_in_a_tiff_of_fractions_are_filled_and_noted(tmp_path):
    pixels = BYTES.astype(np.float32) + 1
    pixels[0, 0] = np.nan
    scan = read(tiff(tmp_path / "a.tif", pixels))
    assert scan.pixels[0, 0, 0] == 2
    assert scan.notes == ("nan-filled",)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_file_that_ends_early_is_refused(suffix, tmp_path):
    path = saved(tmp_path / f"a.{suffix}", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-600])
    assert verdict(path) in {"error:truncated", "error:decode-failed"}


def test_one_flipped_byte_of_a_png_is_an_error(tmp_path):
    path = saved(tmp_path / "a.png", BYTES)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 9] ^= 1
    path.write_bytes(data)
    assert verdict(path) == "error:decode-failed"


def test_a_bomb_is_refused_from_its_header(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", np.zeros((300, 300), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ScanError) as caught:
        raster.read_header(path)
    assert caught.value.verdict == "error:too-large"


def test_what_is_too_large_decoded_is_refused_from_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(raster, "MAX_BYTES", BYTES.size * 4 - 1)
    assert verdict(saved(tmp_path / "a.png", BYTES)) == "error:too-large"


def test_complex_numbers_are_refused(tmp_path):
    assert verdict(tiff(tmp_path / "a.tif", BYTES.astype(np.complex64))) == "error:decode-failed"


def test_a_file_that_cannot_be_opened_is_the_disks_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        raster.read(tmp_path / "gone.png")


# --- writing


def written(path: Path, pixels: np.ndarray, form: OutputFormat, mark: Provenance = SYNTHETIC) -> Path:
    raster.write(path, pixels.astype(np.float32), form, mark)
    return path


@pytest.mark.parametrize(("form", "top"), [(BYTE, 255), (DEEP, 65535)], ids=["8-bit", "16-bit"])
def test_written_gray_comes_back_value_for_value(form, top, tmp_path):
    stored = np.random.default_rng(2).integers(0, top, (20, 30), endpoint=True)
    scan = read(written(tmp_path / "a.png", stored / np.float32(top), form))
    assert np.array_equal(scan.pixels[0], stored)
    assert (scan.meaning, scan.bits) == ("stored", form.bits)


@given(st.integers(0, 65535))
def test_every_16_bit_value_survives(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "one.png"
    pixel = np.full((1, 1), value / 65535, np.float32)
    assert read(written(path, pixel, DEEP)).pixels.item() == value


def test_values_without_a_place_in_png_are_spread_over_its_full_range(tmp_path):
    hounsfield = OutputFormat(format="png", low=-1024, high=3071, unit="HU", bits=16)
    path = written(tmp_path / "a.png", np.array([[0, 1]]), hounsfield)
    assert read(path).pixels.tolist() == [[[0, 65535]]]
    said = json.loads(Image.open(path).text["Description"])
    assert (said["Low"], said["High"], said["StoredLow"], said["StoredHigh"]) == (-1024, 3071, 0, 65535)


def test_colour_is_written_with_8_bits_per_channel(tmp_path):
    scan = read(written(tmp_path / "a.png", COLOUR / 255, replace(DEEP, channels=3)))
    assert np.array_equal(scan.pixels[0], COLOUR)


def test_a_synthetic_image_says_so_in_text_and_metadata_and_is_known_again(tmp_path):
    path = written(tmp_path / "a.png", BYTES / 255, BYTE)
    text = Image.open(path).text
    assert "NOT A PATIENT" in text["Disclaimer"]
    assert json.loads(text["Description"])["Label"] == "Größe"
    assert "trainedAlgorithmicMedia" in text["XML:com.adobe.xmp"]
    assert raster.read_header(path).notes == ("synthetic",)


def test_a_real_image_is_not_taken_for_a_synthetic_one(tmp_path):
    path = written(tmp_path / "a.png", BYTES / 255, BYTE, REAL)
    assert "algorithmicallyEnhanced" in Image.open(path).text["XML:com.adobe.xmp"]
    assert raster.read_header(path).notes == ()


def test_the_same_image_gives_the_same_bytes(tmp_path):
    one, two = (written(tmp_path / name, BYTES / 255, BYTE).read_bytes() for name in ("a.png", "b.png"))
    assert one == two


# --- masks beside images


@pytest.mark.parametrize(
    ("name", "pixels", "skipped"),
    [
        ("benign (1)_mask.png", np.where(BYTES > 50, 255, 0).astype(np.uint8), True),
        ("masks/1.png", np.stack([np.where(BYTES > 50, 255, 0)] * 3, axis=-1).astype(np.uint8), True),
        ("1_seg.tif", (BYTES % 5).astype(np.uint16), True),
        ("1.png", np.where(BYTES > 50, 255, 0).astype(np.uint8), False),  # nothing but few levels
        ("masked.png", BYTES, False),  # nothing but a name
    ],
)
def test_a_mask_is_known_by_its_name_and_its_few_levels(name, pixels, skipped, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    path = saved(tmp_path / name, pixels)
    if skipped:
        assert verdict(path) == "skip:segmentation"
    else:
        assert np.array_equal(raster.read(path).pixels[0], pixels)
