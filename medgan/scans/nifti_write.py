"""Write an image or volume as .nii.gz, with its facts in a JSON file beside it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from medgan.base.files import write_bytes, write_json
from medgan.scans.geometry import slice_normal, to_image_orientation
from medgan.scans.nifti_affine import DISPLAY_ORIENTATION
from medgan.scans.provenance import SOFTWARE, Stored, image_facts, slice_gap, stored_values
from medgan.scans.scan import OutputFormat, Pixels, Provenance

_nib: Any = nibabel  # most of its functions carry no types

SUFFIX = ".nii.gz"
_VOLUME_AXES = 3  # axes of a volume


def write(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> None:
    """Write one image, (H, W) or (H, W, 3) in [0, 1], as a one-slice NIfTI-1 volume.

    The file is gzipped; a sidecar <name>.json lies beside it.
    """
    write_volume(path.with_name(path.name.removesuffix(SUFFIX)), pixels[None], form, mark)


def write_volume(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> tuple[Path, ...]:
    """Write a volume as `<path>.nii.gz` and `<path>.json`.

    It is (Z, Y, X) or (Z, Y, X, 3) in [0, 1], with slices along their normal (axial: from feet to head).

    Raises:
        PlanError: the distance between slices is unknown.
        OutputError: the disk refuses to write.
    """
    slice_gap(form, len(pixels))
    said = image_facts(form, mark)
    image = _build_image(stored_values(pixels, form), form, mark, said)
    file = path.with_name(path.name + SUFFIX)
    # The sidecar goes first: an image without its marks never exists, not even after a power cut.
    write_json(path.with_name(path.name + ".json"), said)
    write_bytes(file, gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))
    return (file,)


def _build_image(
    stored: Stored, form: OutputFormat, mark: Provenance, said: dict[str, object]
) -> _nib.Nifti1Image:
    """Build the NIfTI image with slope 1 and the affine of the form's orientation.

    There is no orientation where the form has none, or has one in which `read` would turn the image.
    """
    z, y, x = form.spacing_mm or (1.0, 1.0, 1.0)
    known = form.patient_orientation in DISPLAY_ORIENTATION.values()
    affine = _build_affine(form.patient_orientation, (x, y, z or 1.0)) if known else None
    image = _nib.Nifti1Image(_to_voxels(stored), affine)
    header: Any = image.header
    if known:
        # Without millimetres these are not scanner coordinates (code 1), but left and right hold (code 2).
        image.set_sform(affine, code=1 if form.spacing_mm else 2)
        image.set_qform(affine, code=1 if form.spacing_mm else 2)
    else:
        header.set_zooms((x, y, z or 1.0, 1.0, 1.0)[: len(image.shape)])
    header.set_xyzt_units("mm" if form.spacing_mm else "unknown")
    header.set_slope_inter(1.0, 0.0)
    if stored.ndim > _VOLUME_AXES and stored.dtype != np.uint8:
        header.set_intent("vector")
    origin = f"SYNTHETIC {SOFTWARE} seed={mark.seed}" if mark.synthetic else f"REAL {SOFTWARE}"
    header["descrip"] = origin.encode()[:79]
    header["intent_name"] = b"synthetic" if mark.synthetic else b"real"
    comment = json.dumps(said, sort_keys=True, ensure_ascii=False)
    header.extensions.append(_nib.nifti1.Nifti1Extension("comment", comment.encode()))
    return image


def _build_affine(patient_orientation: str, sides: tuple[float, ...]) -> NDArray[np.float64]:
    """The affine (index to RAS) of slices with this orientation.

    `sides` are those of a voxel (X, Y, Z).
    """
    turn = to_image_orientation(patient_orientation)
    axes = np.column_stack([turn[:3], turn[3:], slice_normal(turn)]) * sides
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ axes + 0.0  # no -0.0
    return affine


def _to_voxels(stored: Stored) -> NDArray[Any]:
    """Bring stored values to (X, Y, Z).

    Colour of 8 bits becomes RGB24; deeper colour, which RGB24 cannot hold, a vector of 16-bit numbers (X, Y,
    Z, 1, 3).
    """
    if stored.ndim == _VOLUME_AXES:
        return np.ascontiguousarray(stored.transpose(2, 1, 0))
    columns = np.ascontiguousarray(stored.transpose(2, 1, 0, 3))
    if stored.dtype == np.uint8:
        return columns.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    return columns[:, :, :, None, :]
