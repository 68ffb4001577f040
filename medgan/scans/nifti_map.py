"""Write a map of numbers on the voxels of a scan, for viewers to lay over the scan."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from medgan.base.files import write_bytes
from medgan.scans import formats, nifti
from medgan.scans.geometry import slice_normal
from medgan.scans.provenance import SOFTWARE
from medgan.scans.scan import Pixels, Scan

_nib: Any = nibabel  # most of its functions carry no types


def write_map(path: Path, values: Pixels, scan: Scan, files: tuple[Path, ...]) -> None:
    """Write numbers (Z, Y, X) as float32.

    A map of a NIfTI file has its axes, size and affine. That of another file has the axes (X, Y, Z) of the
    image as displayed, and the position that a DICOM header gives; no orientation where there is none.

    Args:
        path: A name that ends with .nii.gz.
        values: One number per pixel of the scan as displayed.
        scan: The scan.
        files: Its files, in slice order; none for an image in an array.
    """
    form = formats.read_header(files[0]).format if files else ""
    affine: NDArray[np.float64] | None
    if form == "nifti":
        stored, affine = nifti.to_stored(files[0], values)
    else:
        stored = values.transpose(2, 1, 0)
        affine = _dicom_affine(scan, files) if form == "dicom" else None
    image = _nib.Nifti1Image(np.ascontiguousarray(stored, np.float32), affine)
    if affine is None:
        z, y, x = scan.spacing_mm or (1.0, 1.0, 1.0)
        image.header.set_zooms((x, y, z or 1.0))
    else:
        image.set_sform(affine, code=1)
        image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm" if scan.spacing_mm else "unknown")
    image.header["descrip"] = f"MAP {SOFTWARE}".encode()[:79]
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))


def _dicom_affine(scan: Scan, files: tuple[Path, ...]) -> NDArray[np.float64] | None:
    """The affine (index to RAS) of DICOM slices; None where the header gives no position."""
    first, last = formats.read_header(files[0]), formats.read_header(files[-1])
    if first.position is None or first.orientation is None or scan.spacing_mm is None:
        return None
    z, y, x = scan.spacing_mm
    step = slice_normal(first.orientation) * (z or 1.0)
    if last.position is not None and len(files) > 1:
        step = (np.array(last.position) - np.array(first.position)) / (len(files) - 1)
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * x
    affine[:3, 1] = np.array(first.orientation[3:]) * y
    affine[:3, 2], affine[:3, 3] = step, first.position
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine + 0.0)  # DICOM is LPS
