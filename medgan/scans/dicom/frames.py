"""A parsed DICOM file in, which of its frames belong together and where they lie in space out: order, spacing, position, orientation.

Looks at the functional groups of enhanced multi-frame objects (PS3.3 C.7.6.16) before the attributes of the file itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from medgan.scans.dicom.attributes import (
    Attributes,
    find_malformed,
    item,
    items,
    sound_numbers,
    sound_text,
    unusable,
)
from medgan.scans.dicom.header import CAPTURES, DicomFile
from medgan.scans.dicom.plain import Plain
from medgan.scans.geometry import SAME_MM, distances, possible

SAME_COSINE = 2e-3
"""Direction cosines closer than this are one direction (about a tenth of a degree)."""
PAIR = 2  # (row, column)

FRAME_TYPES = tuple(f"{kind}FrameTypeSequence" for kind in ("MRImage", "CTImage", "PET", "XRay3D"))
"""Macros that say what a frame shows, as Image Type says it of a single image (PS3.3 C.8.13.5.1, C.8.15.3.1, C.8.22.5.1, C.8.21.5.1)."""
MOST_KINDS = 32
"""Kinds of frames in one file, beyond which what tells them apart is no kind but a number of the frame."""

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Where the in-plane spacing stands, best first; ImagerPixelSpacing is at the detector, hence magnified."""
GEOMETRY = {
    **dict.fromkeys((*SPACINGS, "PixelAspectRatio"), PAIR),
    **dict.fromkeys(("SliceThickness", "SpacingBetweenSlices"), 1),
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
}
"""{keyword: how many numbers it has}, of where a frame lies and how large it is: an image can be learned without them."""
MACROS = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence")
"""Where they stand in an enhanced file."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the frames of one file lie."""

    order: tuple[int, ...]
    """Places in the frames that were asked for, by position along the slice normal; as asked when positions are missing or repeat."""
    spacing_mm: tuple[float, ...] | None
    """(Z, Y, X)."""
    aspect: float
    """Height of a pixel over its width, where no spacing is known."""
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None


class Groups:
    """The functional groups of a file: per frame, else shared, else none."""

    def __init__(self, dataset: Attributes, frames: int) -> None:
        """Look the two sequences up once; refuse a file that describes another number of frames than it claims to have."""
        plain = isinstance(dataset, Plain)  # has none
        self.shared = None if plain else item(dataset, "SharedFunctionalGroupsSequence")
        self.per_frame = () if plain else tuple(items(dataset, "PerFrameFunctionalGroupsSequence"))
        if self.per_frame and len(self.per_frame) != frames:
            raise unusable("NumberOfFrames", f"{frames}, but {len(self.per_frame)} frames are described")

    def macro(self, frame: int, keyword: str) -> Dataset | None:
        """The item of a functional group macro that holds for one frame (from 0)."""
        own = item(self.per_frame[frame], keyword) if frame < len(self.per_frame) else None
        return own if own is not None or self.shared is None else item(self.shared, keyword)


def malformed_geometry(source: DicomFile, frames: int, chosen: Sequence[int]) -> tuple[str, ...]:
    """The notes for numbers of GEOMETRY that cannot be read, in the file or in what is said of the `chosen` ones of its `frames`."""
    groups = Groups(source.dataset, frames)
    told = chosen if groups.per_frame else chosen[:1]
    macros = (groups.macro(frame, keyword) for frame in told for keyword in MACROS)
    return find_malformed((source.dataset, *(macro for macro in macros if macro is not None)), GEOMETRY)


def kinds(source: DicomFile, frames: int, units: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The frames of each series in an enhanced file, in stored order; mostly all in one.

    Told apart by what also parts files of single images: what they show (magnitude, phase, a field map), the unit of
    their values (`units`, one per frame), and the stack that they belong to (PS3.3 C.7.6.16.2.2).
    """
    groups = Groups(source.dataset, frames)
    found: dict[Hashable, list[int]] = {}
    for frame, unit in enumerate(units if groups.per_frame else ()):
        found.setdefault((unit, *shows(groups, frame)), []).append(frame)
    return tuple(map(tuple, found.values())) if 0 < len(found) <= MOST_KINDS else (tuple(range(frames)),)


def shows(groups: Groups, frame: int) -> tuple[str, ...]:
    """Frame Type, Complex Image Component and Stack ID of a frame, empty where it does not say."""
    types = (groups.macro(frame, keyword) for keyword in FRAME_TYPES)
    macros = (*(kind for kind in types if kind is not None), groups.macro(frame, "FrameContentSequence"))
    words = ("FrameType", "ComplexImageComponent", "StackID")
    return tuple(sound_text(macro, word).upper() for macro in macros if macro is not None for word in words)


def placement(source: DicomFile, frames: int, chosen: Sequence[int]) -> Placement:
    """Order and spacing of the `chosen` ones of `frames` frames."""
    dataset = source.dataset
    groups = Groups(dataset, frames)
    told = (
        chosen if groups.per_frame else chosen[:1]
    )  # without groups of their own all frames lie at one place
    positions = [vector(groups, k, "PlanePositionSequence", "ImagePositionPatient", dataset) for k in told]
    orientations = [
        vector(groups, k, "PlaneOrientationSequence", "ImageOrientationPatient", dataset) for k in told
    ]
    measures = groups.macro(chosen[0], "PixelMeasuresSequence")
    in_plane = spacing(measures, dataset)
    order, gap = tuple(range(len(chosen))), distance(measures, dataset) if len(chosen) == 1 else 0.0
    if len(told) > 1:
        order, gap = sort_by_position(positions, orientations)
    return Placement(
        order=order,
        spacing_mm=None if in_plane is None else (gap, *in_plane),
        aspect=1.0 if in_plane else aspect(dataset),
        position=positions[order[0]],
        orientation=orientations[order[0]],
    )


def vector(
    groups: Groups, frame: int, macro: str, keyword: str, dataset: Attributes
) -> tuple[float, ...] | None:
    """Position (3 numbers) or orientation (6) of a frame; None unless complete and finite."""
    group = groups.macro(frame, macro)
    found = sound_numbers(dataset if group is None else group, keyword)
    complete = len(found) == (3 if keyword == "ImagePositionPatient" else 6) and all(
        map(math.isfinite, found)
    )
    return found if complete else None


def spacing(measures: Dataset | None, dataset: Attributes) -> tuple[float, float] | None:
    """(row, column) distance in millimetres, from the pixel measures or the file itself; None when it does not say, or cannot be."""
    for place in (measures, dataset):
        for keyword in SPACINGS if place is not None else ():
            found = sound_numbers(place, keyword) if place is not None else ()
            if len(found) == PAIR and possible(found):
                return found[0], found[1]
    return None


def aspect(dataset: Attributes) -> float:
    """Pixel Aspect Ratio, vertical over horizontal size (PS3.3 C.7.6.3.1.7); 1 when absent or senseless."""
    found = sound_numbers(dataset, "PixelAspectRatio")
    return found[0] / found[1] if len(found) == PAIR and min(found) > 0 else 1.0


def distance(measures: Dataset | None, dataset: Attributes) -> float:
    """Millimetres from a single slice to the next: Spacing Between Slices, else its thickness; 0 where neither has a meaning."""
    for place in (dataset if measures is None else measures, dataset):
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            found = next(iter(sound_numbers(place, keyword)), 0.0)
            if 0 < found < np.inf:
                return found
    return 0.0


def alike(orientations: list[tuple[float, ...]]) -> bool:
    """Whether all orientations are the same to about a tenth of a degree."""
    return bool(np.ptp(np.asarray(orientations), axis=0).max() < SAME_COSINE)


def sort_by_position(
    positions: list[tuple[float, ...] | None], orientations: list[tuple[float, ...] | None]
) -> tuple[tuple[int, ...], float]:
    """Frame order along the normal, and the gap in millimetres (0 when frames are no stack of slices)."""
    stored = tuple(range(len(positions)))
    known = [place for place in positions if place is not None]
    turned = [turn for turn in orientations if turn is not None]
    if len(known) < len(positions) or len(turned) < len(positions) or not alike(turned):
        return stored, 0.0
    along = distances(known, turned[0])
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    if gaps.min() < SAME_MM:  # times or echoes at one place: a cine, not a volume
        return stored, 0.0
    return tuple(order.tolist()), float(np.median(gaps))


def is_capture(source: DicomFile) -> bool:
    """Whether the file is a secondary capture."""
    return source.sop_class in CAPTURES
