"""How the axes of a NIfTI lie in the body, and how long its voxels are.

Where a header contradicts itself, this decides what is believed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import nibabel
import numpy as np
from numpy.typing import NDArray

_nib: Any = nibabel  # most of its functions carry no types

DISPLAY_ORIENTATION = {2: "L\\P", 1: "L\\F", 0: "P\\F"}
"""{RAS axis through the plane: Patient Orientation of what is shown}: axial, coronal, sagittal."""
_MIN_VOLUME = 1e-3
"""Volume of the cell of three unit axes below which they span no space."""
STORED_DIRECTIONS = np.array([1.0, 1.0, 1.0])
"""Directions of axes in RAS that nothing describes."""
DISPLAY_DIRECTIONS = np.array([-1.0, -1.0, 1.0])
"""Those of files of ours that claim none: stored as they are shown."""
_SIDE_TOLERANCE = 0.01
"""Sides that differ by a smaller share are the same, written with other digits."""


class VolumeSpace(NamedTuple):
    """Where a volume lies, in the header's unit of length."""

    affine: NDArray[np.float64]
    """Index -> RAS."""
    oriented: bool
    """Whether the header says how the axes lie in the body; otherwise they are taken as stored."""
    conflict: bool = False
    """Whether sform and pixdim tell different sides."""
    measured: bool = True
    """Whether the sides can be believed."""


def read_space(header: Any, long: NDArray[np.bool_], bare: NDArray[np.float64]) -> VolumeSpace:
    """sform, else qform, else nifti1.h method 1: axes as stored, without nibabel's flip of x.

    `bare` are the directions of axes that no code describes (x = pixdim * i); `long` says which of the three axes have more than one voxel: of the others no side is compared.
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
    """The affine with the sides that are no placeholder, where its own and those of pixdim differ.

    Of the two, sides that are all 1 are what a careless writer leaves; of two that are neither, none can be believed.
    ITK takes pixdim, and nibabel's affine the sform.
    """
    told = np.isfinite(pixdim) & (pixdim > 0)
    if not (told & long).any() or np.allclose(
        sides[told & long], pixdim[told & long], rtol=_SIDE_TOLERANCE, atol=0
    ):
        return VolumeSpace(affine, oriented=True)
    if _are_placeholder(pixdim[long]):
        return VolumeSpace(affine, oriented=True, conflict=True)
    if _are_placeholder(sides[long]) and told[long].all():
        scaled = affine.copy()
        scaled[:3, :3] *= np.where(told, pixdim, sides) / sides
        return VolumeSpace(scaled, oriented=True, conflict=True)
    return VolumeSpace(affine, oriented=True, conflict=True, measured=False)


def _are_placeholder(sides: NDArray[np.float64]) -> bool:
    """Whether all sides are 1, as where nobody set them."""
    return bool(np.allclose(sides, 1.0, rtol=1e-6, atol=0))
