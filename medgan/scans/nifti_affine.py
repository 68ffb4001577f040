"""Read where the axes of a NIfTI lie in the body, and how long its voxels are.

Where a header contradicts itself, this module decides what to believe.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import nibabel
import numpy as np
from numpy.typing import NDArray

_nib: Any = nibabel  # most of its functions carry no types

DISPLAY_ORIENTATION = {2: "L\\P", 1: "L\\F", 0: "P\\F"}
"""{RAS axis through the plane: Patient Orientation of the displayed slice}: axial, coronal, sagittal."""
_MIN_VOLUME = 1e-3
"""Least volume of the cell of three unit axes. Below it they do not span space."""
STORED_DIRECTIONS = np.array([1.0, 1.0, 1.0])
"""RAS directions of axes that a header does not describe."""
DISPLAY_DIRECTIONS = np.array([-1.0, -1.0, 1.0])
"""The same for files of ours without an orientation: they are stored as they are displayed."""
_SIDE_TOLERANCE = 0.01
"""Relative difference up to which two sides are equal, written with other digits."""


class VolumeSpace(NamedTuple):
    """Where a volume is in space, in the header's unit of length."""

    affine: NDArray[np.float64]
    """Maps an index to RAS coordinates."""
    oriented: bool
    """Whether the header gives the orientation. Otherwise the axes are used as stored."""
    conflict: bool = False
    """Whether sform and pixdim give different sides."""
    measured: bool = True
    """Whether the sides can be believed."""


def read_space(header: Any, long: NDArray[np.bool_], bare: NDArray[np.float64]) -> VolumeSpace:
    """Read the affine: sform, else qform, else method 1 of nifti1.h.

    Method 1 uses the axes as stored, without nibabel's flip of x.

    Args:
        header: The NIfTI header.
        long: Which of the three axes have more than one voxel; sides of the others are not compared.
        bare: Directions of axes that no code describes (x = pixdim * i).
    """
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    for code, build in (("sform_code", header.get_sform), ("qform_code", header.get_qform)):
        try:
            affine = np.asarray(build(), dtype=np.float64)
        except (_nib.spatialimages.HeaderDataError, ValueError):  # a quaternion longer than 1
            continue
        sides = np.linalg.norm(affine[:3, :3], axis=0)
        finite = bool(np.isfinite(affine).all()) and bool(sides.min() > 0)
        if int(header[code]) > 0 and finite and abs(np.linalg.det(affine[:3, :3] / sides)) > _MIN_VOLUME:
            return _reconcile_sides(affine, sides, pixdim, long)
    sides = np.where(np.isfinite(pixdim) & (pixdim > 0), pixdim, 1.0)
    return VolumeSpace(np.diag([*sides * bare, 1.0]), oriented=False)


def _reconcile_sides(
    affine: NDArray[np.float64],
    sides: NDArray[np.float64],
    pixdim: NDArray[np.float64],
    long: NDArray[np.bool_],
) -> VolumeSpace:
    """Choose between the sides of the affine and those of pixdim where they differ.

    Sides that are all 1 are what a careless writer leaves, so the others are taken. If neither are, none can
    be believed. ITK takes pixdim, and nibabel's affine the sform.
    """
    given = np.isfinite(pixdim) & (pixdim > 0)
    if not (given & long).any() or np.allclose(
        sides[given & long], pixdim[given & long], rtol=_SIDE_TOLERANCE, atol=0
    ):
        return VolumeSpace(affine, oriented=True)
    if _are_placeholder(pixdim[long]):
        return VolumeSpace(affine, oriented=True, conflict=True)
    if _are_placeholder(sides[long]) and given[long].all():
        scaled = affine.copy()
        scaled[:3, :3] *= np.where(given, pixdim, sides) / sides
        return VolumeSpace(scaled, oriented=True, conflict=True)
    return VolumeSpace(affine, oriented=True, conflict=True, measured=False)


def _are_placeholder(sides: NDArray[np.float64]) -> bool:
    """Whether all sides are 1, as where nobody set them."""
    return bool(np.allclose(sides, 1.0, rtol=1e-6, atol=0))
