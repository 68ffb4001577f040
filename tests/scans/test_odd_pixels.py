"""The table of odd scans, rows 15 to 35: codecs, colours, bits, look-up tables, windows, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from medgan.base.errors import ScanError
from medgan.scans import formats
from medgan.scans.dicom.codecs import _CODECS
from tests.scans.odd import CR, MR, SC, Seen, Table, check
from tests.scans.phantoms import dataset, patch, ramp, save, wheel, write

TABLE = Table()
case, shipped = TABLE.case, TABLE.shipped


@pytest.mark.parametrize(("make", "expected"), TABLE)
def test_odd_pixels(make, expected, tmp_path):
    check(make(tmp_path), expected)


# --- 15 to 22: codecs and sizes ---

for name in ("MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"):
    shipped(15, name, Seen(pydicom.dcmread(wheel("MR_small.dcm")).pixel_array, "raw"))
shipped(15, "SC_rgb_jpeg_gdcm.dcm", Seen(meaning="stored", shape=(1, 100, 100, 3)))
shipped(15, "SC_rgb_dcmtk_+eb+cr.dcm", Seen(meaning="stored", shape=(1, 100, 100, 3)))
shipped(16, "JPEG-lossy.dcm", Seen(meaning="raw", levels=(0, 264)))
shipped(16, "JPGExtended.dcm", Seen(meaning="raw", levels=(0, 264)))
shipped(17, "JPEG2000-embedded-sequence-delimiter.dcm", "error:decode-failed")
for uid in ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.110"):

    @case(18, f"syntax-{uid}", "skip:unsupported-syntax")
    def _(folder, uid=uid):
        made = dataset(ramp(), **SC, PixelData=encapsulate([b"abcd"]))
        made["PixelData"].is_undefined_length = True
        known = "1.2.840.10008.1.2.4.100"  # pydicom writes no syntax that it does not know
        return patch(save(made, folder / "a.dcm", syntax=known), known.encode(), uid.encode())


@case(19, "raw-pixels-named-compressed", "error:not-encapsulated")
def _(folder):
    path = write(folder / "a.dcm", ramp())
    return patch(path, b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")


@case(19, "compressed-pixels-named-raw", "error:encapsulated")
def _(folder):
    path = folder / "a.dcm"
    path.write_bytes(wheel("MR_small_RLE.dcm").read_bytes())
    return patch(path, b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0")


shipped(20, "J2K_pixelrep_mismatch.dcm", Seen(meaning="HU", levels=(-2000, 1896)))


@case(21, "stream-of-another-size", "error:dimension-mismatch")
def _(folder):
    made = pydicom.dcmread(wheel("MR_small_jp2klossless.dcm"))
    made.Rows, made.Columns = 128, 32
    return save(made, folder / "a.dcm", syntax=JPEG2000Lossless)


@case(21, "jpeg-stream-of-another-size", "error:dimension-mismatch")
def _(folder):
    made = pydicom.dcmread(wheel("SC_rgb_jpeg_gdcm.dcm"))
    made.Rows, made.Columns = 200, 50
    return save(made, folder / "a.dcm", syntax=str(made.file_meta.TransferSyntaxUID))


@case(22, "rows-0", "error:bad-dimensions")
def _(folder):
    return write(folder / "a.dcm", ramp(), Rows=0)


@case(22, "65535-squared", "error:bad-dimensions")
def _(folder):
    return write(folder / "a.dcm", ramp(), Rows=65535, Columns=65535)


@case(22, "too-many-frames", "error:too-large")
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR, NumberOfFrames=2_000_000_000)


# --- 23 to 35: values ---


@case(23, "monochrome1-with-window", Seen([[[1, 0.5], [0.25, 0]]], "display"))
def _(folder):
    pixels = np.array([[0, 50], [75, 100]], np.uint16)
    window = {"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}
    shape = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    return write(folder / "a.dcm", pixels, **CR, **window, **shape)


@case(23, "monochrome1-8-bit", Seen(255 - ramp(), "stored"))
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC, PhotometricInterpretation="MONOCHROME1")


@case(23, "monochrome1-12-bit", Seen(4095.0 - ramp(), "raw"))
def _(folder):
    return write(
        folder / "a.dcm", ramp(), **CR, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11
    )


@case(23, "monochrome1-hounsfield-is-not-inverted", Seen(ramp() - 1024.0, "HU"))
def _(folder):
    return write(folder / "a.dcm", ramp(), PhotometricInterpretation="MONOCHROME1", RescaleIntercept=-1024)


shipped(23, "dicomdirtests/77654033/CR1/6154", Seen(meaning="display"))
shipped(24, "examples_palette.dcm", Seen(meaning="stored", shape=(1, 350, 800, 3), levels=(0, 255)))


def sixteen_bit_palette() -> dict[str, Any]:
    """Three tables of 16-bit entries, begun at the value 3: red falls, green rises, blue is one shade."""
    entries = {"Red": np.arange(61)[::-1] << 10, "Green": np.arange(61) << 10, "Blue": np.full(61, 0x1234)}
    tables: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in entries.items():
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [61, 3, 16]
        tables[f"{colour}PaletteColorLookupTableData"] = table.astype("<u2").tobytes()
    return tables


INDEX = np.clip(ramp() - 3.0, 0, 60)  # values before and beyond the tables take their first and last entry
PAINTED = np.stack([(60 - INDEX) * 4, INDEX * 4, np.full(INDEX.shape, 0x12)], axis=-1)


@case(24, "palette-of-16-bits-becomes-8", Seen(PAINTED, "stored"))
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC, **sixteen_bit_palette())


@case(25, "palette-missing", "error:palette-missing")
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC, PhotometricInterpretation="PALETTE COLOR")


shipped(26, "examples_ybr_color.dcm", Seen(meaning="stored", shape=(30, 240, 320, 3)))
shipped(26, "examples_jpeg2k.dcm", Seen(meaning="stored", shape=(1, 480, 640, 3), levels=(0, 255)))
shipped(26, "SC_ybr_full_422_uncompressed.dcm", Seen(meaning="stored", shape=(1, 100, 100, 3)))
COLOURS = np.arange(27, dtype=np.uint8).reshape(3, 3, 3) * 9


@case(26, "rgb-planar-0", Seen(COLOURS, "stored"))
def _(folder):
    return write(folder / "a.dcm", COLOURS, **SC)


@case(26, "rgb-planar-1", Seen(COLOURS, "stored"))
def _(folder):
    planes = COLOURS.transpose(2, 0, 1).tobytes() + b"\0"
    return write(folder / "a.dcm", COLOURS, **SC, PlanarConfiguration=1, PixelData=planes)


YBR = np.array([[[0, 128, 128], [255, 128, 128]], [[100, 90, 160], [60, 200, 128]]], np.uint8)
CHROMA = np.array([[1, 0, 1.402], [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1, 1.772, 0]])
MIXED = np.clip((YBR.astype(float) - [0, 128, 128]) @ CHROMA.T, 0, 255)  # PS3.3 C.7.6.3.1.2, solved for RGB


@case(26, "ybr-full", Seen(np.rint(MIXED), "stored"))
def _(folder):
    return write(folder / "a.dcm", YBR, **SC, PhotometricInterpretation="YBR_FULL")


@case(26, "ybr-full-422", Seen(np.rint(MIXED[:, [0, 0]]), "stored"))
def _(folder):
    pairs = YBR[:, 0][:, [0, 0, 1, 2]]  # two pixels of equal brightness share one colour
    return write(
        folder / "a.dcm", YBR, **SC, PhotometricInterpretation="YBR_FULL_422", PixelData=pairs.tobytes()
    )


def test_26_the_same_picture_in_ybr_and_in_rgb_has_the_same_colours():
    plain, subsampled = (
        formats.read(wheel(f"SC_{name}.dcm")).pixels[0] for name in ("rgb_rle", "ybr_full_422_uncompressed")
    )
    assert np.abs(plain - subsampled).max() <= 6  # chroma is rounded, and shared by two pixels


SIGNED = np.array([[-2048, -1], [0, 2047]], np.int16)
DIRTY = ((SIGNED & 0x0FFF) | np.array([[0x5000, 0x0000], [0xF000, 0x3000]])).astype(np.uint16).view(np.int16)


@case(27, "signed-12-bit-with-dirty-high-bits", Seen(SIGNED, "raw"))
def _(folder):
    return write(folder / "a.dcm", DIRTY, **MR, BitsStored=12, HighBit=11)


for uid in (RLELossless, JPEG2000Lossless):

    @case(28, f"overlay-in-the-high-bits-{uid.name.split()[0]}", Seen(ramp(64, 64) & 0x0FFF, "raw"))
    def _(folder, uid=uid):
        made = dataset(ramp(64, 64) | 0x8000, **MR)
        made.file_meta = pydicom.dataset.FileMetaDataset()
        made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
        made.compress(uid, generate_instance_uid=False, encoding_plugin="pylibjpeg")
        made.BitsStored, made.HighBit = 12, 11
        return save(made, folder / "a.dcm", syntax=uid)


@case(29, "high-bit-15-of-12-stored", Seen(ramp(), "raw"))
def _(folder):
    return write(folder / "a.dcm", ramp() << 4, **MR, BitsStored=12, HighBit=15)


@case(29, "high-bit-15-of-12-stored-compressed", Seen(ramp(64, 64), "raw"))
def _(folder):
    made = dataset(ramp(64, 64) << 4, **MR)
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    made.compress(RLELossless, generate_instance_uid=False, encoding_plugin="pylibjpeg")
    made.BitsStored, made.HighBit = 12, 15
    return save(made, folder / "a.dcm", syntax=RLELossless)


@case(29, "high-bit-15-of-12-stored-big-endian", Seen(ramp(64, 64), "raw"))
def _(folder):
    made = dataset((ramp(64, 64) << 4).astype(">u2"), **MR, BitsStored=12, HighBit=15)
    return save(made, folder / "a.dcm", syntax="1.2.840.10008.1.2.2")


def lut(entries: np.ndarray, bits: int, first: int = 0, **more: Any) -> list[Dataset]:
    """A look-up table sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = entries.tobytes()
    item["LUTData"].VR = "OW"
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return [item]


PROBES = np.array([[0, 16, 255, 256], [300, 4095, 1, 2]], np.uint16)


@case(30, "8-bit-voi-lut-of-4096-entries", Seen(np.float32(PROBES // 16) / np.float32(255), "display"))
def _(folder):
    table = lut((np.arange(4096) // 16).astype(np.uint8), 8)
    return write(folder / "a.dcm", PROBES, **CR, BitsStored=12, HighBit=11, VOILUTSequence=table)


@case(31, "voi-lut-narrower-than-declared", Seen(np.float32(PROBES) / np.float32(4095), "display"))
def _(folder):
    table = lut(np.arange(4096, dtype=np.uint16), 16)
    return write(folder / "a.dcm", PROBES, **CR, BitsStored=12, HighBit=11, VOILUTSequence=table)


@case(32, "modality-lut-of-12-bits", Seen(4095.0 - PROBES, "raw"))
def _(folder):
    table = lut(np.arange(4096, dtype=np.uint16)[::-1], 12, ModalityLUTType="US")
    return write(folder / "a.dcm", PROBES, **SC, ModalityLUTSequence=table)


@case(33, "slope-only", Seen(2.0 * ramp(), "HU", "incomplete-rescale"))
def _(folder):
    return write(folder / "a.dcm", ramp(), RescaleSlope=2, RescaleIntercept=None)


@case(33, "intercept-only", Seen(ramp() - 1024.0, "HU", "incomplete-rescale"))
def _(folder):
    return write(folder / "a.dcm", ramp(), RescaleIntercept=-1024, RescaleSlope=None)


@case(33, "both-empty", Seen(ramp(), "raw", "no-rescale"))
def _(folder):
    return write(folder / "a.dcm", ramp(), RescaleSlope="", RescaleIntercept="")


@case(33, "slope-0", "error:bad-rescale")
def _(folder):
    return write(folder / "a.dcm", ramp(), RescaleSlope=0, RescaleIntercept=5)


@case(33, "decimal-comma", "error:bad-rescale")
def _(folder):
    return patch(write(folder / "a.dcm", ramp(), RescaleSlope="1.53"), b"1.53", b"1,53")


WINDOWED = np.array([[0, 25], [50, 100]], np.uint16)


@case(34, "first-valid-of-several-windows", Seen([[0, 0.25], [0.5, 1]], "display"))
def _(folder):
    windows = {"WindowCenter": [9, 50, 1], "WindowWidth": [0, 100, 7], "VOILUTFunction": "LINEAR_EXACT"}
    return write(folder / "a.dcm", WINDOWED, **CR, **windows)


@case(34, "width-0", Seen(WINDOWED, "raw"))
def _(folder):
    return write(folder / "a.dcm", WINDOWED, **CR, WindowCenter=50, WindowWidth=0)


@case(34, "empty-window", Seen(WINDOWED, "raw"))
def _(folder):
    return write(folder / "a.dcm", WINDOWED, **CR, WindowCenter="", WindowWidth="")


@case(34, "sigmoid", Seen(meaning="display", levels=(1 / (1 + np.exp(40)), 1)))
def _(folder):
    sigmoid = {"WindowCenter": 50, "WindowWidth": 5, "VOILUTFunction": "SIGMOID"}
    return write(folder / "a.dcm", WINDOWED, **CR, **sigmoid)


@case(34, "window-of-a-ct-is-ignored", Seen(WINDOWED, "HU"))
def _(folder):
    return write(folder / "a.dcm", WINDOWED, WindowCenter=50, WindowWidth=10)


PADDED = np.array([[-2000, -1990], [0, 1024]], np.int16)


@case(35, "ct-padding", Seen([[-1024, -3014], [-1024, 0]], "HU"))
def _(folder):
    return write(folder / "a.dcm", PADDED, RescaleIntercept=-1024, PixelPaddingValue=-2000)


@case(35, "ct-padding-range", Seen([[-1024, -1024], [-1024, 0]], "HU"))
def _(folder):
    limits = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
    return write(folder / "a.dcm", PADDED, RescaleIntercept=-1024, **limits)


@case(35, "ct-padding-implicit", Seen([[-1024, -3014], [-1024, 0]], "HU"))
def _(folder):
    made = dataset(PADDED, RescaleIntercept=-1024, PixelPaddingValue=-2000)
    return save(made, folder / "a.dcm", syntax="1.2.840.10008.1.2")


@case(35, "ct-padding-written-as-unsigned", Seen([[-1024, -3014], [-1024, 0]], "HU"))
def _(folder):
    made = dataset(PADDED, RescaleIntercept=-1024)
    made.add_new("PixelPaddingValue", "US", 63536)  # -2000 in the wrong sign
    return save(made, folder / "a.dcm")


@case(35, "padding-outside-the-stored-bits", Seen([[7, 7], [50, 100]], "raw"))
def _(folder):
    words = np.array([[0xFFFF, 7], [50, 100]], np.uint16)
    return write(folder / "a.dcm", words, **MR, BitsStored=12, HighBit=11, PixelPaddingValue=0xFFFF)


@case(35, "padding-of-monochrome1-is-dark-in-the-end", Seen([[3995, 3995], [4045, 4088]], "raw"))
def _(folder):
    words = np.array([[0, 100], [50, 7]], np.uint16)
    inverse = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    return write(folder / "a.dcm", words, **CR, **inverse, PixelPaddingValue=0)


# --- 15 without its codec ---


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_jp2klossless.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
    ],
)
def test_15_missing_codec_names_file_syntax_and_extra(name, monkeypatch):
    path = wheel(name)
    syntax = pydicom.dcmread(path).file_meta.TransferSyntaxUID
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    for read in (formats.read_header, formats.read):
        with pytest.raises(ScanError) as caught:
            read(path)
        assert caught.value.verdict == "error:missing-codec"
        assert name in caught.value.message
        assert syntax.name in caught.value.message
        assert caught.value.hint == "in your clone of medgan: pip install -e '.[codecs]'"


def test_15_no_codec_that_medgan_prefers_is_under_the_gpl():
    first = {plugins[0] for plugins in _CODECS.values()}
    assert first == {"pylibjpeg", "pillow", "gdcm", "pyjpegls"}
    gpl = [uid for uid, plugins in _CODECS.items() if plugins[0] == "pylibjpeg" and ".1.2.4.5" in uid]
    assert (
        not gpl
    )  # pylibjpeg decodes these through pylibjpeg-libjpeg, which is GPL-3: only ever the last resort
