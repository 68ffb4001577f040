"""Find which frames of a DICOM file belong together and where they lie in space.

Functional groups of enhanced multi-frame objects (PS3.3 C.7.6.16) come before the attributes of the file
itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from medgan.scans.dicom.attributes import (
    Attributes,
    bad_value_error,
    find_malformed,
    get_item,
    get_items,
    get_numbers_or_none,
    get_text_or_empty,
)
from medgan.scans.dicom.header import CAPTURE_CLASSES, DicomFile
from medgan.scans.dicom.plain import PlainAttributes
from medgan.scans.geometry import SAME_MM, is_possible_spacing, slice_distances

_SAME_COSINE = 2e-3
"""Direction cosines closer than this are the same direction (about a tenth of a degree)."""
_PAIR = 2  # (row, column)

_FRAME_TYPES = tuple(f"{kind}FrameTypeSequence" for kind in ("MRImage", "CTImage", "PET", "XRay3D"))
"""Macros that say what a frame shows, as Image Type does for a single image (PS3.3 C.8.13.5.1, C.8.15.3.1,
C.8.22.5.1, C.8.21.5.1)."""
_MAX_SERIES = 32
"""Most series in one file. If more differ, they are told apart by a number of the frame, not by what they
show."""

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Attributes with the in-plane spacing, best first. ImagerPixelSpacing is at the detector and thus magnified.
"""
_GEOMETRY_COUNTS = {
    **dict.fromkeys((*SPACINGS, "PixelAspectRatio"), _PAIR),
    **dict.fromkeys(("SliceThickness", "SpacingBetweenSlices"), 1),
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
}
"""{keyword: how many numbers it has} for position and size of a frame. An image can be learned without them.
"""
_GEOMETRY_MACROS = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence")
"""Where these attributes are in an enhanced file."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the frames of one file lie."""

    order: tuple[int, ...]
    """Positions in the chosen frames, sorted along the slice normal; in the given order where positions are
    missing or repeat."""
    spacing_mm: tuple[float, ...] | None
    """(Z, Y, X)."""
    aspect: float
    """Height of a pixel over its width, where the spacing is unknown."""
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None


class FunctionalGroups:
    """The functional groups of a file: per frame, else shared, else none."""

    def __init__(self, dataset: Attributes, frames: int) -> None:
        """Look up both sequences.

        Raises:
            ScanError: the file describes another number of frames than it claims.
        """
        plain = isinstance(dataset, PlainAttributes)  # has none
        self.shared = None if plain else get_item(dataset, "SharedFunctionalGroupsSequence")
        self.per_frame = () if plain else tuple(get_items(dataset, "PerFrameFunctionalGroupsSequence"))
        if self.per_frame and len(self.per_frame) != frames:
            raise bad_value_error(
                "NumberOfFrames", f"{frames}, but {len(self.per_frame)} frames are described"
            )

    def macro(self, frame: int, keyword: str) -> Dataset | None:
        """The functional group macro that holds for one frame (from 0)."""
        own = get_item(self.per_frame[frame], keyword) if frame < len(self.per_frame) else None
        return own if own is not None or self.shared is None else get_item(self.shared, keyword)


def malformed_geometry_notes(file: DicomFile, frames: int, chosen: Sequence[int]) -> tuple[str, ...]:
    """Notes on numbers of the geometry that cannot be read.

    They may be in the file or in what it says about the `chosen` ones of its `frames`.
    """
    groups = FunctionalGroups(file.dataset, frames)
    described = chosen if groups.per_frame else chosen[:1]
    macros = (groups.macro(frame, keyword) for frame in described for keyword in _GEOMETRY_MACROS)
    return find_malformed((file.dataset, *(macro for macro in macros if macro is not None)), _GEOMETRY_COUNTS)


def group_frames(file: DicomFile, frames: int, units: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The frames of each series in an enhanced file, in stored order.

    There is usually one series. Several are told apart by what also separates files of single images: what
    they show (magnitude, phase, a field map), the unit of their values, and their stack (PS3.3 C.7.6.16.2.2).

    Args:
        file: The file.
        frames: Number of frames.
        units: Unit of the values of each frame.
    """
    groups = FunctionalGroups(file.dataset, frames)
    found: dict[Hashable, list[int]] = {}
    for frame, unit in enumerate(units if groups.per_frame else ()):
        found.setdefault((unit, *_frame_content(groups, frame)), []).append(frame)
    return tuple(map(tuple, found.values())) if 0 < len(found) <= _MAX_SERIES else (tuple(range(frames)),)


def _frame_content(groups: FunctionalGroups, frame: int) -> tuple[str, ...]:
    """Frame Type, Complex Image Component and Stack ID of a frame.

    Each is empty where the file does not give it.
    """
    types = (groups.macro(frame, keyword) for keyword in _FRAME_TYPES)
    macros = (*(kind for kind in types if kind is not None), groups.macro(frame, "FrameContentSequence"))
    words = ("FrameType", "ComplexImageComponent", "StackID")
    return tuple(
        get_text_or_empty(macro, word).upper() for macro in macros if macro is not None for word in words
    )


def place_frames(file: DicomFile, frames: int, chosen: Sequence[int]) -> Placement:
    """Order and spacing of the chosen frames.

    Args:
        file: The file.
        frames: Number of frames in the file.
        chosen: Numbers of the frames to place.
    """
    dataset = file.dataset
    groups = FunctionalGroups(dataset, frames)
    # Without groups of their own, all frames lie at one place.
    described = chosen if groups.per_frame else chosen[:1]
    positions = [
        _read_vector(groups, k, "PlanePositionSequence", "ImagePositionPatient", dataset) for k in described
    ]
    orientations = [
        _read_vector(groups, k, "PlaneOrientationSequence", "ImageOrientationPatient", dataset)
        for k in described
    ]
    # Spacing, and the order along the slice normal.
    measures = groups.macro(chosen[0], "PixelMeasuresSequence")
    in_plane = _read_spacing(measures, dataset)
    order, gap = (
        tuple(range(len(chosen))),
        _read_slice_distance(measures, dataset) if len(chosen) == 1 else 0.0,
    )
    if len(described) > 1:
        order, gap = _sort_by_position(positions, orientations)
    return Placement(
        order=order,
        spacing_mm=None if in_plane is None else (gap, *in_plane),
        aspect=1.0 if in_plane else _read_aspect(dataset),
        position=positions[order[0]],
        orientation=orientations[order[0]],
    )


def _read_vector(
    groups: FunctionalGroups, frame: int, macro: str, keyword: str, dataset: Attributes
) -> tuple[float, ...] | None:
    """Position (3 numbers) or orientation (6) of a frame.

    None unless it is complete and finite.
    """
    group = groups.macro(frame, macro)
    found = get_numbers_or_none(dataset if group is None else group, keyword)
    complete = len(found) == (3 if keyword == "ImagePositionPatient" else 6) and all(
        map(math.isfinite, found)
    )
    return found if complete else None


def _read_spacing(measures: Dataset | None, dataset: Attributes) -> tuple[float, float] | None:
    """(row, column) distance in millimetres, by the pixel measures or the file itself.

    None where it is not given or impossible.
    """
    for place in (measures, dataset):
        for keyword in SPACINGS if place is not None else ():
            found = get_numbers_or_none(place, keyword) if place is not None else ()
            if len(found) == _PAIR and is_possible_spacing(found):
                return found[0], found[1]
    return None


def _read_aspect(dataset: Attributes) -> float:
    """Pixel Aspect Ratio, height over width (PS3.3 C.7.6.3.1.7).

    1 where it is absent or meaningless.
    """
    found = get_numbers_or_none(dataset, "PixelAspectRatio")
    return found[0] / found[1] if len(found) == _PAIR and min(found) > 0 else 1.0


def _read_slice_distance(measures: Dataset | None, dataset: Attributes) -> float:
    """Millimetres from a single slice to the next.

    Spacing Between Slices, else the slice thickness, else 0.
    """
    for place in (dataset if measures is None else measures, dataset):
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            found = next(iter(get_numbers_or_none(place, keyword)), 0.0)
            if 0 < found < np.inf:
                return found
    return 0.0


def _are_parallel(orientations: list[tuple[float, ...]]) -> bool:
    """Whether all orientations are the same to about a tenth of a degree."""
    return bool(np.ptp(np.asarray(orientations), axis=0).max() < _SAME_COSINE)


def _sort_by_position(
    positions: list[tuple[float, ...] | None], orientations: list[tuple[float, ...] | None]
) -> tuple[tuple[int, ...], float]:
    """Sort frames along the normal, and measure the gap between them.

    The gap is in millimetres, and 0 where the frames do not form a stack of slices.
    """
    stored = tuple(range(len(positions)))
    known = [place for place in positions if place is not None]
    turned = [turn for turn in orientations if turn is not None]
    if len(known) < len(positions) or len(turned) < len(positions) or not _are_parallel(turned):
        return stored, 0.0
    along = slice_distances(known, turned[0])
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    if gaps.min() < SAME_MM:  # times or echoes at one place: a cine, not a volume
        return stored, 0.0
    return tuple(order.tolist()), float(np.median(gaps))


def is_capture(file: DicomFile) -> bool:
    """Whether the file is a secondary capture."""
    return file.sop_class in CAPTURE_CLASSES
