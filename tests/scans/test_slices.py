"""Which slices of a scan become images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.scans.scan import Scan
from medgan.scans.slices import _otsu_threshold, choose_slices


def volume(shown: list[bool], **facts) -> Scan:
    """Slices that show a bright square, or noise alone."""
    pixels = np.random.default_rng(1).random((len(shown), 20, 20)).astype(np.float32)
    pixels[np.asarray(shown), 5:15, 5:15] += 100
    return Scan(pixels=pixels, **facts)


def test_a_single_slice_is_chosen_even_if_it_is_empty():
    assert choose_slices(volume([False])) == (0,)


def test_slices_that_show_nothing_are_left_out():
    assert choose_slices(volume([False, True, True, True, False, False])) == (1, 2, 3)


def test_a_tenth_is_left_out_at_either_end():
    assert choose_slices(volume([True] * 20)) == tuple(range(2, 18))


def test_all_are_kept_where_none_has_foreground():
    assert choose_slices(Scan(pixels=np.zeros((5, 8, 8), np.float32))) == (0, 1, 2, 3, 4)


def test_frames_of_a_film_are_taken_from_end_to_end():
    film = volume([False] * 10 + [True] * 10, modality="US")
    assert choose_slices(film, 4) == (2, 7, 12, 17)


def test_frames_with_a_gap_in_millimetres_are_a_volume():
    stack = volume([False] * 10 + [True] * 10, modality="MR", spacing_mm=(5.0, 1.0, 1.0))
    assert min(choose_slices(stack)) >= 10


def test_colour_counts_by_its_brightness():
    gray = volume([False, True, True, True])
    assert choose_slices(Scan(pixels=np.repeat(gray.pixels[..., None], 3, axis=-1))) == choose_slices(gray)


@given(st.integers(1, 60), st.integers(1, 40))
def test_chosen_slices_ascend_are_no_more_than_the_limit_and_evenly_spaced(count, limit):
    chosen = choose_slices(Scan(pixels=np.ones((count, 2, 2), np.float32), modality="US"), limit)
    assert len(chosen) == min(count, limit)
    assert 0 <= chosen[0] <= chosen[-1] < count
    if len(chosen) > 1:
        gaps = np.diff(chosen)
        assert gaps.min() >= 1
        assert gaps.max() - gaps.min() <= 1


def test_the_threshold_parts_two_levels():
    gray = np.concatenate([np.full(900, 10.0), np.full(100, 90.0)]).astype(np.float32)
    assert 10 <= _otsu_threshold(gray) < 90


def test_one_implant_does_not_move_the_threshold():
    rng = np.random.default_rng(0)
    gray = np.concatenate([rng.normal(0, 1, 5000), rng.normal(50, 1, 5000)]).astype(np.float32)
    bright = gray.copy()
    bright[:10] = 30_000
    assert _otsu_threshold(bright) == pytest.approx(_otsu_threshold(gray), abs=5)


def test_the_threshold_of_one_value_is_that_value():
    assert _otsu_threshold(np.full(10, 7, np.float32)) == 7
