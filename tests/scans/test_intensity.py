import numpy as np
import pytest

from medgan.scans.intensity import (
    BitLayout,
    LookUpTable,
    Window,
    apply_table,
    apply_window,
    extract_values,
    fill_padding,
    find_padding,
    invert,
    normalise,
    percentiles,
    rescale,
    robust_maximum,
    sort_pixels,
)
from tests.scans.phantoms import ramp


def test_bits_above_those_stored_are_dropped():
    words = np.array([0x0FFF, 0xF123, 0x8000], np.uint16)
    assert extract_values(words, BitLayout(12, 11, signed=False)).tolist() == [0x0FFF, 0x0123, 0]


def test_sign_is_extended_from_the_stored_bits():
    words = np.array([0x0FFF, 0x0800, 0x07FF, 0xF001], np.uint16)
    assert extract_values(words, BitLayout(12, 11, signed=True)).tolist() == [-1, -2048, 2047, 1]


def test_left_aligned_values_are_shifted_down_by_high_bit():
    words = (np.arange(16, dtype=np.uint16) << 4) | 0xF
    assert extract_values(words, BitLayout(12, 15, signed=False)).tolist() == list(range(16))


def test_signed_left_aligned_values_keep_their_sign():
    words = (np.array([-3, -2048, 2047]) << 4).astype(np.int16)
    assert extract_values(words, BitLayout(12, 15, signed=True)).tolist() == [-3, -2048, 2047]


@pytest.mark.parametrize("signed", [False, True])
def test_whole_words_stay_as_they_are(signed):
    words = ramp(16, 16, start=-100 if signed else 0, dtype=np.int16 if signed else np.uint16)
    assert np.array_equal(extract_values(words, BitLayout(16, 15, signed=signed)), words)


def test_32_bit_words_do_not_overflow():
    words = np.array([0xFFFFFFFF, 5], np.uint32)
    assert extract_values(words, BitLayout(32, 31, signed=False)).tolist() == [0xFFFFFFFF, 5]


@pytest.mark.parametrize(("low", "high"), [(-2000, -1990), (-1990, -2000)])
def test_padding_range_may_be_given_either_way_round(low, high):
    values = np.array([-2000, -1995, -1989, 0])
    assert find_padding(values, values, low, high).tolist() == [True, True, False, False]


def test_padding_above_the_stored_bits_is_found_in_the_words():
    words = np.array([0xFFFF, 0x0FFF], np.uint16)
    values = extract_values(words, BitLayout(12, 11, signed=False))
    assert find_padding(words, values, 0xFFFF, 0xFFFF).tolist() == [True, False]


def test_padding_becomes_the_lowest_valid_pixel_or_the_background_asked_for():
    pixels = np.array([-3024, 7, 9], np.float32)
    padded = np.array([True, False, False])
    assert fill_padding(pixels, padded).tolist() == [7, 7, 9]
    assert fill_padding(pixels, padded, -1024).tolist() == [-1024, 7, 9]


def test_image_of_padding_alone_stays():
    assert fill_padding(np.array([5], np.float32), np.array([True])).tolist() == [5]


def test_rescale_is_exact_for_whole_numbers_and_rounds_once_otherwise():
    assert rescale(np.array([0, 1024, 65535], np.uint16), 1, -1024).tolist() == [-1024, 0, 64511]
    assert rescale(np.array([3]), 0.1, 0.2)[0] == np.float32(0.5)


def test_linear_window_shifts_by_half_a_step():
    # PS3.3 C.11.2.1.2.1, note 3: centre 2048, width 4096 maps 0 to the lowest and 4095 to the highest output.
    out = apply_window(np.array([-1, 0, 4095, 5000], np.float32), Window(2048, 4096))
    assert out.tolist() == [0, 0, 1, 1]


def test_linear_window_of_width_one_is_a_threshold():
    assert apply_window(np.array([9, 9.5, 10], np.float32), Window(10, 1)).tolist() == [0, 0, 1]


def test_exact_linear_window_does_not_shift():
    out = apply_window(np.array([0, 5, 10], np.float32), Window(5, 10, "LINEAR_EXACT"))
    assert out.tolist() == [0, 0.5, 1]


def test_sigmoid_window_is_half_at_its_centre_and_never_overflows():
    out = apply_window(np.array([-1e9, 40, 1e9], np.float32), Window(40, 1, "SIGMOID"))
    assert out == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    "window",
    [Window(1, 0), Window(1, 0.5), Window(1, 0, "SIGMOID"), Window(float("nan"), 5), Window(1, 5, "CUBIC")],
)
def test_windows_the_standard_forbids_are_not_valid(window):
    assert not window.valid


def test_table_of_8_bit_entries_does_not_wrap_its_index():
    table = LookUpTable(0, (np.arange(4096) // 16).astype(np.float32))
    found = table.look_up(np.array([0, 16, 255, 256, 300, 4095, 9999]))
    assert found.tolist() == [0, 1, 15, 16, 18, 255, 255]


def test_table_begins_at_its_first_value_even_below_zero():
    table = LookUpTable(-2, np.array([10, 20, 30], np.float32))
    assert table.look_up(np.array([-9, -2, -1, 0, 7])).tolist() == [10, 10, 20, 30, 30]


def test_narrow_table_reaches_full_brightness():
    table = LookUpTable(
        0, np.arange(4096, dtype=np.float32)
    )  # 12 bits of content, whatever the descriptor claims
    assert apply_table(np.array([0, 4095], np.float32), table).tolist() == [0, 1]


def test_inverting_twice_gives_the_image_back():
    pixels = ramp().astype(np.float32)
    assert np.array_equal(invert(invert(pixels, 0, 4095), 0, 4095), pixels)


def test_unit_range_and_back_is_the_identity():
    pixels = np.linspace(-1024, 3071, 50, dtype=np.float32)
    unit = normalise(pixels, -1024, 3071)
    assert unit.dtype == np.float32
    assert (unit.min(), unit.max()) == (0, 1)
    assert unit * (3071 + 1024) - 1024 == pytest.approx(pixels, abs=1e-3)


def test_values_outside_the_range_are_clipped_and_an_empty_range_gives_zeros():
    assert normalise(np.array([-5, 20]), 0, 10).tolist() == [0, 1]
    assert normalise(np.array([1, 2]), 3, 3).tolist() == [0, 0]


def test_percentiles_are_five_and_ordered():
    assert percentiles(sort_pixels(np.arange(1001)[::-1])) == (0, 5, 500, 995, 1000)


@pytest.mark.parametrize(
    ("pixels", "stray"), [(100, 0), (28 * 28, 1), (48 * 48, 4), (512 * 512, 4), (1024 * 1024, 10)]
)
def test_a_few_stray_pixels_do_not_count_as_the_highest_value(pixels, stray):
    image = np.full(pixels, 7)
    image[:stray] = 65535
    assert robust_maximum(sort_pixels(image)) == 7
    image[stray] = 9
    assert robust_maximum(sort_pixels(image)) == 9
