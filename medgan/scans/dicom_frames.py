"""A parsed DICOM file in, where its frames lie in space out: order, spacing, position, orientation.

Looks at the functional groups of enhanced multi-frame objects (PS3.3 C.7.6.16) before the attributes of the file itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from medgan.scans.dicom_attributes import Attributes, item, items, numbers, sound_numbers, unusable
from medgan.scans.dicom_header import CAPTURES, Source
from medgan.scans.dicom_plain import Plain
from medgan.scans.geometry import SAME_MM, distances, possible

SAME_COSINE = 2e-3
"""Direction cosines closer than this are one direction (about a tenth of a degree)."""
PAIR = 2  # (row, column)

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Where the in-plane spacing stands, best first; ImagerPixelSpacing is at the detector, hence magnified."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the frames of one file lie."""

    order: tuple[int, ...]
    """Frames by position along the slice normal; as stored when positions are missing or repeat."""
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


def placement(source: Source, frames: int) -> Placement:
    """Order and spacing of `frames` frames."""
    dataset = source.dataset
    groups = Groups(dataset, frames)
    told = range(frames if groups.per_frame else 1)  # without groups of their own all frames lie at one place
    positions = [vector(groups, k, "PlanePositionSequence", "ImagePositionPatient", dataset) for k in told]
    orientations = [
        vector(groups, k, "PlaneOrientationSequence", "ImageOrientationPatient", dataset) for k in told
    ]
    in_plane = spacing(groups.macro(0, "PixelMeasuresSequence"), dataset)
    order, gap = tuple(range(frames)), thickness(dataset) if frames == 1 else 0.0
    if len(told) > 1:
        order, gap = sorted_by_position(positions, orientations)
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
            found = numbers(place, keyword) if place is not None else ()
            if len(found) == PAIR and possible(found):
                return found[0], found[1]
    return None


def aspect(dataset: Attributes) -> float:
    """Pixel Aspect Ratio, vertical over horizontal size (PS3.3 C.7.6.3.1.7); 1 when absent or senseless."""
    found = numbers(dataset, "PixelAspectRatio")
    return found[0] / found[1] if len(found) == PAIR and min(found) > 0 else 1.0


def thickness(dataset: Attributes) -> float:
    """The Z extent of a single slice: its thickness, 0 where that has no meaning."""
    found = next(iter(sound_numbers(dataset, "SliceThickness")), 0.0)
    return found if 0 < found < np.inf else 0.0


def alike(orientations: list[tuple[float, ...]]) -> bool:
    """Whether all orientations are the same to about a tenth of a degree."""
    return bool(np.ptp(np.asarray(orientations), axis=0).max() < SAME_COSINE)


def sorted_by_position(
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


def is_capture(source: Source) -> bool:
    """Whether the file is a secondary capture."""
    return source.sop_class in CAPTURES
