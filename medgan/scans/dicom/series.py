"""The headers of many files in, volumes, single images and refused files out: which slices belong together, in what order.

Position along the slice normal orders slices; InstanceNumber is no spatial order and only breaks ties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from medgan.base.errors import ScanError
from medgan.scans.geometry import SAME_MM, distances, normal
from medgan.scans.scan import Header

File = tuple[Path, Header]

FEWEST = 3
"""Slices that make a volume."""
REGULAR = 0.01
"""Gaps within this fraction of the usual gap are equal; highdicom takes the same."""
ROUNDED_MM, MOST_ROUNDED = 0.011, 0.05
"""So are gaps within so many millimetres, as of positions rounded to two decimals, up to this fraction of the usual gap."""
TILTED = 0.02
"""Sine of the angle between the stack and the slice normal from which on a gantry counts as tilted (about a degree)."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every file once: as a slice of one volume, as a single image, or refused."""

    volumes: tuple[tuple[Path, ...], ...]
    """Files of each volume in slice order."""
    singles: tuple[Path, ...]
    skipped: Mapping[Path, ScanError]
    notes: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Warnings about a series, at the first file of each volume and at each single: "missing-slices",
    "irregular-spacing", "gantry-tilt"."""


def group(files: Sequence[File]) -> Grouping:
    """Sort files into volumes and singles; localizers, captures among slices and repeated images are refused."""
    if len(files) == 1 and "localizer" not in files[0][1].notes:
        return Grouping((), (files[0][0],), {})
    skipped: dict[Path, ScanError] = {}
    kept = without_localizers(without_captures(without_duplicates(files, skipped), skipped), skipped)
    volumes: list[tuple[Path, ...]] = []
    single: set[Path] = {path for path, header in kept if not has_place(header)}
    notes: dict[Path, tuple[str, ...]] = {}
    for stack in stacks([file for file in kept if has_place(file[1])]):
        runs, said = runs_of(stack)
        for run in runs:
            paths = tuple(path for path, _ in run)
            whole = len(paths) >= FEWEST
            volumes.extend([paths] if whole else [])
            single.update(() if whole else paths)
            found = (*said, *(("gantry-tilt",) if whole and is_tilted(run) else ()))
            notes |= {path: found for path in (paths[:1] if whole else paths) if found}
    first = {path: index for index, (path, _) in enumerate(files)}
    return Grouping(
        volumes=tuple(sorted(volumes, key=lambda paths: min(first[path] for path in paths))),
        singles=tuple(path for path, _ in kept if path in single),
        skipped=skipped,
        notes=notes,
    )


def without_duplicates(files: Iterable[File], skipped: dict[Path, ScanError]) -> list[File]:
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


def without_captures(files: Sequence[File], skipped: dict[Path, ScanError]) -> list[File]:
    """Refuse secondary captures (dose reports, screens) that are fewer than the slices in their folder."""
    slices = Counter(path.parent for path, header in files if has_place(header) and not is_capture(header))
    captures = Counter(path.parent for path, header in files if is_capture(header))
    kept = []
    for path, header in files:
        if is_capture(header) and slices[path.parent] >= max(FEWEST, captures[path.parent] + 1):
            skipped[path] = ScanError(
                f"{path.name}: is a secondary capture (a report or screen) among {slices[path.parent]} slices",
                verdict="skip:secondary-capture",
                hint="Move it to a folder of its own if it is meant to be learnt.",
            )
        else:
            kept.append((path, header))
    return kept


def is_capture(header: Header) -> bool:
    """Whether the reader noted a secondary capture."""
    return "secondary-capture" in header.notes


def without_localizers(files: Sequence[File], skipped: dict[Path, ScanError]) -> list[File]:
    """Refuse localizers: named so by ImageType, or up to three images across the other slices of their series."""
    directions = Counter((header.series, turn(header)) for _, header in files if has_place(header))
    most: dict[str, int] = {}
    for (series, _), count in directions.items():
        most[series] = max(most.get(series, 0), count)
    kept = []
    for path, header in files:
        count = directions[header.series, turn(header)] if has_place(header) else 0
        named = "localizer" in header.notes
        if named or (0 < count <= FEWEST and most[header.series] > 2 * FEWEST):
            skipped[path] = ScanError(f"{path.name}: is a localizer, not a slice", verdict="skip:localizer")
        else:
            kept.append((path, header))
    return kept


def has_place(header: Header) -> bool:
    """Whether a file can be a slice: one frame with position, orientation and series."""
    return bool(header.shape[0] == 1 and header.position and header.orientation and header.series)


def turn(header: Header) -> tuple[float, ...]:
    """Orientation, rounded so that noise in the last digits does not part a series."""
    # + 0.0 turns -0.0 into 0.0, or the two would be told apart as keys of JSON and text.
    return tuple(round(cosine, 2) + 0.0 for cosine in header.orientation or ())


def stacks(files: Sequence[File]) -> list[list[File]]:
    """Files that may form one stack: equal series, orientation, size, spacing, image type; split further where places repeat."""

    def alike(header: Header) -> Hashable:
        in_plane = tuple(round(mm, 4) for mm in (header.spacing_mm or ())[1:])
        pixel = (header.shape, header.channels, header.modality, "no-rescale" in header.notes)
        return (header.series, turn(header), pixel, in_plane, header.stacking[:1])

    return [stack for one in group_by(files, alike) for stack in split_repeats(one)]


def group_by(files: Sequence[File], key: Callable[[Header], Hashable]) -> list[list[File]]:
    """Files with equal keys together, in order of first appearance."""
    groups: dict[Hashable, list[File]] = {}
    for file in files:
        groups.setdefault(key(file[1]), []).append(file)
    return list(groups.values())


def split_repeats(files: list[File]) -> list[list[File]]:
    """Split times, echoes and acquisitions that lie at the same places; those that nothing tells apart, by their turn."""
    if not repeats(files):
        return [in_order(files)]
    named = group_by(files, lambda header: header.stacking[1:])
    if len(named) > 1:
        return [stack for one in named for stack in split_repeats(one)]
    layers: list[list[File]] = []
    for _, at_one_place in same_places(in_order(files)):
        for layer, file in enumerate(at_one_place):
            layers.extend([[]] if layer == len(layers) else [])
            layers[layer].append(file)
    return layers


def along(files: Sequence[File]) -> list[float]:
    """Distance of each file along the slice normal of the first, in millimetres."""
    positions = [header.position or (0, 0, 0) for _, header in files]
    return [float(mm) for mm in distances(positions, orientation_of(files))]


def orientation_of(files: Sequence[File]) -> tuple[float, ...]:
    """Orientation of the first file, which is that of all in a stack."""
    return files[0][1].orientation or (1, 0, 0, 0, 1, 0)


def in_order(files: Sequence[File]) -> list[File]:
    """By position; InstanceNumber, then the path, break ties."""
    if len(files) == 1:
        return list(files)
    places = dict(zip((path for path, _ in files), along(files), strict=True))
    return sorted(files, key=lambda file: (round(places[file[0]], 3), file[1].instance_number, file[0]))


def same_places(files: Sequence[File]) -> list[tuple[float, list[File]]]:
    """Ordered files by place."""
    places: list[tuple[float, list[File]]] = []
    for place, file in zip(along(files), files, strict=True):
        if places and abs(place - places[-1][0]) < SAME_MM:
            places[-1][1].append(file)
        else:
            places.append((place, [file]))
    return places


def repeats(files: Sequence[File]) -> bool:
    """Whether two files lie at one place."""
    return len(files) > 1 and len(same_places(in_order(files))) < len(files)


def runs_of(files: list[File]) -> tuple[list[list[File]], tuple[str, ...]]:
    """Cut an ordered stack into runs of equal gaps, and say what was found.

    A gap of a whole number of usual gaps means missing slices: the parts stay volumes. Any other gap makes a volume
    dishonest, though its slices are good images: each becomes a single.
    """
    if len(files) < FEWEST:
        return [files], ()
    gaps = np.diff(along(files))
    usual = float(np.median(gaps))
    single = gaps[np.rint(gaps / (usual or 1)) == 1]
    usual = (
        float(single.mean()) if len(single) else usual
    )  # nearer to the truth than any one, if they were rounded
    steps = gaps / (usual or 1)
    whole = np.rint(steps)
    rounded = min(ROUNDED_MM / usual, MOST_ROUNDED) if usual > 0 else 0.0
    if (whole < 1).any() or (np.abs(steps - whole) > np.maximum(REGULAR * whole, rounded)).any():
        return [[file] for file in files], ("irregular-spacing",)
    runs = [[files[0]]]
    for step, (_, after) in zip(whole, pairwise(files), strict=True):
        runs.extend([[]] if step > 1 else [])
        runs[-1].append(after)
    return runs, ("missing-slices",) if len(runs) > 1 else ()


def is_tilted(files: Sequence[File]) -> bool:
    """Whether the stack runs aslant to its slices, as with a tilted gantry."""
    first, last = (np.asarray(header.position) for _, header in (files[0], files[-1]))
    step = last - first
    length = float(np.linalg.norm(step))
    aslant = np.cross(step / (length or 1), normal(orientation_of(files)))
    return length > 0 and float(np.linalg.norm(aslant)) > TILTED
