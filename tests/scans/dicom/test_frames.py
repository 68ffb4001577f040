"""Order, spacing and position of the frames of one file (PS3.3 C.7.6.16)."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from tests.scans.phantoms import ramp, write

AXIAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]
ENHANCED_MR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.1", "Modality": "MR"}


def item(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def group(*, place=None, turn=None, slope=None, sides=None):
    """A functional group with the macros that are given."""
    macros = {
        "PlanePositionSequence": {"ImagePositionPatient": place},
        "PlaneOrientationSequence": {"ImageOrientationPatient": turn},
        "PixelValueTransformationSequence": {
            "RescaleSlope": slope,
            "RescaleIntercept": 0,
            "RescaleType": "US",
        },
        "PixelMeasuresSequence": {"PixelSpacing": sides, "SliceThickness": 9},
    }
    held = {name: [item(**macro)] for name, macro in macros.items() if None not in macro.values()}
    return item(**held)


def enhanced(folder, shared, *groups):
    """Frame k holds numbers from 100 k."""
    frames = np.stack([ramp(start=100 * k) for k in range(len(groups))])
    sequences = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": list(groups)}
    return formats.read(write(folder / "a", frames, **ENHANCED_MR, **sequences))


def firsts(scan):
    """The first pixel of each frame, which tells where it came from."""
    return scan.pixels[:, 0, 0].tolist()


def test_frames_come_by_position_and_their_gap_is_the_spacing(tmp_path):
    places = [[0, 0, z] for z in (6, 0, 3)]
    scan = enhanced(tmp_path, group(turn=AXIAL, sides=[0.5, 0.25]), *(group(place=place) for place in places))
    assert firsts(scan) == [100, 200, 0]
    assert scan.spacing_mm == (3, 0.5, 0.25)  # not the slice thickness


@pytest.mark.parametrize(
    ("said", "gap"),
    [
        ({"SpacingBetweenSlices": 3, "SliceThickness": 5}, 3),
        ({"SliceThickness": 5}, 5),
        ({"SpacingBetweenSlices": 0, "SliceThickness": 5}, 5),
        ({"SpacingBetweenSlices": -3, "SliceThickness": None}, 0),
        ({}, 0),
    ],
)
def test_the_distance_of_a_single_slice_is_that_between_slices_before_its_thickness(said, gap, tmp_path):
    path = write(tmp_path / "a", ramp(), PixelSpacing=[1, 1], **said)
    assert formats.read(path).spacing_mm == (gap, 1, 1)


def test_sagittal_frames_run_along_their_normal(tmp_path):
    places = [[x, 0, 0] for x in (0, 2, 4)]  # the normal of this orientation points to -x
    scan = enhanced(tmp_path, group(turn=SAGITTAL, sides=[1, 1]), *(group(place=place) for place in places))
    assert firsts(scan) == [200, 100, 0]


def test_a_frames_own_slope_goes_before_the_shared_one(tmp_path):
    scan = enhanced(tmp_path, group(slope=2), group(), group(slope=3))
    assert firsts(scan) == [0, 300]
    assert scan.pixels[0, 0, 1] == 2


@pytest.mark.parametrize(
    "groups",
    [
        [group(place=[0, 0, z], turn=AXIAL) for z in (5, 5, 0)],
        [group(place=[0, 0, z], turn=turn) for z, turn in ((5, AXIAL), (0, SAGITTAL))],
        [group(place=[0, 0, 5], turn=AXIAL), group(turn=AXIAL)],
        [group(place=[0, 0, 5]), group(place=[0, 0, 0])],
    ],
    ids=["two at one place", "two directions", "one without a place", "no direction"],
)
def test_frames_that_are_no_stack_stay_as_stored_without_a_gap(groups, tmp_path):
    scan = enhanced(tmp_path, group(sides=[1, 1]), *groups)
    assert firsts(scan) == [100 * k for k in range(len(groups))]
    assert scan.spacing_mm == (0, 1, 1)


@pytest.mark.parametrize(
    ("sides", "known"), [([0.7, 0.7], True), ([700, 700], False), ([0.7, 1e-7], False), (None, None)]
)
def test_a_pixel_that_no_scanner_has_is_a_slip_of_unit_and_unknown(sides, known, tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), PixelSpacing=sides)
    for read in (dicom_read.read_header(path), dicom_read.read(path)):
        assert (read.spacing_mm is not None) is bool(known)
        assert ("impossible-spacing" in read.notes) is (known is False)
