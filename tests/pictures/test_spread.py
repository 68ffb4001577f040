from collections import Counter

import pytest

from medgan.pictures.spread import choose_spread


@pytest.mark.parametrize("depth", [16, 21, 32, 40, 100])
@pytest.mark.parametrize("volumes", [8, 24, 100])
def test_never_the_same_slice_of_every_volume(volumes, depth):
    groups = [f"patient {volume}" for volume in range(volumes) for _ in range(depth)]
    found = choose_spread(groups, 24)
    assert len({groups[place] for place in found}) == min(volumes, 24)
    slices = Counter(place % depth for place in found)
    assert len(slices) >= min(depth, 24) * 0.6
    assert max(slices.values()) <= 3


@pytest.mark.parametrize("depth", [8, 16, 32])
def test_slices_in_files_of_their_own_are_no_trap(depth):
    """Nothing says which files are slices of one body, and their number is a multiple of the images shown."""
    found = choose_spread([str(number) for number in range(24 * depth)], 24)
    assert max(Counter(place % depth for place in found).values()) <= 24 // depth + 3
    assert max(found) - min(found) > 0.8 * 24 * depth


def test_every_image_once_and_all_of_a_few():
    assert choose_spread(["a"] * 3, 8) == [0, 1, 2]
    assert choose_spread([], 8) == []
    found = choose_spread(["a"] * 5 + ["b"] * 100, 24)
    assert len(set(found)) == 24
    assert sum(place < 5 for place in found) == 5


def test_equal_groups_give_an_equal_choice():
    groups = [str(number % 7) for number in range(300)]
    assert choose_spread(groups, 24) == choose_spread(list(groups), 24)
