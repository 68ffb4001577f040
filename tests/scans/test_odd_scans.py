"""The table of odd scans: each bad or unusual input of the wild with the one right outcome, named by its row."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from medgan.errors import ScanError
from medgan.scans import dicom_header, dicom_read, formats, series
from medgan.scans.dicom_pixels import CODECS
from tests.scans.phantoms import dataset, patch, ramp, save, slices, wheel, write

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


Expected = Seen | str
CASES: list[Any] = []
GROUPS: list[Any] = []


def case(row: int, name: str, expected: Expected) -> Callable[..., Callable[[Path], Path]]:
    """File the decorated maker of a file in the table, under its row."""

    def file(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(pytest.param(make, expected, id=f"{row:02d}-{name}"))
        return make

    return file


def shipped(row: int, name: str, expected: Expected) -> None:
    """A file of pydicom's own wheel."""
    case(row, Path(name).name, expected)(lambda _: wheel(name))


@pytest.mark.parametrize(("make", "expected"), CASES)
def test_odd_file(make, expected, tmp_path):
    path = make(tmp_path)
    if isinstance(expected, str):
        with pytest.raises(ScanError) as caught:
            formats.read_header(path), formats.read(path)  # in this order, as a data set is indexed
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


# --- 1 to 14: names, containers, lengths ---

shipped(1, "dicomdirtests/77654033/CR1/6154", Seen(shape=(1, 16, 16)))
shipped(2, "dicomdirtests/DICOMDIR", "skip:dicomdir")


@case(3, "dicomdir-pointing-outside", "skip:dicomdir")
def _(folder):
    data = wheel("dicomdirtests/DICOMDIR").read_bytes()
    path = folder / "DICOMDIR"
    path.write_bytes(data.replace(b"77654033\\CR1", b"..\\..\\..\\etc"))
    return path


shipped(4, "README.txt", "skip:not-medical")


@case(4, "thumbs-db", "skip:not-medical")
def _(folder):
    path = folder / "Thumbs.db"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    return path


@case(4, "appledouble", "skip:not-dicom")
def _(folder):
    path = folder / "._scan.dcm"
    path.write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(300))
    return path


@case(4, "json", "skip:not-medical")
def _(folder):
    path = folder / "dataset.json"
    path.write_text('{"label": 1}')
    return path


@case(5, "empty", "error:empty-file")
def _(folder):
    path = folder / "a.dcm"
    path.touch()
    return path


@case(6, "png-named-dcm", "skip:not-dicom")
def _(folder):
    path = folder / "a.dcm"
    Image.fromarray(ramp(dtype=np.uint8)).save(path, "png")
    return path


@case(6, "text-named-dcm", "skip:not-dicom")
def _(folder):
    path = folder / "a.dcm"
    path.write_text("This is no scan. " * 30)
    return path


@case(7, "no-preamble-explicit", Seen(ramp() - 1024.0, "HU", "repaired:no-meta"))
def _(folder):
    return save(dataset(ramp(), RescaleIntercept=-1024), folder / "a", prefix=False)


@case(7, "no-preamble-implicit", Seen(ramp(), "raw", "repaired:no-meta"))
def _(folder):
    return save(dataset(ramp(), **MR), folder / "a", syntax="1.2.840.10008.1.2", prefix=False)


@case(7, "no-preamble-big-endian", Seen(ramp(), "raw", "repaired:no-meta"))
def _(folder):
    made = dataset(ramp().astype(">u2"), **MR)
    return save(made, folder / "a", syntax="1.2.840.10008.1.2.2", prefix=False)


shipped(
    7, "no_meta.dcm", "skip:not-dicom"
)  # begins with a stray blank, so that not even force reads a first element
shipped(7, "rtstruct.dcm", "skip:not-image")
shipped(7, "ExplVR_LitEndNoMeta.dcm", "skip:not-image")
shipped(8, "meta_missing_tsyntax.dcm", "error:missing-attribute")


@case(8, "image-without-transfer-syntax", Seen(ramp(), "raw", "repaired:no-meta"))
def _(folder):
    path = write(folder / "a.dcm", ramp(), **MR)
    data = path.read_bytes()
    element = b"\x02\x00\x10\x00UI\x14\x00" + b"1.2.840.10008.1.2.1\0"
    assert element in data
    length = struct.unpack_from("<I", data, 140)[0] - len(element)
    path.write_bytes(data[:140] + struct.pack("<I", length) + data[144:].replace(element, b""))
    return path


shipped(9, "MR_small_bigendian.dcm", Seen(meaning="raw", shape=(1, 64, 64), levels=(127, 2145)))
shipped(10, "image_dfl.dcm", Seen(meaning="stored", shape=(1, 512, 512), levels=(0, 255)))


def test_10_deflate_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_header, "HEAD", 1 << 12)
    monkeypatch.setattr(dicom_header, "INFLATED", 1 << 16)
    made = dataset(np.zeros((512, 512), np.uint16))
    path = save(made, tmp_path / "a.dcm", syntax="1.2.840.10008.1.2.1.99")
    assert path.stat().st_size < 1 << 12
    assert formats.read_header(path).shape == (1, 512, 512)
    with pytest.raises(ScanError) as caught:
        formats.read(path)
    assert caught.value.verdict == "error:too-large"


shipped(11, "MR_truncated.dcm", "error:truncated")


@case(11, "truncated-compressed", "error:truncated")
def _(folder):
    path = folder / "a.dcm"
    path.write_bytes(wheel("MR_small_jp2klossless.dcm").read_bytes()[:-900])
    return path


@case(12, "truncated-header", "error:truncated-header")
def _(folder):
    path = folder / "a.dcm"
    path.write_bytes(wheel("CT_small.dcm").read_bytes()[:900])
    return path


@case(12, "cut-between-rows-and-pixels", "error:truncated-header")
def _(folder):
    path = folder / "a.dcm"
    data = wheel("CT_small.dcm").read_bytes()
    path.write_bytes(data[: data.index(b"\x28\x00\x30\x00DS") + 14])  # inside PixelSpacing
    return path


@case(12, "prefix-only", "error:truncated-header")
def _(folder):
    path = folder / "a.dcm"
    path.write_bytes(bytes(128) + b"DICM")
    return path


@case(12, "no-pixels-at-all", "skip:no-pixels")
def _(folder):
    return write(folder / "a.dcm", ramp(), PixelData=None)


shipped(13, "MR_small_padded.dcm", Seen(note="excess-pixels", shape=(1, 64, 64), levels=(127, 2145)))


@case(13, "one-frame-too-many", Seen(ramp(), note="excess-pixels"))
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR, PixelData=ramp().tobytes() + ramp(start=900).tobytes())


@case(14, "number-of-frames-0", Seen(ramp()))
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR, NumberOfFrames=0)


@case(14, "number-of-frames-1A", "error:bad-value")
def _(folder):
    path = write(folder / "a.dcm", ramp(), **MR, NumberOfFrames=10)
    return patch(path, b"(\0\x08\0IS\x02\x0010", b"(\0\x08\0IS\x02\x001A")


@case(14, "missing-pixel-representation", "error:missing-attribute")
def _(folder):
    return write(folder / "a.dcm", ramp(), PixelRepresentation=None)


# --- 15 to 22: codecs and sizes ---

for name in ("MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"):
    shipped(15, name, Seen(pydicom.dcmread(wheel("MR_small.dcm")).pixel_array, "raw"))
shipped(15, "SC_rgb_jpeg_gdcm.dcm", Seen(meaning="stored", shape=(1, 100, 100, 3)))
shipped(16, "JPEG-lossy.dcm", "error:decode-failed")
shipped(16, "JPGExtended.dcm", "error:decode-failed")
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


@case(25, "palette-missing", "error:palette-missing")
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC, PhotometricInterpretation="PALETTE COLOR")


shipped(26, "examples_ybr_color.dcm", Seen(meaning="stored", shape=(30, 240, 320, 3)))
shipped(26, "SC_ybr_full_422_uncompressed.dcm", Seen(meaning="stored", shape=(1, 100, 100, 3)))
COLOURS = np.arange(27, dtype=np.uint8).reshape(3, 3, 3) * 9


@case(26, "rgb-planar-0", Seen(COLOURS, "stored"))
def _(folder):
    return write(folder / "a.dcm", COLOURS, **SC)


@case(26, "rgb-planar-1", Seen(COLOURS, "stored"))
def _(folder):
    planes = COLOURS.transpose(2, 0, 1).tobytes() + b"\0"
    return write(folder / "a.dcm", COLOURS, **SC, PlanarConfiguration=1, PixelData=planes)


SIGNED = np.array([[-2048, -1], [0, 2047]], np.int16)
DIRTY = ((SIGNED & 0x0FFF) | np.array([[0x5000, 0x0000], [0xF000, 0x3000]])).astype(np.uint16).view(np.int16)


@case(27, "signed-12-bit-with-dirty-high-bits", Seen(SIGNED, "raw"))
def _(folder):
    return write(folder / "a.dcm", DIRTY, **MR, BitsStored=12, HighBit=11)


@pytest.mark.parametrize("uid", [RLELossless, JPEG2000Lossless])
def test_28_overlay_in_the_high_bits_of_compressed_pixels_is_dropped(uid, tmp_path):
    words = ramp(64, 64) | 0x8000
    made = dataset(words, **MR)
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    made.compress(uid, generate_instance_uid=False, encoding_plugin="pylibjpeg")
    made.BitsStored, made.HighBit = 12, 11
    path = save(made, tmp_path / "a.dcm", syntax=uid)
    assert np.array_equal(formats.read(path).pixels[0], ramp(64, 64) & 0x0FFF)


@case(29, "high-bit-15-of-12-stored", Seen(ramp(), "raw"))
def _(folder):
    return write(folder / "a.dcm", ramp() << 4, **MR, BitsStored=12, HighBit=15)


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


@case(33, "slope-only", Seen(2.0 * ramp(), "HU"))
def _(folder):
    return write(folder / "a.dcm", ramp(), RescaleSlope=2)


@case(33, "intercept-only", Seen(ramp() - 1024.0, "HU"))
def _(folder):
    return write(folder / "a.dcm", ramp(), RescaleIntercept=-1024)


@case(33, "both-empty", Seen(ramp(), "HU"))
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


@case(35, "padding-outside-the-stored-bits", Seen([[7, 7], [50, 100]], "raw"))
def _(folder):
    words = np.array([[0xFFFF, 7], [50, 100]], np.uint16)
    return write(folder / "a.dcm", words, **MR, BitsStored=12, HighBit=11, PixelPaddingValue=0xFFFF)


@case(35, "padding-of-monochrome1-is-dark-in-the-end", Seen([[3995, 3995], [4045, 4088]], "raw"))
def _(folder):
    words = np.array([[0, 100], [50, 7]], np.uint16)
    inverse = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    return write(folder / "a.dcm", words, **CR, **inverse, PixelPaddingValue=0)


# --- 36 to 42, 47 to 51: kinds of object ---


def enhanced(folder: Path) -> tuple[Path, list[Path]]:
    """A legacy-converted enhanced CT with a slope of its own per frame, its frames shuffled."""
    places = [10.0, 0.0, 5.0, 15.0]
    study = {
        "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.5",
        "StudyID": "1",
        "StudyDate": "20200101",
        "StudyTime": "120000",
        "SeriesNumber": 1,
        "AccessionNumber": "",
        "PatientName": "A^B",
        "PatientBirthDate": "",
        "PatientSex": "",
        "ReferringPhysicianName": "",
        "Manufacturer": "M",
        "SliceThickness": 5,
        "PixelSpacing": [0.5, 0.5],
        "PatientPosition": "HFS",
        "PositionReferenceIndicator": "",
        "KVP": 120,
        "AcquisitionNumber": 1,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    paths = slices(folder, places, **study)
    parts = []
    for k, path in enumerate(paths):
        part = pydicom.dcmread(path)
        part.RescaleSlope, part.RescaleIntercept, part.RescaleType = 1 + k, -1024 + k, "HU"
        part.InstanceNumber = k + 1
        part.save_as(path)
        parts.append(part)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = highdicom.legacy.LegacyConvertedEnhancedCTImage(parts, "1.2.9", 1, "1.2.9.1", 1)
        made.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder / "enhanced.dcm", [paths[k] for k in np.argsort(places)]


def test_36_enhanced_ct_has_its_own_slope_per_frame_and_is_ordered_by_position(tmp_path):
    path, parts = enhanced(tmp_path)
    scan = formats.read(path)
    assert scan.meaning == "HU"
    assert scan.spacing_mm == pytest.approx((5, 0.5, 0.5))
    assert np.array_equal(scan.pixels, np.concatenate([formats.read(part).pixels for part in parts]))
    volume = highdicom.imread(path).get_volume(dtype=np.float32)
    assert np.array_equal(scan.pixels, volume.array) or np.array_equal(scan.pixels, volume.array[::-1])


shipped(37, "examples_ybr_color.dcm", Seen(shape=(30, 240, 320, 3)))


@case(37, "gray-cine", Seen(np.stack([ramp(dtype=np.uint8), ramp(start=64, dtype=np.uint8)]), "stored"))
def _(folder):
    frames = np.stack([ramp(dtype=np.uint8), ramp(start=64, dtype=np.uint8)])
    return write(folder / "a.dcm", frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1", Modality="US")


@case(38, "float-pixels", "skip:not-image")
def _(folder):
    made = dataset(ramp(), **SC, PixelData=None)
    made.FloatPixelData = ramp().astype(np.float32).tobytes()
    return save(made, folder / "a.dcm")


for name in ("liver_1frame.dcm", "rtplan.dcm", "reportsi.dcm", "waveform_ecg.dcm"):
    shipped(39, name, "skip:not-image")
for uid in ("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.11.1"):

    @case(39, UID(uid).name.replace(" ", "-"), "skip:not-image")
    def _(folder, uid=uid):
        return write(folder / "a.dcm", ramp(), SOPClassUID=uid)


shipped(40, "rtdose.dcm", "skip:not-image")


@case(47, "aspect-ratio-only", Seen(shape=(1, 16, 8), note="resampled-aspect"))
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR, PixelAspectRatio=[2, 1])


@case(49, "mosaic", "skip:mosaic")
def _(folder):
    return write(folder / "a.dcm", ramp(), **MR | {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]})


@case(50, "burned-in", Seen(note="burned-in"))
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC, BurnedInAnnotation="YES")


@case(50, "burned-in-possible", Seen(note="burned-in-possible"))
def _(folder):
    return write(folder / "a.dcm", ramp(dtype=np.uint8), **SC)


@pytest.mark.parametrize(
    ("tags", "row"),
    [
        ({"PixelSpacing": [0.5, 1], "ImagerPixelSpacing": [2, 2]}, (0.5, 1)),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
        ({"NominalScannedPixelSpacing": [3, 4]}, (3, 4)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [2, 2]}, (2, 2)),
        ({"PixelSpacing": ""}, None),
    ],
)
def test_47_spacing_is_taken_from_the_best_attribute_that_has_it(tags, row, tmp_path):
    header = formats.read_header(write(tmp_path / "a.dcm", ramp(), **tags))
    assert header.spacing_mm == (None if row is None else (0.0, *row))


@case(51, "unknown-character-set", Seen(ramp()))
def _(folder):
    path = write(folder / "a.dcm", ramp(), **MR, SpecificCharacterSet="ISO_IR 100", PatientName="M\xfcller")
    return patch(path, b"ISO_IR 100", b"ISO_IR 999")


@case(51, "odd-characters-in-a-long-path", Seen(ramp()))
def _(folder):
    deep = folder / ("l\xe4nge " * 12) / "it's \u201cquoted\u201d \u65e5\u672c" / ("x" * 200)
    return write(deep / "scan #1 %20.dcm", ramp(), **MR)


@case(52, "3000-nested-sequences", "error:malformed")
def _(folder):
    path = write(folder / "a.dcm", ramp())
    data = path.read_bytes()
    opened = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000
    at = data.index(b"\x10\x00\x20\x00LO")
    path.write_bytes(data[:at] + opened + data[at:])
    return path


@case(52, "unknown-vr-of-the-patient", "error:malformed")
def _(folder):
    path = write(folder / "a.dcm", ramp(), **MR)
    return patch(path, b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00ZZ")


@case(52, "unknown-vr-of-something-unneeded", Seen(ramp()))
def _(folder):
    path = write(folder / "a.dcm", ramp(), **MR, StudyID="S1")
    return patch(path, b"\x20\x00\x10\x00SH", b"\x20\x00\x10\x00ZZ")


@case(52, "length-of-4-gb", "error:malformed")
def _(folder):
    path = write(folder / "a.dcm", ramp())
    data = path.read_bytes()
    at = data.index(b"\x10\x00\x20\x00LO")
    path.write_bytes(data[:at] + b"\x09\x00\x10\x10UN\0\0\xf0\xff\xff\xff" + data[at:])
    return path


@case(53, "fifo", "skip:special-file")
def _(folder):
    os.mkfifo(folder / "pipe.dcm")
    return folder / "pipe.dcm"


@case(53, "folder", "skip:special-file")
def _(folder):
    (folder / "a.dcm").mkdir()
    return folder / "a.dcm"


@case(53, "symlink-loop", "error:unreadable")
def _(folder):
    (folder / "a.dcm").symlink_to(folder / "a.dcm")
    return folder / "a.dcm"


@case(53, "removed-meanwhile", "error:unreadable")
def _(folder):
    return folder / "gone.dcm"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_53_unreadable_file_is_an_error(tmp_path):
    path = write(tmp_path / "a.dcm", ramp())
    path.chmod(0)
    with pytest.raises(ScanError) as caught:
        formats.read_header(path)
    assert caught.value.verdict == "error:unreadable"


shipped(54, "zipMR.gz", "skip:archive")
for magic, name in ((b"PK\x03\x04" + bytes(40), "zip"), (bytes(257) + b"ustar" + bytes(9), "tar")):

    @case(54, name, "skip:archive")
    def _(folder, magic=magic, name=name):
        path = folder / f"a.{name}"
        path.write_bytes(magic)
        return path


@case(71, "synthetic-input", Seen(note="synthetic"))
def _(folder):
    return write(folder / "a.dcm", ramp(), SyntheticData="YES")


for form in ("png", "jpeg", "tiff"):

    @case(72, form, Seen(meaning="stored", shape=(1, 8, 8)))
    def _(folder, form=form):
        path = folder / f"a.{form}"
        Image.fromarray(ramp(dtype=np.uint8)).save(path)
        return path


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
        assert caught.value.hint == "pip install 'medgan[codecs]'"


def test_15_no_codec_that_medgan_prefers_is_under_the_gpl():
    first = {plugins[0] for plugins in CODECS.values()}
    assert first == {"pylibjpeg", "pillow", "gdcm", "pyjpegls"}
    gpl = [uid for uid, plugins in CODECS.items() if plugins[0] == "pylibjpeg" and ".1.2.4.5" in uid]
    assert (
        not gpl
    )  # pylibjpeg decodes these through pylibjpeg-libjpeg, which is GPL-3: only ever the last resort


# --- 41 to 48: series ---


@dataclass(frozen=True)
class Grouped:
    """What a folder of slices shall become: z of each volume's slices, number of singles, verdicts and notes."""

    volumes: tuple[tuple[float, ...], ...]
    singles: int = 0
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def series_case(row: int, name: str, expected: Grouped) -> Callable[..., Callable[[Path], list[Path]]]:
    """File the decorated maker of a folder in the second table."""

    def file(make: Callable[[Path], list[Path]]) -> Callable[[Path], list[Path]]:
        GROUPS.append(pytest.param(make, expected, id=f"{row:02d}-{name}"))
        return make

    return file


@pytest.mark.parametrize(("make", "expected"), GROUPS)
def test_odd_series(make, expected, tmp_path):
    headers = [(path, formats.read_header(path)) for path in make(tmp_path)]
    grouping = series.group(headers)
    known = dict(headers)
    found = tuple(tuple(known[path].position[2] for path in volume) for volume in grouping.volumes)
    assert found == expected.volumes
    assert len(grouping.singles) == expected.singles
    assert tuple(sorted(error.verdict for error in grouping.skipped.values())) == expected.skipped
    assert {note for notes in grouping.notes.values() for note in notes} == set(expected.notes)
    for volume in grouping.volumes:
        pixels = dicom_read.read_series(volume).pixels
        assert np.array_equal(pixels, np.concatenate([formats.read(path).pixels for path in volume]))


STACK = [0.0, 5.0, 10.0, 15.0]


@series_case(41, "localizer-by-image-type", Grouped((tuple(STACK),), skipped=("skip:localizer",)))
def _(folder):
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImagePositionPatient": [0, 0, 0]}
    across = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    return [*slices(folder, STACK), write(folder / "scout", ramp(), **scout, **across)]


@series_case(
    41, "localizer-by-orientation", Grouped((tuple(map(float, range(8))),), skipped=("skip:localizer",))
)
def _(folder):
    across = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "ImagePositionPatient": [0, 0, 0]}
    return [*slices(folder, list(map(float, range(8)))), write(folder / "scout", ramp(), **across)]


@series_case(42, "dose-report-among-slices", Grouped((tuple(STACK),), skipped=("skip:secondary-capture",)))
def _(folder):
    screen = {"SeriesInstanceUID": "1.2.9", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}
    report = write(folder / "dose", ramp(dtype=np.uint8), **SC | {"Modality": "CT"}, **screen)
    return [*slices(folder, STACK), report]


@series_case(43, "shuffled", Grouped((tuple(STACK),)))
def _(folder):
    return slices(folder, [10.0, 0.0, 15.0, 5.0])


@series_case(43, "instance-number-equal-or-empty", Grouped((tuple(STACK),)))
def _(folder):
    paths = slices(folder, STACK)
    for path, number in zip(paths, ("", "", 1, 1), strict=True):
        made = pydicom.dcmread(path)
        made.InstanceNumber = number
        made.save_as(path)
    return paths[::-1]


@series_case(44, "missing-slice", Grouped(((0.0, 5.0, 10.0), (20.0, 25.0, 30.0)), notes=("missing-slices",)))
def _(folder):
    return slices(folder, [0.0, 5.0, 10.0, 20.0, 25.0, 30.0])


@series_case(44, "irregular-gaps", Grouped((), singles=4, notes=("irregular-spacing",)))
def _(folder):
    return slices(folder, [0.0, 5.0, 10.0, 17.0])


@series_case(45, "same-file-twice", Grouped((tuple(STACK),), skipped=("skip:duplicate",)))
def _(folder):
    paths = slices(folder, STACK)
    copy = folder / "copy.dcm"
    copy.write_bytes(paths[1].read_bytes())
    return [*paths, copy]


@series_case(45, "two-echoes-at-each-place", Grouped((tuple(STACK), tuple(STACK))))
def _(folder):
    return [*slices(folder / "1", STACK, EchoNumbers=1), *slices(folder / "2", STACK, EchoNumbers=2)]


@series_case(45, "two-images-at-each-place-that-nothing-tells-apart", Grouped((tuple(STACK), tuple(STACK))))
def _(folder):
    return [*slices(folder / "1", STACK), *slices(folder / "2", STACK)]


@series_case(46, "two-series-in-one-folder", Grouped((tuple(STACK), (0.0, 1.0, 2.0))))
def _(folder):
    return [*slices(folder / "1", STACK), *slices(folder / "2", [0.0, 1.0, 2.0], SeriesInstanceUID="1.2.7")]


@series_case(46, "two-sizes-in-one-series", Grouped((tuple(STACK),), singles=2))
def _(folder):
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    others = [
        write(folder / f"wide{z}", ramp(8, 16), ImagePositionPatient=[0, 0, z], **place) for z in (20, 25)
    ]
    return [*slices(folder, STACK), *others]


@series_case(48, "gantry-tilt", Grouped(((0.0, 5.0, 10.0),), notes=("gantry-tilt",)))
def _(folder):
    paths = slices(folder, [0.0, 5.0, 10.0])
    for path in paths:
        made = pydicom.dcmread(path)
        z = made.ImagePositionPatient[2]
        made.ImagePositionPatient = [0, float(z) * 0.3, z]
        made.save_as(path)
    return paths
