"""DICOM in: what the header says, what the pixels mean, and slices as a volume."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.pixels import get_decoder
from pydicom.uid import RLELossless

from medgan.base.errors import PlanError, ScanError
from medgan.scans import formats
from medgan.scans.dicom import codecs, header
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom.header import load_file
from tests.scans.phantoms import dataset, patch, ramp, save, slices, wheel, write

MR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}
CR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"}
PET = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128", "Modality": "PT"}
FACTS = {
    "SeriesInstanceUID": "1.2.3",
    "ImagePositionPatient": [1, 2, 3],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [0.5, 0.25],
    "SliceThickness": 4,
    "InstanceNumber": 9,
    "BodyPartExamined": "CHEST",
}


# --- the header


def test_the_header_holds_what_the_file_says(tmp_path):
    header = dicom_read.read_header(write(tmp_path / "a", ramp(4, 6), **FACTS))
    assert (header.format, header.shape, header.bits, header.channels) == ("dicom", (1, 4, 6), 16, 1)
    assert header.spacing_mm == (4, 0.5, 0.25)
    assert (header.position, header.orientation) == ((1, 2, 3), (1, 0, 0, 0, 1, 0))
    assert (header.series, header.instance_number, header.body_part) == ("1.2.3", 9, "CHEST")
    assert (header.modality, header.patient, header.notes) == ("CT", "P1", ())


def test_the_header_holds_what_tells_repeated_slices_apart(tmp_path):
    kinds = {"EchoNumbers": 2, "TemporalPositionIdentifier": 3, "TriggerTime": 4.5, "AcquisitionNumber": 5}
    path = write(tmp_path / "a", ramp(), ImageType=["ORIGINAL", "PRIMARY", "M", "FFE"], **kinds)
    assert dicom_read.read_header(path).stacking == ("M\\FFE", "2", "3", "4.5", "5")


def test_patients_of_two_hospitals_with_one_number_are_two(tmp_path):
    path = write(tmp_path / "a", ramp(), IssuerOfPatientID="St. Elsewhere")
    assert dicom_read.read_header(path).patient == "P1\\St. Elsewhere"


def test_without_a_patient_the_issuer_alone_names_nobody(tmp_path):
    path = write(tmp_path / "a", ramp(), PatientID="", IssuerOfPatientID="St. Elsewhere")
    assert dicom_read.read_header(path).patient == ""


@pytest.mark.parametrize("tag", ["BodyPartExamined", "0018,0015", "(0018,0015)"])
def test_a_label_is_taken_from_the_attribute_named_by_word_or_number(tag, tmp_path):
    assert dicom_read.read_header(write(tmp_path / "a", ramp(), **FACTS), label_tag=tag).label == "CHEST"


def test_several_values_are_one_label_and_an_absent_attribute_is_none(tmp_path):
    path = write(tmp_path / "a", ramp())
    assert dicom_read.read_header(path, label_tag="ImageType").label == "ORIGINAL\\PRIMARY\\AXIAL"
    assert dicom_read.read_header(path, label_tag="BodyPartExamined").label == ""


def test_a_label_attribute_that_does_not_exist_is_the_options_fault(tmp_path):
    with pytest.raises(PlanError, match="Dignosis"):
        dicom_read.read_header(write(tmp_path / "a", ramp()), label_tag="Dignosis")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AcquisitionNumber", "7350"),
        ("InstanceNumber", "7350"),
        ("WindowCenter", "7350"),
        ("SliceThickness", "7350"),
        ("ImagePositionPatient", ["0", "0", "7350"]),
    ],
)
def test_a_malformed_value_that_the_image_can_do_without_does_no_harm(keyword, value, tmp_path):
    path = write(tmp_path / "a", ramp(), **{"WindowWidth": 5, keyword: value})
    header = dicom_read.read_header(patch(path, b"7350", b"7a,0"))
    assert (header.instance_number, header.position, header.spacing_mm) == (0, None, None)
    assert np.array_equal(dicom_read.read(path).pixels[0], ramp())


def test_a_malformed_spacing_is_unknown_and_noted(tmp_path):
    path = patch(write(tmp_path / "a", ramp(), PixelSpacing=["0.75", "0.5"]), b"0.75", b"0,75")
    header = dicom_read.read_header(path)
    assert (header.spacing_mm, header.notes) == (None, ("malformed:PixelSpacing",))


# --- meaning


@pytest.mark.parametrize("unit", ["HU", "US", "", "Houndsfield Unit", "HOUNSFIELD UNIT", "hu"])
def test_a_ct_value_is_a_hounsfield_unit_however_the_maker_spells_it(unit, tmp_path):
    path = write(tmp_path / "a", ramp(), RescaleIntercept=-1024, RescaleSlope=1, RescaleType=unit)
    scan = dicom_read.read(path)
    assert scan.meaning == "HU"
    assert np.array_equal(scan.pixels[0], ramp() - 1024.0)


def test_a_ct_in_other_units_is_no_hounsfield_unit(tmp_path):
    assert dicom_read.read(write(tmp_path / "a", ramp(), RescaleType="Z_EFF")).meaning == "raw"


def test_pet_is_rescaled_by_its_own_slope_and_stays_raw(tmp_path):
    scan = dicom_read.read(write(tmp_path / "a", ramp(), **PET, RescaleSlope=2.5, RescaleIntercept=0))
    assert scan.meaning == "raw"
    assert np.array_equal(scan.pixels[0], ramp() * np.float32(2.5))


def test_a_radiograph_without_window_is_raw_and_with_one_as_displayed(tmp_path):
    assert dicom_read.read(write(tmp_path / "a", ramp(), **CR)).meaning == "raw"
    shown = dicom_read.read(write(tmp_path / "b", ramp(), **CR, WindowCenter=32, WindowWidth=64))
    assert shown.meaning == "display"
    assert 0 <= shown.pixels.min() < shown.pixels.max() <= 1


def test_one_value_all_over_is_noted(tmp_path):
    assert "constant" in dicom_read.read(write(tmp_path / "a", ramp() * 0)).notes


def test_burned_in_no_is_believed(tmp_path):
    capture = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT", "BurnedInAnnotation": "NO"}
    assert dicom_read.read_header(write(tmp_path / "a", ramp(), **capture)).notes == ("secondary-capture",)


# --- codecs


@pytest.mark.parametrize(
    "name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_small_odd_jpeg.dcm"]
)
def test_gdcm_is_not_asked_where_another_codec_is_installed(name):
    source = load_file(wheel(name), whole=True)
    assert "gdcm" in get_decoder(source.syntax).available_plugins
    assert "gdcm" not in codecs.installed_plugins(source)


class Panic(BaseException):
    """What a codec in Rust raises."""


def test_a_codec_that_panics_is_a_damaged_file(monkeypatch):
    def panicking(*_, **__):
        raise Panic("index out of bounds")
        yield

    monkeypatch.setattr(type(get_decoder(RLELossless)), "iter_array", panicking)
    with pytest.raises(ScanError, match="index out of bounds") as caught:
        formats.read(wheel("MR_small_RLE.dcm"))
    assert caught.value.verdict == "error:decode-failed"


def test_an_interrupt_while_decoding_is_no_verdict(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(type(get_decoder(RLELossless)), "iter_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        formats.read(wheel("MR_small_RLE.dcm"))


# --- volumes


def test_slices_become_a_volume_whose_spacing_is_their_gap(tmp_path):
    paths = slices(tmp_path, [0.0, 2.5, 5.0], SliceThickness=1)
    scan = dicom_read.read_series(paths)
    assert scan.spacing_mm == (2.5, 1, 1)
    assert scan.pixels[:, 0, 0].tolist() == [1000, 1025, 1050]


def test_one_constant_slice_does_not_make_a_constant_volume(tmp_path):
    paths = slices(tmp_path, [0.0, 1.0])
    made = pydicom.dcmread(paths[0])
    save(dataset(ramp() * 0, **place_of(made)), paths[0])
    assert "constant" not in dicom_read.read_series(paths).notes


def place_of(made):
    keywords = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    return {keyword: made[keyword].value for keyword in keywords}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"pixels": ramp(8, 9)}, "error:mixed-content"),
        ({"RescaleType": "Z_EFF"}, "error:mixed-content"),
        ({"ImagePositionPatient": None}, "error:irregular-spacing"),
    ],
    ids=["size", "unit", "place"],
)
def test_a_slice_that_does_not_fit_is_named(change, verdict, tmp_path):
    paths = slices(tmp_path, [0.0, 1.0, 2.0])
    made = place_of(pydicom.dcmread(paths[1]))
    pixels = change.pop("pixels", ramp())
    save(dataset(pixels, **made | change), paths[1])
    with pytest.raises(ScanError) as caught:
        dicom_read.read_series(paths)
    assert caught.value.verdict == verdict
    assert paths[1].name in caught.value.message


# --- contradictions and limits


def refusal(path, read=dicom_read.read) -> str:
    with pytest.raises(ScanError) as caught:
        read(path)
    assert path.name in caught.value.message
    return caught.value.verdict


@pytest.mark.parametrize(
    "attributes",
    [
        {"BitsAllocated": 12},
        {"BitsStored": 17},
        {"BitsStored": 12, "HighBit": 10},
        {"HighBit": 16},
        {"NumberOfFrames": -1},
        {"SamplesPerPixel": 3},
        {"PhotometricInterpretation": "RGB"},
    ],
    ids=str,
)
def test_attributes_that_contradict_each_other_are_an_error(attributes, tmp_path):
    assert refusal(write(tmp_path / "a", ramp(), **attributes), dicom_read.read_header) == "error:bad-value"


def table(**attributes):
    item = pydicom.Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
        item[keyword].VR = "US" if keyword == "LUTDescriptor" else "OW"
    return [item]


@pytest.mark.parametrize(
    "attributes",
    [{"LUTData": b"\0\1"}, {"LUTDescriptor": [4, 0, 16]}, {"LUTDescriptor": [1, 0, 17], "LUTData": b"\0\1"}],
    ids=["no descriptor", "no entries", "17 bits"],
)
def test_a_look_up_table_that_is_none_is_an_error(attributes, tmp_path):
    path = write(tmp_path / "a", ramp(), **CR, ModalityLUTSequence=table(**attributes))
    assert refusal(path, dicom_read.read_header) == "error:bad-value"


def test_a_look_up_table_may_be_written_as_numbers_and_begin_below_zero(tmp_path):
    lut = table(LUTDescriptor=[3, 65535, 16], LUTData=np.array([70, 80, 90], "<u2").tobytes())
    pixels = np.array([[-5, -1], [0, 9]], np.int16)
    scan = dicom_read.read(write(tmp_path / "a", pixels, **MR, ModalityLUTSequence=lut))
    assert scan.pixels[0].tolist() == [[70, 70], [80, 90]]


def test_a_header_longer_than_the_first_look_is_read_on(tmp_path, monkeypatch):
    path = write(tmp_path / "a", ramp(), StudyDescription="x" * 60, ImageComments="y" * 900)
    monkeypatch.setattr(header, "_HEADER_BYTES", 600)
    assert dicom_read.read_header(path).shape == (1, 8, 8)
    assert np.array_equal(dicom_read.read(path).pixels[0], ramp())


def test_what_names_itself_as_no_image_is_refused_before_its_header_is_parsed(tmp_path, monkeypatch):
    path = write(tmp_path / "a", ramp(), SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    for parser in ("_parse", "_parse_plain"):
        monkeypatch.setattr(header, parser, lambda *_, **__: pytest.fail("parsed a mask of many frames"))
    assert refusal(path, dicom_read.read_header) == refusal(path) == "skip:not-image"


def test_a_file_over_the_limit_is_not_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a", ramp())
    monkeypatch.setattr(header, "MAX_FILE_BYTES", path.stat().st_size - 1)
    assert refusal(path) == "error:too-large"


@pytest.mark.parametrize(
    ("content", "verdict"), [(b"", "error:empty-file"), (b"This is no scan.", "skip:not-dicom")]
)
def test_the_reader_alone_refuses_what_is_no_dicom(content, verdict, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert refusal(path) == verdict


def test_frames_that_are_missing_are_counted(tmp_path):
    made = pydicom.dcmread(wheel("MR_small_RLE.dcm"))
    made.NumberOfFrames = 2
    path = save(made, tmp_path / "a", syntax=RLELossless)
    with pytest.raises(ScanError, match="1 of 2 frames") as caught:
        dicom_read.read(path)
    assert caught.value.verdict == "error:truncated"


def test_frames_are_found_by_the_extended_offset_table(tmp_path):
    frames = rle_frames()
    made = pydicom.dcmread(wheel("MR_small_RLE.dcm"))
    starts = [0, 8 + len(frames[0])]
    made.NumberOfFrames = len(frames)
    made.PixelData = b"".join([item(b""), *(item(frame) for frame in frames), b"\xfe\xff\xdd\xe0\0\0\0\0"])
    made.ExtendedOffsetTable = np.asarray(starts, "<u8").tobytes()
    made.ExtendedOffsetTableLengths = np.asarray([len(frame) for frame in frames], "<u8").tobytes()
    scan = dicom_read.read(save(made, tmp_path / "a", syntax=RLELossless))
    assert np.array_equal(scan.pixels, np.repeat(dicom_read.read(wheel("MR_small.dcm")).pixels, 2, axis=0))


def rle_frames() -> list[bytes]:
    made = pydicom.dcmread(wheel("MR_small_RLE.dcm"))
    return [next(pydicom.encaps.generate_frames(made.PixelData, number_of_frames=1))] * 2


def item(content: bytes) -> bytes:
    """An item of encapsulated pixels."""
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_numbers_of_a_header_are_plain_numbers_whatever_the_parser(syntax, tmp_path):
    frames = np.stack([ramp(), ramp(start=9)]).astype(">u2" if syntax.endswith(".2.2") else "<u2")
    header = dicom_read.read_header(save(dataset(frames, InstanceNumber=7), tmp_path / "a", syntax=syntax))
    assert repr((header.shape, header.instance_number, header.bits)) == "((2, 8, 8), 7, 16)"


def test_a_value_beyond_float32_is_filled_and_noted(tmp_path):
    read = dicom_read.read(write(tmp_path / "a.dcm", ramp(), RescaleSlope="8e36", RescaleIntercept="0"))
    assert np.isfinite(read.pixels).all()
    assert "nan-filled" in read.notes
