"""The fast parser of plain DICOM files agrees with the full one, or gives up."""

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from medgan.base.errors import ScanError
from medgan.scans.dicom import plain
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom.attributes import get_scanner, get_texts, get_value
from medgan.scans.dicom.header import load_file
from medgan.scans.dicom.plain import (
    _ELSEWHERE,
    _WANTED,
    SCANNER_ATTRIBUTES,
    PlainAttributes,
    _convert_value,
    parse_attributes,
    read_meta,
)
from medgan.scans.verdict import give_verdicts
from tests.scans.phantoms import dataset as phantom
from tests.scans.phantoms import ramp, save

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
CORPUS = {
    "wheel": [path for path in map(Path, get_testdata_files()) if path.is_file()],
    "sample data": sorted((ROOT / "sample_data").rglob("*.dcm")),
    "hospital scans": sorted(SHARED.rglob("*.dcm")),
}
FEWEST = {"wheel": 20, "sample data": 4, "hospital scans": 2000}
"""Files of each corpus that are plain, at the least: a short way that nobody takes would prove nothing."""


def ct():
    """A plain CT slice with the attributes that make its values Hounsfield units."""
    return phantom(ramp(dtype=np.int16), RescaleSlope="1", RescaleIntercept="-1024")


def outcome(read, path):
    """What a reader makes of a file, in a form that can be compared."""
    try:
        made = read(path)
    except ScanError as error:
        return error.verdict, error.message
    if hasattr(made, "pixels"):
        return made.pixels.shape, made.pixels.tobytes(), made.meaning, made.spacing_mm, made.bits, made.notes
    return made


@pytest.mark.parametrize("corpus", CORPUS)
def test_both_ways_say_the_same(corpus, monkeypatch):
    files = CORPUS[corpus]
    if not files:
        pytest.skip(f"no {corpus} here")
    short = [(outcome(dicom_read.read_header, path), outcome(dicom_read.read, path)) for path in files]
    plain = sum(is_plain(path) for path in files)
    monkeypatch.setattr(
        dicom_read, "load_file", lambda path, whole, plain=False: load_file(path, whole=whole, plain=False)
    )
    long = [(outcome(dicom_read.read_header, path), outcome(dicom_read.read, path)) for path in files]
    differing = {path.name: (a, b) for path, a, b in zip(files, short, long, strict=True) if a != b}
    assert not differing
    assert plain >= FEWEST[corpus]


def is_plain(path):
    try:
        with give_verdicts(path):
            return isinstance(load_file(path, whole=False).dataset, PlainAttributes)
    except ScanError:
        return False


def test_nothing_is_looked_for_that_is_not_kept(tmp_path, monkeypatch):
    class Strict(PlainAttributes):
        def get(self, keyword, default=None):
            assert keyword in {*_WANTED, *_ELSEWHERE, *SCANNER_ATTRIBUTES}
            return super().get(keyword, default)

    monkeypatch.setattr(plain, "PlainAttributes", Strict)
    path = save(ct(), tmp_path / "a.dcm")
    assert isinstance(load_file(path, whole=True).dataset, Strict)
    assert dicom_read.read_header(path).modality == "CT"
    assert dicom_read.read(path).meaning == "HU"


def parsed(dataset, tmp_path, **words):
    data = save(dataset, tmp_path / "a.dcm", **words).read_bytes()
    return parse_attributes(data, read_meta(data).end)


@pytest.mark.parametrize("keyword", _WANTED)
def test_every_attribute_has_the_value_that_the_full_parser_gives(keyword, tmp_path):
    dataset = ct()
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = -2000, -1990
    dataset.update(extras())
    path = save(dataset, tmp_path / "a.dcm")
    quick, full = (load_file(path, whole=True, plain=plain).dataset for plain in (True, False))
    assert isinstance(quick, PlainAttributes)
    assert not isinstance(full, PlainAttributes)
    assert get_value(full, keyword) is not None
    assert get_texts(quick, keyword) == get_texts(full, keyword)


def test_a_scanner_is_the_same_one_to_both_parsers_whatever_the_character_set(tmp_path):
    dataset = ct()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Manufacturer, dataset.InstitutionName, dataset.StationName = (
        "Müller & Söhne",
        "St. Änne\\West",
        "",
    )
    path = save(dataset, tmp_path / "a.dcm")
    quick, full = (load_file(path, whole=True, plain=plain).dataset for plain in (True, False))
    assert isinstance(quick, PlainAttributes)
    assert get_scanner(quick) == get_scanner(full)
    assert get_scanner(quick).encode("latin-1").decode().split("\n") == [
        "Müller & Söhne",
        "",
        "St. Änne\\West",
        "",
        "",
    ]
    other = load_file(save(ct(), tmp_path / "b.dcm"), whole=True).dataset
    assert get_scanner(other) == ""


def extras():
    made = Dataset()
    made.SyntheticData, made.IssuerOfPatientID, made.BodyPartExamined = "NO", "WARD 7", "CHEST"
    made.BurnedInAnnotation, made.AcquisitionNumber, made.EchoNumbers = "NO", 3, [1, 2]
    made.TemporalPositionIdentifier, made.TriggerTime, made.SliceThickness = 2, "12.50", "5"
    made.ImagerPixelSpacing, made.NominalScannedPixelSpacing = ["0.1", ".2"], ["1e0", "+2."]
    made.PixelAspectRatio, made.PlanarConfiguration, made.NumberOfFrames = [1, 1], 0, 1
    made.WindowCenter, made.WindowWidth, made.VOILUTFunction = [40, -600], [400, 1500], "LINEAR"
    made.RescaleType, made.SeriesInstanceUID, made.InstanceNumber = "HU", "1.2.3", 7
    made.PatientID, made.SOPInstanceUID, made.Modality = "ID 1", "1.2.3.4", "CT"
    made.ImageType, made.ImagePositionPatient = ["ORIGINAL", "PRIMARY"], [1, 2.5, -3]
    made.ImageOrientationPatient, made.PixelSpacing = [1, 0, 0, 0, 1, 0], ["0.5", "0.5"]
    made.PatientOrientation, made.SpacingBetweenSlices = ["L", "P"], "2.5"
    return made


NOT_PLAIN = {
    "name beyond ASCII": ("PatientID", "LO", "Müller"),
    "escape sequence": ("PatientID", "LO", "\x1b$B"),
    "number in words": ("RescaleSlope", "DS", "one"),
    "empty among numbers": ("PixelSpacing", "DS", "1\\"),
    "fraction where none belongs": ("InstanceNumber", "IS", "1.5"),
    "another value representation": ("Rows", "UL", 64),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_doubtful_values_are_left_to_the_full_parser(name, tmp_path):
    keyword, vr, content = NOT_PLAIN[name]
    dataset = ct()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    assert parsed(dataset, tmp_path) is not None
    raw = content.encode() if isinstance(content, str) else struct.pack("<I", content)
    data = save(dataset, tmp_path / "a.dcm").read_bytes()
    assert parse_attributes(replaced(data, keyword, vr, raw), read_meta(data).end) is None


def replaced(data, keyword, vr, raw):
    """The file with one element rewritten (or put where its tag belongs)."""
    tag = plain.tag_for_keyword(keyword)
    at = read_meta(data).end
    while True:
        group, element, kind, length = struct.unpack_from("<HH2sH", data, at)
        if group << 16 | element >= tag:
            break
        long = kind in {b"OB", b"OW", b"SQ", b"UN", b"UT"}
        at += 12 + struct.unpack_from("<I", data, at + 8)[0] if long else 8 + length
    end = at + 8 + length if group << 16 | element == tag else at
    raw += b" " * (len(raw) % 2)
    return (
        data[:at] + struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw + data[end:]
    )


def test_other_transfer_syntaxes_and_other_orders_are_left_to_the_full_parser(tmp_path):
    path = save(ct(), tmp_path / "a.dcm", syntax=ImplicitVRLittleEndian)
    assert not isinstance(load_file(path, whole=True).dataset, PlainAttributes)
    data = save(ct(), tmp_path / "b.dcm").read_bytes()
    start = read_meta(data).end
    doubled = data[:start] + data[start : data.index(b"\x08\x00\x16\x00")] * 2 + data[start:]
    assert parse_attributes(doubled, start) is None


def test_sequences_without_a_length_are_stepped_over(tmp_path):
    inner, outer, dataset = Dataset(), Dataset(), ct()
    inner.CodeMeaning = "x"
    outer.PurposeOfReferenceCodeSequence = [inner, inner]
    dataset.ReferencedImageSequence = [outer]
    for made in (dataset, outer):
        for element in made:
            if element.VR == "SQ":
                element.is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    assert parsed(dataset, tmp_path) is not None


def test_bottomless_nesting_ends():
    deep = b"".join(
        struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        for _ in range(3000)
    )
    assert parse_attributes(deep, 0) is None


def test_a_cut_number_is_no_value():
    with pytest.raises(struct.error):
        _convert_value(b"US", b"\1\0\2")


@pytest.mark.parametrize(("vr", "length"), [(b"SQ", 8), (b"SQ", 0xFFFFFFFF), (b"UN", 0xFFFFFFFF)])
def test_a_sequence_in_the_meta_group_is_refused_before_anything_prints_it(vr, length, tmp_path):
    data = save(ct(), tmp_path / "a.dcm").read_bytes()
    sequence = struct.pack("<HH2sHI", 2, 0, vr, 0, length) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    (tmp_path / "b.dcm").write_bytes(data[:132] + sequence + data[132:])
    with pytest.raises(ScanError) as caught, give_verdicts(tmp_path / "b.dcm"):
        load_file(tmp_path / "b.dcm", whole=False)
    assert caught.value.verdict == "error:malformed"
    assert "meta group" in caught.value.message


def test_a_sequence_is_no_text(tmp_path):
    item, dataset = Dataset(), ct()
    item.PatientName = "Somebody"
    dataset.add_new("BodyPartExamined", "SQ", [item])
    path = save(dataset, tmp_path / "a.dcm")
    with pytest.raises(ScanError) as caught:
        dicom_read.read_header(path)
    assert caught.value.verdict == "error:bad-value"
    assert "Somebody" not in caught.value.message
