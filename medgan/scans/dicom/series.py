"""Group slices into volumes by their headers, and put them in order.

The position along the slice normal orders slices. InstanceNumber is not a spatial order and only breaks ties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from medgan.base.errors import ScanError
from medgan.scans.geometry import SAME_MM, slice_distances, slice_normal
from medgan.scans.scan import Header

_File = tuple[Path, Header]

_MIN_SLICES = 3
"""Fewest slices of a volume."""
_GAP_TOLERANCE = 0.01
"""Gaps within this fraction of the usual gap are equal. highdicom uses the same value."""
_ROUNDING_MM = 0.011
"""Gaps within so many millimetres are equal too, as positions rounded to two decimals give them."""
_MAX_ROUNDING_SHARE = 0.05
"""Largest fraction of the usual gap for which that holds."""
_TILT_SINE = 0.02
"""Sine of the angle between stack and slice normal from which a gantry is tilted (about a degree)."""


@dataclass(frozen=True, slots=True)
class _SliceGroups:
    """Every file once: as a slice of one volume, as a single image, or refused."""

    volumes: tuple[tuple[Path, ...], ...]
    """Files of each volume in slice order."""
    singles: tuple[Path, ...]
    skipped: Mapping[Path, ScanError]
    notes: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Warnings about a series: "missing-slices", "irregular-spacing", "gantry-tilt". They are at the first
    file of each volume and at each single image."""


def group_slices(files: Sequence[_File]) -> _SliceGroups:
    """Group files into volumes and single images.

    Localizers, secondary captures among slices, and repeated images are refused.
    """
    if len(files) == 1 and "localizer" not in files[0][1].notes:
        return _SliceGroups((), (files[0][0],), {})
    skipped: dict[Path, ScanError] = {}
    # Refuse what is not a slice of its own.
    kept = _without_localizers(_without_captures(_without_duplicates(files, skipped), skipped), skipped)
    volumes: list[tuple[Path, ...]] = []
    single: set[Path] = {path for path, header in kept if not _has_position(header)}
    # Split stacks where slices are missing; short ones become single images.
    notes: dict[Path, tuple[str, ...]] = {}
    for stack in _form_stacks([file for file in kept if _has_position(file[1])]):
        runs, said = _split_at_gaps(stack)
        for run in runs:
            paths = tuple(path for path, _ in run)
            whole = len(paths) >= _MIN_SLICES
            volumes.extend([paths] if whole else [])
            single.update(() if whole else paths)
            found = (*said, *(("gantry-tilt",) if whole and _is_tilted(run) else ()))
            notes |= {path: found for path in (paths[:1] if whole else paths) if found}
    first = {path: index for index, (path, _) in enumerate(files)}
    return _SliceGroups(
        volumes=tuple(sorted(volumes, key=lambda paths: min(first[path] for path in paths))),
        singles=tuple(path for path, _ in kept if path in single),
        skipped=skipped,
        notes=notes,
    )


def _without_duplicates(files: Iterable[_File], skipped: dict[Path, ScanError]) -> list[_File]:
    """Keep the first file of each SOPInstanceUID."""
    seen: dict[str, Path] = {}
    kept = []
    for path, header in files:
        original = seen.setdefault(header.instance, path) if header.instance else path
        if original == path:
            kept.append((path, header))
        else:
            skipped[path] = ScanError(
                f"{path.name}: is the same image as {original} (equal SOPInstanceUID)",
                verdict="skip:duplicate",
            )
    return kept


def _without_captures(files: Sequence[_File], skipped: dict[Path, ScanError]) -> list[_File]:
    """Refuse secondary captures that are fewer than the slices in their folder.

    They are dose reports and screenshots.
    """
    slices = Counter(
        path.parent for path, header in files if _has_position(header) and not _is_capture(header)
    )
    captures = Counter(path.parent for path, header in files if _is_capture(header))
    kept = []
    for path, header in files:
        if _is_capture(header) and slices[path.parent] >= max(_MIN_SLICES, captures[path.parent] + 1):
            skipped[path] = ScanError(
                f"{path.name}: is a secondary capture (a report or screen) among {slices[path.parent]} "
                "slices",
                verdict="skip:secondary-capture",
                hint="Move it to a folder of its own if it should be used.",
            )
        else:
            kept.append((path, header))
    return kept


def _is_capture(header: Header) -> bool:
    """Whether the reader noted a secondary capture."""
    return "secondary-capture" in header.notes


def _without_localizers(files: Sequence[_File], skipped: dict[Path, ScanError]) -> list[_File]:
    """Refuse localizers.

    ImageType names them so, or they are up to three images across the other slices of their series.
    """
    directions = Counter(
        (header.series, _rounded_orientation(header)) for _, header in files if _has_position(header)
    )
    most: dict[str, int] = {}
    for (series, _), count in directions.items():
        most[series] = max(most.get(series, 0), count)
    kept = []
    for path, header in files:
        count = directions[header.series, _rounded_orientation(header)] if _has_position(header) else 0
        named = "localizer" in header.notes
        if named or (0 < count <= _MIN_SLICES and most[header.series] > 2 * _MIN_SLICES):
            skipped[path] = ScanError(f"{path.name}: is a localizer, not a slice", verdict="skip:localizer")
        else:
            kept.append((path, header))
    return kept


def _has_position(header: Header) -> bool:
    """Whether a file can be a slice: one frame with position, orientation and series."""
    return bool(header.shape[0] == 1 and header.position and header.orientation and header.series)


def _rounded_orientation(header: Header) -> tuple[float, ...]:
    """Orientation, rounded so that noise in its last digits does not split a series."""
    # + 0.0 turns -0.0 into 0.0; as JSON and text the two would differ.
    return tuple(round(cosine, 2) + 0.0 for cosine in header.orientation or ())


def _form_stacks(files: Sequence[_File]) -> list[list[_File]]:
    """Group files that may form one stack, and split groups where positions repeat.

    They have equal series, orientation, size, spacing and image type.
    """

    def alike(header: Header) -> Hashable:
        in_plane = tuple(round(mm, 4) for mm in (header.spacing_mm or ())[1:])
        pixel = (header.shape, header.channels, header.modality, "no-rescale" in header.notes)
        return (header.series, _rounded_orientation(header), pixel, in_plane, header.stacking[:1])

    return [stack for one in _group_by(files, alike) for stack in _split_repeats(one)]


def _group_by(files: Sequence[_File], key: Callable[[Header], Hashable]) -> list[list[_File]]:
    """Group files with equal keys, in order of first appearance."""
    groups: dict[Hashable, list[_File]] = {}
    for file in files:
        groups.setdefault(key(file[1]), []).append(file)
    return list(groups.values())


def _split_repeats(files: list[_File]) -> list[list[_File]]:
    """Split times, echoes and acquisitions at the same positions.

    Files that no attribute tells apart are split by their order.
    """
    if not _has_repeats(files):
        return [_sort_by_position(files)]
    named = _group_by(files, lambda header: header.stacking[1:])
    if len(named) > 1:
        return [stack for one in named for stack in _split_repeats(one)]
    layers: list[list[_File]] = []
    for _, at_one_place in _same_places(_sort_by_position(files)):
        for layer, file in enumerate(at_one_place):
            layers.extend([[]] if layer == len(layers) else [])
            layers[layer].append(file)
    return layers


def _positions_along(files: Sequence[_File]) -> list[float]:
    """Distance of each file along the slice normal of the first, in millimetres."""
    positions = [header.position or (0, 0, 0) for _, header in files]
    return [float(mm) for mm in slice_distances(positions, _orientation_of(files))]


def _orientation_of(files: Sequence[_File]) -> tuple[float, ...]:
    """Orientation of the first file, which all files of a stack share."""
    return files[0][1].orientation or (1, 0, 0, 0, 1, 0)


def _sort_by_position(files: Sequence[_File]) -> list[_File]:
    """Sort by position. InstanceNumber, then the path, break ties."""
    if len(files) == 1:
        return list(files)
    places = dict(zip((path for path, _ in files), _positions_along(files), strict=True))
    return sorted(files, key=lambda file: (round(places[file[0]], 3), file[1].instance_number, file[0]))


def _same_places(files: Sequence[_File]) -> list[tuple[float, list[_File]]]:
    """Group sorted files by position."""
    places: list[tuple[float, list[_File]]] = []
    for place, file in zip(_positions_along(files), files, strict=True):
        if places and abs(place - places[-1][0]) < SAME_MM:
            places[-1][1].append(file)
        else:
            places.append((place, [file]))
    return places


def _has_repeats(files: Sequence[_File]) -> bool:
    """Whether two files have the same position."""
    return len(files) > 1 and len(_same_places(_sort_by_position(files))) < len(files)


def _split_at_gaps(files: list[_File]) -> tuple[list[list[_File]], tuple[str, ...]]:
    """Split a sorted stack into runs of equal gaps, and note what was found.

    A gap of a whole number of usual gaps means missing slices: the parts stay volumes. With any other gap,
    the volume cannot be trusted, though its slices are good images: each becomes a single image.
    """
    if len(files) < _MIN_SLICES:
        return [files], ()
    gaps = np.diff(_positions_along(files))
    usual = float(np.median(gaps))
    single = gaps[np.rint(gaps / (usual or 1)) == 1]
    usual = float(single.mean()) if len(single) else usual  # more exact than any one, if they are rounded
    steps = gaps / (usual or 1)
    whole = np.rint(steps)
    rounded = min(_ROUNDING_MM / usual, _MAX_ROUNDING_SHARE) if usual > 0 else 0.0
    if (whole < 1).any() or (np.abs(steps - whole) > np.maximum(_GAP_TOLERANCE * whole, rounded)).any():
        return [[file] for file in files], ("irregular-spacing",)
    runs = [[files[0]]]
    for step, (_, after) in zip(whole, pairwise(files), strict=True):
        runs.extend([[]] if step > 1 else [])
        runs[-1].append(after)
    return runs, ("missing-slices",) if len(runs) > 1 else ()


def _is_tilted(files: Sequence[_File]) -> bool:
    """Whether the stack is sheared, as with a tilted gantry."""
    first, last = (np.asarray(header.position) for _, header in (files[0], files[-1]))
    step = last - first
    length = float(np.linalg.norm(step))
    aslant = np.cross(step / (length or 1), slice_normal(_orientation_of(files)))
    return length > 0 and float(np.linalg.norm(aslant)) > _TILT_SINE
