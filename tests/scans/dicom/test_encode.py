"""Encoded once and filled per image, the bytes are those that pydicom writes."""

from __future__ import annotations

import io
from dataclasses import replace

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from medgan.scans.dicom.encode import Template, _encode_element
from tests.scans.written import FORMS, REAL, SYNTHETIC, written


def rebuilt(file):
    """The same elements in a new data set, each value encoded anew."""
    made, meta = Dataset(), FileMetaDataset()
    for one in file:
        made.add_new(one.tag, one.VR, one.value)
    for one in file.file_meta:
        meta.add_new(one.tag, one.VR, one.value)
    made.file_meta = meta
    return made


@pytest.mark.parametrize("mark", [SYNTHETIC, REAL, replace(SYNTHETIC, label="a", model="odd")])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_file_is_byte_for_byte_what_pydicom_saves(tmp_path, form, mark):
    path = written(tmp_path, form, mark)
    stream = io.BytesIO()
    rebuilt(pydicom.dcmread(path)).save_as(stream, enforce_file_format=True)
    assert path.read_bytes() == stream.getvalue()


@pytest.mark.parametrize(
    ("vr", "value", "encoded"),
    [
        ("UI", b"1.2", b"\x08\x00\x18\x00UI\x04\x001.2\0"),
        ("LO", b"abc", b"\x08\x00\x18\x00LO\x04\x00abc "),
        ("IS", b"12", b"\x08\x00\x18\x00IS\x02\x0012"),
        ("OW", b"\1\2\3", b"\x08\x00\x18\x00OW\0\0\x04\0\0\0\1\2\3\0"),
    ],
)
def test_an_element_has_its_length_in_two_or_four_bytes_and_an_even_value(vr, value, encoded):
    assert _encode_element(0x00080018, vr, value) == encoded


def test_a_gap_without_a_value_is_no_file():
    dataset = Dataset()
    dataset.PatientID, dataset.StudyID = "", "1"
    template = Template.of(dataset, {0x00100020})
    assert template.fill({0x00100020: b"P"}) == b"\x10\x00\x20\x00LO\x02\x00P \x20\x00\x10\x00SH\x02\x001 "
    with pytest.raises(KeyError):
        template.fill({})
