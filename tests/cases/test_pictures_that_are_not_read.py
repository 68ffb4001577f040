"""DICOM classes of pictures that medgan does not read: the reason given is true, and there is a next step."""

from __future__ import annotations

import pytest

from medgan.base.errors import ScanError
from medgan.scans import formats
from tests.scans.phantoms import dataset, ramp, save, write

ROOT = "1.2.840.10008.5.1.4.1.1."


def refusal(path) -> ScanError:
    with pytest.raises(ScanError) as caught:
        formats.read_header(path)
    return caught.value


@pytest.mark.parametrize("suffix", ["481.1", "481.23", "481.24", "77.1.6", "77.1.9"])
@pytest.mark.parametrize("prefix", [True, False], ids=["with a preamble", "without"])
def test_a_picture_that_is_not_read_is_none_that_is_no_image(suffix, prefix, tmp_path):
    made = dataset(ramp(), SOPClassUID=ROOT + suffix, Modality="OT")
    error = refusal(save(made, tmp_path / "a.dcm", prefix=prefix, syntax="1.2.840.10008.1.2"))
    assert error.verdict == "skip:unread-format"
    assert "not an image" not in error.message
    assert ("RT Image" if suffix.startswith("481") else "whole slide") in error.message
    assert "PNG or TIFF" in error.hint


def test_of_a_class_that_nobody_defines_nothing_is_said(tmp_path):
    error = refusal(write(tmp_path / "a.dcm", ramp(), SOPClassUID="1.3.46.670589.99.1"))
    assert error.verdict == "skip:not-image"
    assert "1.3.46.670589.99.1" in error.message
    assert "unknown" in error.message
    assert error.hint


@pytest.mark.parametrize("suffix", ["481.2", "88.33", "66.4", "9.1.1"])
def test_what_is_no_image_is_still_called_so(suffix, tmp_path):
    error = refusal(write(tmp_path / "a.dcm", ramp(), SOPClassUID=ROOT + suffix))
    assert (error.verdict, "not an image" in error.message) == ("skip:not-image", True)
