"""Which files belong together, in what order; every file comes out exactly once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.scans.dicom.series import group_slices
from medgan.scans.scan import Header

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def header(place: float = 0.0, **facts) -> Header:
    """An axial slice at z = `place`."""
    axial = {
        "format": "dicom",
        "shape": (1, 8, 8),
        "series": "1.2",
        "position": (0.0, 0.0, place),
        "orientation": AXIAL,
        "spacing_mm": (0.0, 1.0, 1.0),
        "stacking": ("AXIAL", "", "", "", ""),
    }
    return Header(**axial | facts)


def files(*headers: Header) -> list[tuple[Path, Header]]:
    return [(Path(f"scans/{number:03d}.dcm"), one) for number, one in enumerate(headers)]


def numbers(paths) -> list[int]:
    return [int(path.stem) for path in paths]


def test_nothing_in_nothing_out():
    assert group_slices([]).volumes == group_slices([]).singles == ()


def test_slices_are_ordered_by_position_and_not_by_their_number():
    stack = files(*(header(z, instance_number=n) for n, z in enumerate((10, 0, 15, 5))))
    assert [numbers(volume) for volume in group_slices(stack).volumes] == [[1, 3, 0, 2]]


def test_sagittal_slices_run_along_their_normal():
    places = [header(position=(x, 0.0, 0.0), orientation=SAGITTAL) for x in (4.0, 0.0, 2.0)]
    assert numbers(group_slices(files(*places)).volumes[0]) == [
        0,
        2,
        1,
    ]  # along the normal, to the patient's right


def test_volumes_come_in_the_order_of_their_first_files():
    mixed = [header(z, series=series) for z in (0, 1, 2) for series in ("9", "1")]
    assert [numbers(volume) for volume in group_slices(files(*mixed)).volumes] == [[0, 2, 4], [1, 3, 5]]


def test_two_slices_are_no_volume():
    assert numbers(group_slices(files(header(0), header(5))).singles) == [0, 1]


@pytest.mark.parametrize(
    "facts", [{"series": ""}, {"position": None}, {"orientation": None}, {"shape": (4, 8, 8)}], ids=str
)
def test_files_without_a_place_are_single_images(facts):
    grouping = group_slices(files(*(header(z, **facts) for z in range(4))))
    assert (grouping.volumes, numbers(grouping.singles)) == ((), [0, 1, 2, 3])


def test_rounding_noise_in_the_direction_does_not_part_a_series():
    noisy = [header(z, orientation=(1.0, 1e-6 * z, -0.0, 0.0, 1.0, 0.0)) for z in range(4)]
    assert len(group_slices(files(*noisy)).volumes) == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"shape": (1, 8, 9)},
        {"spacing_mm": (0.0, 2.0, 2.0)},
        {"modality": "PT"},
        {"channels": 3},
        {"series": "3"},
    ],
    ids=str,
)
def test_slices_that_differ_are_not_stacked(facts):
    grouping = group_slices(
        files(*(header(z) for z in range(4)), *(header(z + 4, **facts) for z in range(4)))
    )
    assert [numbers(volume) for volume in grouping.volumes] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_times_that_lie_at_the_same_places_are_volumes_of_their_own():
    turns = [header(z, stacking=("AXIAL", "", t, "", "")) for z in range(3) for t in ("1", "2")]
    assert [numbers(volume) for volume in group_slices(files(*turns)).volumes] == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize("which", [1, 2, 3, 4], ids=["echo", "time", "trigger", "acquisition"])
def test_what_tells_repeated_places_apart_parts_nothing_else(which):
    def turn(n: str) -> tuple[str, ...]:
        return tuple(n if k == which else "" for k in range(5))

    repeated = files(*(header(z, stacking=turn(n)) for n in "12" for z in range(3)))
    assert [numbers(volume) for volume in group_slices(repeated).volumes] == [[0, 1, 2], [3, 4, 5]]
    running = files(*(header(z, stacking=turn(str(z))) for z in range(6)))
    assert [numbers(volume) for volume in group_slices(running).volumes] == [[0, 1, 2, 3, 4, 5]]


def test_kinds_of_image_are_parted_wherever_they_lie():
    kinds = files(
        *(header(z, stacking=("AXIAL\\M" if z < 3 else "AXIAL\\P", "", "", "", "")) for z in range(6))
    )
    assert [numbers(volume) for volume in group_slices(kinds).volumes] == [[0, 1, 2], [3, 4, 5]]


def test_a_copy_is_refused_and_names_its_original():
    twice = files(header(0, instance="1.9"), header(0, instance="1.9"))
    error = group_slices(twice).skipped[twice[1][0]]
    assert error.verdict == "skip:duplicate"
    assert "000.dcm" in error.message


def test_captures_are_kept_where_they_are_no_minority():
    capture = header(notes=("secondary-capture",), position=None)
    grouping = group_slices(files(*(header(z) for z in range(3)), *[capture] * 3))
    assert not grouping.skipped


def test_a_few_slices_across_a_short_series_are_no_localizers():
    grouping = group_slices(files(*(header(z) for z in range(4)), header(9, orientation=SAGITTAL)))
    assert not grouping.skipped


def test_a_gap_within_one_percent_is_regular():
    assert group_slices(files(*map(header, (0.0, 5.0, 10.02, 15.0)))).notes == {}
    assert group_slices(files(*map(header, (0.0, 5.0, 10.2, 15.0)))).volumes == ()


def test_positions_rounded_to_two_decimals_are_regular():
    places = [round(0.625 * number, 2) for number in range(100)]
    assert len(group_slices(files(*map(header, places))).volumes[0]) == 100
    assert group_slices(files(*map(header, (0.0, 0.1, 0.2, 0.31)))).volumes == ()


@pytest.mark.parametrize("apart", [0.555, 0.405, 0.335, 0.225])
def test_slices_missing_among_rounded_positions_part_a_volume(apart):
    places = [round(apart * number, 2) for number in range(40) if number not in {20, 21}]
    assert [len(volume) for volume in group_slices(files(*map(header, places))).volumes] == [20, 18]


def test_parts_around_missing_slices_too_short_for_a_volume_are_singles():
    grouping = group_slices(files(*map(header, (0.0, 1.0, 2.0, 3.0, 5.0, 6.0))))
    assert [numbers(volume) for volume in grouping.volumes] == [[0, 1, 2, 3]]
    assert numbers(grouping.singles) == [4, 5]
    assert set(grouping.notes.values()) == {("missing-slices",)}


def test_a_stack_aslant_to_its_slices_is_noted_at_its_first_file():
    tilted = [header(position=(0.0, 0.3 * z, float(z))) for z in range(4)]
    grouping = group_slices(files(*tilted))
    assert grouping.notes == {grouping.volumes[0][0]: ("gantry-tilt",)}


SLICES = st.builds(
    lambda place, facts: replace(header(place), **facts),
    st.integers(0, 9).map(float),
    st.fixed_dictionaries(
        {},
        optional={
            "series": st.sampled_from(["", "1.2", "1.3"]),
            "instance": st.sampled_from(["", "1", "2", "3"]),
            "orientation": st.sampled_from([AXIAL, SAGITTAL, None]),
            "stacking": st.sampled_from([(), ("LOCALIZER",), ("AXIAL", "1"), ("AXIAL", "2")]),
            "notes": st.sampled_from([(), ("secondary-capture",)]),
            "instance_number": st.integers(0, 3),
        },
    ),
)


@given(st.lists(SLICES, max_size=14))
def test_every_file_comes_out_exactly_once(headers):
    given_files = files(*headers)
    grouping = group_slices(given_files)
    out = [path for volume in grouping.volumes for path in volume]
    assert sorted([*out, *grouping.singles, *grouping.skipped]) == [path for path, _ in given_files]
    assert set(grouping.notes) <= set(out) | set(grouping.singles)
    assert all(len(volume) >= 3 for volume in grouping.volumes)


@given(st.permutations(list(range(6))))
def test_the_order_of_the_files_does_not_matter_to_a_volume(order):
    stack = files(*(header(float(z)) for z in range(6)))
    assert group_slices([stack[n] for n in order]).volumes == group_slices(stack).volumes
