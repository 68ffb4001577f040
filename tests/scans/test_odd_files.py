"""The table of odd scans, rows 1 to 14 and 51 to 54: names, containers, lengths, damage."""

from __future__ import annotations

import os
import struct

import numpy as np
import pydicom
import pytest
from PIL import Image

from medgan.base.errors import ScanError
from medgan.scans import formats
from medgan.scans.dicom import header
from tests.scans.odd import MR, Seen, Table, check
from tests.scans.phantoms import dataset, patch, ramp, save, wheel, write

TABLE = Table()
case, shipped = TABLE.case, TABLE.shipped


@pytest.mark.parametrize(("make", "expected"), TABLE)
def test_odd_file(make, expected, tmp_path):
    check(make(tmp_path), expected)


SMALL_MR = pydicom.dcmread(wheel("MR_small.dcm")).pixel_array

shipped(1, "dicomdirtests/77654033/CR1/6154", Seen(shape=(1, 16, 16)))
shipped(2, "dicomdirtests/DICOMDIR", "skip:dicomdir")


@case(3, "dicomdir-pointing-outside", "skip:dicomdir")
def _(folder):
    data = wheel("dicomdirtests/DICOMDIR").read_bytes()
    path = folder / "DICOMDIR"
    path.write_bytes(data.replace(b"77654033\\CR1", b"..\\..\\..\\etc"))
    return path


shipped(4, "README.txt", "skip:document")


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


@case(4, "json", "skip:document")
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


shipped(9, "MR_small_bigendian.dcm", Seen(SMALL_MR, "raw"))
shipped(10, "image_dfl.dcm", Seen(meaning="stored", shape=(1, 512, 512), levels=(0, 255)))


def test_10_deflate_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    monkeypatch.setattr(header, "_HEADER_BYTES", 1 << 12)
    monkeypatch.setattr(header, "_MAX_INFLATED", 1 << 16)
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


shipped(13, "MR_small_padded.dcm", Seen(SMALL_MR, note="excess-pixels"))


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
