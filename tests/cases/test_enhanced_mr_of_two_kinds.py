"""Frames of an enhanced file that differ in content, unit or stack become series, as single images would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medgan.base.errors import ScanError
from medgan.dataset.index import index
from medgan.dataset.load import load
from medgan.dataset.source import Source
from medgan.output.real_images import _original_files
from medgan.scans import formats
from tests.scans.phantoms import write

AXIAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]
MR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.1", "Modality": "MR"}
CT = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1", "Modality": "CT"}
PET = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.130", "Modality": "PT"}
MAGNITUDE = {"kind": "M", "part": "MAGNITUDE", "scale": (1, 0, "US")}
FIELD = {"kind": "FIELD_MAP", "part": "REAL", "scale": (0.25, -500, "HZ")}


def item(**attributes: Any) -> Sequence:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return Sequence([made])


def frame(  # noqa: PLR0913
    place: tuple[float, ...],
    *,
    kind: str = "NONE",
    part: str = "",
    scale: tuple[float, float, str] | None = None,
    stack: str = "1",
    turn: list[int] = AXIAL,
    macro: str = "MRImage",
) -> Dataset:
    """The functional groups of a frame."""
    made = Dataset()
    made.PlanePositionSequence = item(ImagePositionPatient=list(place))
    made.PlaneOrientationSequence = item(ImageOrientationPatient=turn)
    made.FrameContentSequence = item(StackID=stack)
    said = {"ComplexImageComponent": part} if part else {}
    setattr(made, f"{macro}FrameTypeSequence", item(FrameType=["ORIGINAL", "PRIMARY", "T1", kind], **said))
    if scale:
        slope, intercept, unit = scale
        made.PixelValueTransformationSequence = item(
            RescaleSlope=slope, RescaleIntercept=intercept, RescaleType=unit
        )
    return made


def enhanced(path: Path, frames: list[Dataset], seed: int = 0, **attributes: Any) -> Path:
    """A file of 8 x 8 pixels per frame; all values of frame k lie from 1000 k on."""
    noise = np.random.default_rng(seed).integers(0, 900, (len(frames), 8, 8))
    pixels = (noise + 1000 * np.arange(len(frames))[:, None, None]).astype(np.uint16)
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=[2, 2], SliceThickness=5)
    groups = {
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(frames),
    }
    return write(
        path, pixels, **({"ImageType": ["ORIGINAL", "PRIMARY", "T1", "MIXED"]} | groups | attributes)
    )


def two_kinds(path: Path, seed: int = 0, **attributes: Any) -> Path:
    """Four slices of a magnitude and of its field map, their frames taking turns."""
    frames = [frame((0, 0, 4.0 * k), **kind) for k in range(4) for kind in (MAGNITUDE, FIELD)]
    return enhanced(path, frames, seed, **(MR | attributes))


def firsts(path: Path, kind: int) -> list[int]:
    """Which frames the slices of a series were, by their values."""
    return [int(plane.min() // 1000) for plane in formats.read(path, kind).pixels]


def test_a_magnitude_and_its_field_map_are_two_volumes(tmp_path):
    path = two_kinds(tmp_path / "a.dcm")
    header = formats.read_header(path)
    assert (header.kinds, header.shape) == (2, (4, 8, 8))
    magnitude, field = formats.read(path, 0), formats.read(path, 1)
    assert magnitude.spacing_mm == field.spacing_mm == (4, 2, 2)
    assert firsts(path, 0) == [0, 2, 4, 6]
    seen = highdicom.imread(str(path))
    stored = np.stack([seen.get_frame(number, apply_modality_transform=True) for number in (2, 4, 6, 8)])
    assert np.allclose(stored, field.pixels)
    with pytest.raises(ScanError, match="2 kinds of frames"):
        formats.read(path, 2)


def test_a_data_set_counts_both_and_loads_each(tmp_path):
    for k in range(4):
        two_kinds(tmp_path / "ab"[k // 2] / f"{k}.dcm", seed=k, PatientID=f"P{k}")
    manifest = index(Source(path=tmp_path))
    records = list(manifest.usable())
    assert [(record.path, record.kind) for record in records[:4]] == [
        ("a/0.dcm", 0),
        ("a/0.dcm", 1),
        ("a/1.dcm", 0),
        ("a/1.dcm", 1),
    ]
    assert {record.shape for record in records} == {(4, 8, 8)}
    assert {record.spacing_mm for record in records} == {(4, 2, 2)}
    assert len({record.patient for record in records}) == 4
    for record in records:
        assert load(manifest.root, record).pixels.mean() == pytest.approx(
            formats.read(manifest.root / record.path, record.kind).pixels.mean()
        )
    linked = [path for _, files in _original_files(records, manifest.root) for path in files.values()]
    assert len(linked) == len(set(linked)) == 4


def test_the_same_file_twice_is_one_image_whatever_its_kinds(tmp_path):
    for name in ("0", "1"):
        two_kinds(tmp_path / "a" / f"{name}.dcm", SOPInstanceUID="1.2.3")
    two_kinds(tmp_path / "a" / "2.dcm", seed=1, SOPInstanceUID="1.2.3")
    found = [(record.path, record.verdict) for record in index(Source(path=tmp_path)).records]
    assert sorted(found) == [
        ("a/0.dcm", "ok"),
        ("a/0.dcm", "ok"),
        ("a/1.dcm", "skip:duplicate"),
        ("a/2.dcm", "ok"),
        ("a/2.dcm", "ok"),
    ]


def test_a_kind_without_content_does_not_take_the_others_along(tmp_path):
    frames = [frame((0, 0, 4.0 * k), **kind) for kind in (MAGNITUDE, FIELD) for k in range(4)]
    path = enhanced(tmp_path / "a" / "a.dcm", frames, **MR)
    data = path.read_bytes()
    path.write_bytes(data[: -4 * 8 * 8 * 2] + bytes(4 * 8 * 8 * 2))
    manifest = index(Source(path=tmp_path))
    assert [(record.kind, record.verdict) for record in manifest.records] == [(0, "ok"), (1, "skip:constant")]


@pytest.mark.parametrize(
    ("attributes", "macro"), [(MR, "MRImage"), (CT, "CTImage"), (PET, "PET")], ids=["MR", "CT", "PET"]
)
def test_what_frames_show_parts_them_in_every_enhanced_class(attributes, macro, tmp_path):
    frames = [frame((0, 0, k), kind=kind, macro=macro) for kind in ("NONE", "SUBTRACTION") for k in range(3)]
    path = enhanced(tmp_path / "a.dcm", frames, **attributes)
    assert formats.read_header(path).kinds == 2
    assert [firsts(path, kind) for kind in (0, 1)] == [[0, 1, 2], [3, 4, 5]]


def test_hounsfield_units_and_another_unit_are_two_series_of_their_own_meaning(tmp_path):
    units = [(1, -1024, "HU"), (0.01, 0, "Z_EFF")]
    frames = [frame((0, 0, k), scale=unit, macro="CTImage") for unit in units for k in range(3)]
    path = enhanced(tmp_path / "a.dcm", frames, **CT)
    assert [formats.read(path, kind).meaning for kind in (0, 1)] == ["HU", "raw"]


def test_stacks_are_volumes_each_with_its_own_direction(tmp_path):
    frames = [frame((0, 0, 3.0 * k), stack="1") for k in range(3)]
    frames += [frame((-2.0 * k, 0, 0), stack="2", turn=SAGITTAL) for k in range(3)]
    path = enhanced(tmp_path / "a.dcm", frames, **MR)
    scans = [formats.read(path, kind) for kind in (0, 1)]
    assert [scan.spacing_mm for scan in scans] == [(3, 2, 2), (2, 2, 2)]
    assert [scan.patient_orientation for scan in scans] == ["L\\P", "P\\F"]


@pytest.mark.parametrize(
    "case", ["slopes of their own", "times at one place", "a number of its own for each frame"]
)
def test_frames_that_differ_otherwise_stay_one_series(case, tmp_path):
    count = 40
    frames = {
        "slopes of their own": [frame((0, 0, k), scale=(1 + k, 0, "US")) for k in range(count)],
        "times at one place": [frame((0, 0, 0)) for k in range(count)],
        "a number of its own for each frame": [frame((0, 0, k), stack=str(k)) for k in range(count)],
    }[case]
    path = enhanced(tmp_path / "a.dcm", frames, **MR)
    assert formats.read_header(path).kinds == 1
    assert formats.read(path).pixels.shape == (count, 8, 8)
