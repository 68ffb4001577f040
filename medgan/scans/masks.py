"""Read masks, images whose values are the labels of regions, and count what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import ScanError
from medgan.scans import nifti, raster
from medgan.scans.verdict import give_verdicts

NIFTI_ENDINGS = (".nii.gz", ".nii")
PICTURE_ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
"""Endings of pictures. JPEG among them are refused with a reason: it blurs the edges of regions."""
_MAX_VALUES = 256
"""Most different values of a mask. Where there are more, the file holds intensities."""
_NOT_LABELS = "error:not-labels"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """The labels of an image, pixel by pixel."""

    values: NDArray[np.int32]
    """(Z, Y, X) as the image is displayed; 0 is background."""
    spacing_mm: tuple[float, ...] | None = None
    """(Z, Y, X) in millimetres; None when unknown."""
    extent_mm: tuple[float, ...] | None = None
    """Least and largest R, A and S of its voxels in millimetres; None where the file does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSize:
    """How large one region is in one 2-D image."""

    pixels: int
    objects: int
    """Pieces that do not touch each other, not even by a corner."""


def read_mask(path: Path) -> Mask:
    """Read the mask in a NIfTI file, a PNG or a TIFF.

    Palette indices are labels, whatever the colours of the palette.

    Raises:
        ScanError: the file cannot be read, or holds intensities or colours.
    """
    with give_verdicts(path):
        if path.name.lower().endswith(NIFTI_ENDINGS):
            found = nifti.read_labels(path)
            values, spacing, extent = found.pixels, found.spacing_mm, nifti.extent_mm(path)
        else:
            values, spacing, extent = raster.read_labels(path), None, None
        return Mask(values=_to_labels(values, path), spacing_mm=spacing, extent_mm=extent)


def measure_regions(mask: Mask, slices: Iterable[int]) -> Mapping[int, list[RegionSize]]:
    """{label: its size in each of the 2-D images that show it}, of the images at `slices` along Z."""
    from skimage import measure  # noqa: PLC0415  # takes half a second, too long for a quick refusal

    count: Callable[..., Any] = measure.label

    found: dict[int, list[RegionSize]] = {}
    for place in slices:
        plane = mask.values[place]
        for value in np.unique(plane[plane != 0]).tolist():
            region = plane == value
            objects = int(count(region, connectivity=2, return_num=True)[1])
            found.setdefault(value, []).append(RegionSize(pixels=int(region.sum()), objects=objects))
    return found


def _to_labels(values: NDArray[np.number], path: Path) -> NDArray[np.int32]:
    """The values as whole numbers; raise ScanError where they are none, or too many to be labels."""
    if values.ndim != 3:  # Z, Y, X
        raise ScanError(
            f"{path.name}: is in colour, and which colour means which region is not known",
            verdict=_NOT_LABELS,
            hint="Save the mask with one number per region, as a gray or an indexed image.",
        )
    whole = np.rint(values)
    if (whole != values).any() or whole.min() < 0 or len(np.unique(whole)) > _MAX_VALUES:
        raise ScanError(
            f"{path.name}: holds intensities, not labels of regions",
            verdict=_NOT_LABELS,
            hint="Give the folder of the masks, whose values are whole numbers from 0 on.",
        )
    return np.asarray(whole, np.int32)
