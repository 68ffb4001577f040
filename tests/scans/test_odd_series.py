"""The table of odd scans, rows 41 to 46 and 48: slices of volumes and their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom
import pytest

from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import series
from tests.scans.odd import SC, Table
from tests.scans.phantoms import ramp, slices, write


@dataclass(frozen=True)
class Grouped:
    """What a folder of slices becomes: z of each volume's slices, number of singles, verdicts, notes."""

    volumes: tuple[tuple[float, ...], ...]
    singles: int = 0
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


SERIES = Table()
case = SERIES.case


@pytest.mark.parametrize(("make", "expected"), SERIES)
def test_odd_series(make, expected, tmp_path):
    headers = [(path, formats.read_header(path)) for path in make(tmp_path)]
    grouping = series.group_slices(headers)
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


@case(41, "localizer-by-image-type", Grouped((tuple(STACK),), skipped=("skip:localizer",)))
def _(folder):
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImagePositionPatient": [0, 0, 0]}
    across = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    return [*slices(folder, STACK), write(folder / "scout", ramp(), **scout, **across)]


@case(41, "localizer-by-orientation", Grouped((tuple(map(float, range(8))),), skipped=("skip:localizer",)))
def _(folder):
    across = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "ImagePositionPatient": [0, 0, 0]}
    return [*slices(folder, list(map(float, range(8)))), write(folder / "scout", ramp(), **across)]


@case(42, "dose-report-among-slices", Grouped((tuple(STACK),), skipped=("skip:secondary-capture",)))
def _(folder):
    screen = {"SeriesInstanceUID": "1.2.9", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}
    report = write(folder / "dose", ramp(dtype=np.uint8), **SC | {"Modality": "CT"}, **screen)
    return [*slices(folder, STACK), report]


@case(43, "shuffled", Grouped((tuple(STACK),)))
def _(folder):
    return slices(folder, [10.0, 0.0, 15.0, 5.0])


@case(43, "instance-number-equal-or-empty", Grouped((tuple(STACK),)))
def _(folder):
    paths = slices(folder, STACK)
    for path, number in zip(paths, ("", "", 1, 1), strict=True):
        made = pydicom.dcmread(path)
        made.InstanceNumber = number
        made.save_as(path)
    return paths[::-1]


@case(44, "missing-slice", Grouped(((0.0, 5.0, 10.0), (20.0, 25.0, 30.0)), notes=("missing-slices",)))
def _(folder):
    return slices(folder, [0.0, 5.0, 10.0, 20.0, 25.0, 30.0])


@case(44, "irregular-gaps", Grouped((), singles=4, notes=("irregular-spacing",)))
def _(folder):
    return slices(folder, [0.0, 5.0, 10.0, 17.0])


@case(45, "same-file-twice", Grouped((tuple(STACK),), skipped=("skip:duplicate",)))
def _(folder):
    paths = slices(folder, STACK)
    copy = folder / "copy.dcm"
    copy.write_bytes(paths[1].read_bytes())
    return [*paths, copy]


@case(45, "two-echoes-at-each-place", Grouped((tuple(STACK), tuple(STACK))))
def _(folder):
    return [*slices(folder / "1", STACK, EchoNumbers=1), *slices(folder / "2", STACK, EchoNumbers=2)]


@case(45, "two-images-at-each-place-that-nothing-tells-apart", Grouped((tuple(STACK), tuple(STACK))))
def _(folder):
    return [*slices(folder / "1", STACK), *slices(folder / "2", STACK)]


@case(46, "two-series-in-one-folder", Grouped((tuple(STACK), (0.0, 1.0, 2.0))))
def _(folder):
    return [*slices(folder / "1", STACK), *slices(folder / "2", [0.0, 1.0, 2.0], SeriesInstanceUID="1.2.7")]


@case(46, "two-sizes-in-one-series", Grouped((tuple(STACK),), singles=2))
def _(folder):
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    others = [
        write(folder / f"wide{z}", ramp(8, 16), ImagePositionPatient=[0, 0, z], **place) for z in (20, 25)
    ]
    return [*slices(folder, STACK), *others]


@case(48, "gantry-tilt", Grouped(((0.0, 5.0, 10.0),), notes=("gantry-tilt",)))
def _(folder):
    paths = slices(folder, [0.0, 5.0, 10.0])
    for path in paths:
        made = pydicom.dcmread(path)
        z = made.ImagePositionPatient[2]
        made.ImagePositionPatient = [0, float(z) * 0.3, z]
        made.save_as(path)
    return paths
