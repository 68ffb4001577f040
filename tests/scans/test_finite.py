"""NaN and Inf: filled where they are few, refused where they are most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from medgan.base.errors import ScanError
from medgan.scans.finite import fill_non_finite

PATH = Path("scan.nii")


def test_sound_pixels_are_the_same_object():
    pixels = np.ones((2, 3), np.float32)
    assert fill_non_finite(pixels, PATH) == (pixels, ())


@pytest.mark.parametrize(("others", "background"), [((-1, 2), 0), ((5, 9), 5), ((-9, -5), -5)])
def test_gaps_become_zero_or_the_value_nearest_to_it(others, background):
    pixels = np.array([*others, others[0], np.nan, -np.inf], np.float32)
    found, notes = fill_non_finite(pixels, PATH)
    assert found.tolist() == [*others, others[0], background, background]
    assert notes == ("nan-filled",)


def test_half_a_scan_of_gaps_is_an_error():
    with pytest.raises(ScanError) as caught:
        fill_non_finite(np.array([1, np.nan], np.float32), PATH)
    assert caught.value.verdict == "error:mostly-nan"
    assert caught.value.message.startswith("scan.nii:")


@given(arrays(np.float32, (3, 3)))
def test_whatever_comes_out_is_finite_and_within_the_range_of_what_was(pixels):
    finite = pixels[np.isfinite(pixels)]
    if finite.size <= 4:
        with pytest.raises(ScanError):
            fill_non_finite(pixels, PATH)
        return
    found, _ = fill_non_finite(pixels, PATH)
    assert np.isfinite(found).all()
    assert min(finite.min(), 0) <= found.min() <= found.max() <= max(finite.max(), 0)
    assert found.dtype == np.float32
