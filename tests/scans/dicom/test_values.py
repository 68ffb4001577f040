"""Which transforms apply to which modality, and in what order (PS3.3 C.11.1, C.11.2)."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom.values import _PROJECTION
from tests.scans.odd import CR, MR, SC
from tests.scans.phantoms import ramp, slices, write

WINDOW = {"WindowCenter": 32, "WindowWidth": 64, "VOILUTFunction": "LINEAR_EXACT"}
STORED = np.array([[0, 16], [32, 100]], np.uint16)
NEGATIVE = {"PhotometricInterpretation": "MONOCHROME1"}


def read(folder, pixels=STORED, **attributes):
    return dicom_read.read(write(folder / "a", pixels, **attributes))


def table(entries, first=0):
    """A look-up table of 16-bit entries."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return [item]


# --- whose window is part of the picture


@pytest.mark.parametrize("modality", sorted(_PROJECTION))
def test_a_projection_is_shown_through_its_own_window(modality, tmp_path):
    scan = read(tmp_path, **CR | {"Modality": modality}, **WINDOW)
    assert scan.meaning == "display"
    assert np.array_equal(scan.pixels[0], [[0, 0.25], [0.5, 1]])


@pytest.mark.parametrize("modality", ["CT", "MR", "PT", "NM", "OT"])
def test_of_all_others_the_window_is_only_what_somebody_looked_at(modality, tmp_path):
    scan = read(tmp_path, Modality=modality, **WINDOW)
    assert scan.meaning == ("HU" if modality == "CT" else "raw")
    assert np.array_equal(scan.pixels[0], STORED)


@pytest.mark.parametrize("modality", ["US", "CR", "XC"])
def test_eight_bits_are_the_gray_levels_of_a_screen_whatever_the_window(modality, tmp_path):
    scan = read(tmp_path, STORED.astype(np.uint8), **SC | {"Modality": modality}, **WINDOW)
    assert scan.meaning == "stored"
    assert np.array_equal(scan.pixels[0], STORED)


# --- the order of the steps


def test_a_window_acts_on_rescaled_values(tmp_path):
    scan = read(tmp_path, **CR, **WINDOW, RescaleSlope=2, RescaleIntercept=-32)
    assert np.array_equal(scan.pixels[0], [[0, 0], [0.5, 1]])


def test_a_window_acts_on_what_a_modality_lut_gives(tmp_path):
    scan = read(tmp_path, **CR, **WINDOW, ModalityLUTSequence=table(np.arange(101) // 2))
    assert np.array_equal(scan.pixels[0], [[0, 0.125], [0.25, 50 / 64]])


def test_a_look_up_table_comes_before_a_window(tmp_path):
    scan = read(tmp_path, **CR, **WINDOW, VOILUTSequence=table(np.arange(101)[::-1] * 10))
    assert np.array_equal(scan.pixels[0], np.float32([[1000, 840], [680, 0]]) / np.float32(1000))


def test_monochrome1_is_turned_after_the_window(tmp_path):
    assert np.array_equal(read(tmp_path, **CR, **WINDOW, **NEGATIVE).pixels[0], [[1, 0.75], [0.5, 0]])


def test_monochrome1_without_window_is_turned_over_what_the_bits_can_say_after_rescaling(tmp_path):
    bits = {"BitsStored": 12, "HighBit": 11}
    scan = read(tmp_path, **MR, **NEGATIVE, **bits, RescaleSlope=2, RescaleIntercept=-10)
    assert np.array_equal(scan.pixels[0], 2 * (4095.0 - STORED) - 10)


def test_a_presentation_lut_shape_of_inverse_alone_turns_nothing(tmp_path):
    scan = read(tmp_path, **CR, **WINDOW, PresentationLUTShape="INVERSE")
    assert np.array_equal(scan.pixels[0], [[0, 0.25], [0.5, 1]])


def test_every_slice_of_a_series_is_rescaled_by_its_own_slope(tmp_path):
    paths = slices(tmp_path, [0.0, 1.0, 2.0], **MR)
    for k, path in enumerate(paths):
        made = pydicom.dcmread(path)
        made.RescaleSlope, made.RescaleIntercept = 0.5 + k, -k
        made.save_as(path)
    scan = dicom_read.read_series(paths)
    assert scan.meaning == "raw"
    assert np.array_equal(scan.pixels, [(1000 + 10 * k + ramp()) * (0.5 + k) - k for k in range(3)])


# --- what the header warns of


@pytest.mark.parametrize(
    ("attributes", "warned"),
    [
        ({"Modality": "US"}, True),
        ({"Modality": "XA"}, True),
        ({"Modality": "RF"}, True),
        ({"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, True),
        (SC, True),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, False),
        ({"Modality": "CT"}, False),
        (CR, False),
    ],
    ids=str,
)
def test_pictures_that_often_carry_text_are_pointed_out(attributes, warned, tmp_path):
    header = formats.read_header(write(tmp_path / "a", ramp(), **attributes))
    assert ("burned-in-possible" in header.notes) == warned


def test_overlays_are_not_drawn(tmp_path):
    path = write(tmp_path / "a", ramp())
    made = pydicom.dcmread(path)
    made.add_new(0x60000010, "US", 8)
    made.add_new(0x60000011, "US", 8)
    made.add_new(0x60000100, "US", 1)
    made.add_new(0x60000102, "US", 0)
    made.add_new(0x60003000, "OW", b"\xff" * 8)
    made.save_as(path)
    assert np.array_equal(formats.read(path).pixels[0], ramp())
