"""A scan with an unreadable number that its pixels do not need is used, and a note names the number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from medgan.base.errors import ScanError
from medgan.dataset.advice import data_warnings
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.scans import formats
from medgan.scans.dicom.attributes import tag_of
from tests.scans.phantoms import dataset, ramp, save

CR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"}
PLACED = {
    "ImagePositionPatient": [0, 0, 1],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [2, 3],
}
COMMA = b"0,143\\0,143 "


def raw(made: Dataset, keyword: str, value: bytes, vr: str = "DS") -> None:
    """An attribute with these bytes, which pydicom would not write."""
    tag = Tag(tag_of(keyword))
    made[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


def written(path: Path, keyword: str, value: bytes, vr: str = "DS", **attributes: Any) -> Path:
    made = dataset(ramp(), **attributes)
    raw(made, keyword, value, vr)
    return save(made, path)


def test_a_data_set_of_them_is_used_and_warned_of(tmp_path):
    values = {"decimal-comma": COMMA, "comma-between": b"0.005865432,0.001955034 ", "sound": b"0.143\\0.143 "}
    for k, name in enumerate("ab"):
        for n, (what, value) in enumerate(values.items()):
            made = dataset(ramp(start=100 * k + n), **CR, SeriesInstanceUID=f"1.2.{k}.{n}")
            raw(made, "PixelSpacing", value)
            save(made, tmp_path / name / f"{what}.dcm")
    manifest = index(Source(path=tmp_path))
    assert manifest.verdicts() == {"ok": 6}
    assert sorted(str(record.spacing_mm) for record in manifest.usable())[-1] == "None"
    (said,) = (words for words in data_warnings(manifest) if "malformed:PixelSpacing" in words)
    assert "4" in said
    assert "cannot be read" in said


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
@pytest.mark.parametrize(
    "value", [COMMA, b"0.1,0.2 ", b"0.5 ", b"1\\2\\3 ", b"nan\\nan ", b"wide\\high ", b"0.5mm\\0.5mm "]
)
def test_a_pixel_spacing_that_is_no_pair_of_numbers_is_unknown(keyword, value, tmp_path):
    scan = formats.read(written(tmp_path / "a.dcm", keyword, value, **CR))
    assert scan.spacing_mm is None
    assert f"malformed:{keyword}" in scan.notes
    assert np.array_equal(scan.pixels[0], ramp())


@pytest.mark.parametrize("vr", ["UT", "LO", "LT"])
def test_sound_numbers_under_another_representation_are_read(vr, tmp_path):
    scan = formats.read(written(tmp_path / "a.dcm", "PixelSpacing", b"2.5000\\1.5000 ", vr, **CR))
    assert scan.spacing_mm == (0, 2.5, 1.5)
    assert scan.notes == ()


def test_the_pixels_are_those_that_simpleitk_sees(tmp_path):
    path = written(tmp_path / "a.dcm", "PixelSpacing", COMMA, **CR, StudyInstanceUID="1.2.3")
    assert np.array_equal(
        formats.read(path).pixels, SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    )


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", b"0,5\\1\\2 "),
        ("ImagePositionPatient", b"0\\1"),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1\\north "),
        ("SliceThickness", b"5,0 "),
        ("SpacingBetweenSlices", b"five"),
        ("PixelAspectRatio", b"1:1 "),
        ("PixelPaddingValue", b"none"),
    ],
)
def test_so_it_is_with_every_other_number_that_pixels_can_do_without(keyword, value, tmp_path):
    path = written(tmp_path / "a.dcm", keyword, value, "IS" if "Aspect" in keyword else "DS", **PLACED)
    scan, header = formats.read(path), formats.read_header(path)
    assert scan.notes == header.notes == (f"malformed:{keyword}",)
    assert scan.spacing_mm == (0, 2, 3)
    assert np.array_equal(scan.pixels[0], ramp())
    assert (header.position is None) == (keyword == "ImagePositionPatient")
    assert (header.orientation is None) == (keyword == "ImageOrientationPatient")


def test_a_malformed_window_of_a_radiograph_is_passed_over_and_noted(tmp_path):
    path = written(tmp_path / "a.dcm", "WindowCenter", b"30,5", **CR, WindowWidth=20)
    scan = formats.read(path)
    assert (scan.meaning, scan.notes) == ("raw", ("malformed:WindowCenter",))


def test_a_malformed_table_of_a_radiograph_gives_way_to_its_window(tmp_path):
    made = dataset(ramp(), **CR, WindowCenter=32, WindowWidth=64, VOILUTFunction="LINEAR_EXACT")
    table = Dataset()
    table.add_new(tag_of("LUTData"), "OW", b"\0" * 8)
    made.VOILUTSequence = Sequence([table])
    scan = formats.read(save(made, tmp_path / "a.dcm"))
    assert (scan.meaning, scan.notes) == ("display", ("malformed:VOILUTSequence",))
    assert np.allclose(scan.pixels[0], ramp() / 64)


def test_what_somebody_looked_at_is_no_matter_for_a_ct(tmp_path):
    assert formats.read(written(tmp_path / "a.dcm", "WindowCenter", b"30,5")).notes == ()


def test_the_measures_of_an_enhanced_file_are_looked_at_too(tmp_path):
    measures, place = Dataset(), Dataset()
    raw(measures, "PixelSpacing", COMMA)
    raw(place, "ImagePositionPatient", b"0\\0\\1,5 ")
    group = Dataset()
    group.PixelMeasuresSequence, group.PlanePositionSequence = Sequence([measures]), Sequence([place])
    made = dataset(
        np.stack([ramp(), ramp(start=9)]),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        Modality="MR",
        PerFrameFunctionalGroupsSequence=Sequence([group, Dataset()]),
    )
    scan = formats.read(save(made, tmp_path / "a.dcm"))
    assert scan.notes == ("malformed:PixelSpacing", "malformed:ImagePositionPatient")
    assert scan.spacing_mm is None


@pytest.mark.parametrize(
    ("keyword", "vr"), [("RescaleSlope", "DS"), ("NumberOfFrames", "IS"), ("Rows", "IS")]
)
def test_what_pixels_cannot_be_understood_without_is_still_an_error(keyword, vr, tmp_path):
    with pytest.raises(ScanError, match=keyword) as caught:
        formats.read(written(tmp_path / "a.dcm", keyword, b"1,5 ", vr))
    assert caught.value.verdict in {"error:bad-value", "error:bad-rescale"}
