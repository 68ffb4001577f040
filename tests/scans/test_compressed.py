"""Files, gzipped or not: whole, cut, damaged, or larger than they say."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from medgan.base.errors import ScanError
from medgan.scans.compressed import MAX_BYTES, InflatedStream, first_bytes, refuse_size

DATA = np.random.default_rng(3).bytes(5000)


def file(folder, content: bytes, name: str = "a.nii"):
    path = folder / name
    path.write_bytes(content)
    return path


def whole(path, size: int) -> bytes:
    """As many bytes as are claimed, in three pieces, the rest proven."""
    stream = InflatedStream(path, size)
    stream.skip(size // 3)
    data = stream.take(size // 2) + stream.take(size - size // 3 - size // 2)
    stream.finish()
    return data


def verdict(call) -> str:
    with pytest.raises(ScanError) as caught:
        call()
    assert "a.nii" in caught.value.message
    return caught.value.verdict


@pytest.mark.parametrize("content", [DATA, gzip.compress(DATA)], ids=["plain", "gzip"])
def test_bytes_come_back_whatever_the_packing(content, tmp_path):
    path = file(tmp_path, content)
    assert whole(path, len(DATA)) == DATA[len(DATA) // 3 :]
    assert first_bytes(path, 348) == DATA[:348]


def test_members_that_follow_each_other_are_one_file(tmp_path):
    path = file(tmp_path, gzip.compress(DATA[:999]) + gzip.compress(DATA[999:]))
    assert whole(path, len(DATA)) == DATA[len(DATA) // 3 :]


def test_zeros_after_the_last_member_are_let_pass(tmp_path):
    assert whole(file(tmp_path, gzip.compress(DATA) + bytes(512)), len(DATA)) == DATA[len(DATA) // 3 :]


@pytest.mark.parametrize("place", [11, 700, -8, -4], ids=["start", "middle", "checksum", "length"])
def test_one_flipped_bit_is_an_error(place, tmp_path):
    packed = bytearray(gzip.compress(DATA))
    packed[place] ^= 0x10
    path = file(tmp_path, bytes(packed))
    assert verdict(lambda: whole(path, len(DATA))) in {"error:corrupt-gzip", "error:truncated"}


def test_a_damaged_beginning_is_an_error_even_for_the_first_bytes(tmp_path):
    path = file(tmp_path, gzip.compress(DATA)[:10] + b"\xff" * 50)
    assert verdict(lambda: first_bytes(path)) == "error:corrupt-gzip"


@pytest.mark.parametrize("content", [DATA[:-1], gzip.compress(DATA)[:-20], gzip.compress(DATA[:-1])])
def test_a_file_that_ends_early_is_truncated(content, tmp_path):
    path = file(tmp_path, content)
    assert verdict(lambda: whole(path, len(DATA))) == "error:truncated"


def test_a_bomb_is_refused_when_it_grows_beyond_what_was_claimed(tmp_path):
    path = file(tmp_path, gzip.compress(bytes(4 << 20)))
    assert verdict(lambda: whole(path, 1000)) == "error:size-mismatch"


def test_a_claim_that_no_deflate_stream_of_that_length_can_hold_is_a_lie(tmp_path):
    path = file(tmp_path, gzip.compress(DATA))
    assert verdict(lambda: refuse_size(path, 100 << 20, 1)) == "error:size-mismatch"


def test_a_plain_file_shorter_than_its_claim_is_truncated(tmp_path):
    assert verdict(lambda: refuse_size(file(tmp_path, DATA), 5001, 1)) == "error:truncated"


def test_what_would_not_fit_decoded_is_too_large(tmp_path):
    assert verdict(lambda: refuse_size(file(tmp_path, DATA), 5000, MAX_BYTES + 1)) == "error:too-large"


def test_an_honest_claim_passes(tmp_path):
    refuse_size(file(tmp_path, DATA), 5000, MAX_BYTES)
    refuse_size(file(tmp_path, gzip.compress(DATA), "b.nii.gz"), 5000, MAX_BYTES)
