"""Read NIfTI files (.nii, .nii.gz, .hdr + .img) in the radiological display frame.

The whole file is inflated and its checksum verified: nibabel stops before the gzip trailer, so a flipped byte
would give wrong voxels without an error, and slicing a .nii.gz lazily takes quadratic time. Field names are
those of nifti1.h.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray

from medgan.base.errors import ScanError
from medgan.scans.compressed import InflatedStream, first_bytes, refuse_size
from medgan.scans.finite import fill_non_finite
from medgan.scans.geometry import ALIGNED_COSINE, is_possible_spacing
from medgan.scans.labelmap import has_few_levels, is_named_as_mask
from medgan.scans.nifti_affine import (
    DISPLAY_DIRECTIONS,
    DISPLAY_ORIENTATION,
    STORED_DIRECTIONS,
    VolumeSpace,
    read_space,
)
from medgan.scans.nifti_voxels import VoxelLayout, read_voxels
from medgan.scans.provenance import MAKER
from medgan.scans.scan import Header, Pixels, Scan

_nib: Any = nibabel  # most of its functions carry no types

_NEAR_ISOTROPIC = 1.5
"""An axis whose voxel side is this many times the second longest is the through-plane axis. Otherwise slices
are axial."""

_ENDS: tuple[Literal["little", "big"], ...] = ("little", "big")
_MAGIC = {b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0"}
_MGH = b"\0\0\0\1"  # version word of FreeSurfer's MGH and MGZ
_PLANE = 2  # axes of an image
_LABELS = {1002, 1003}  # intent_code: LABEL, NEURONAME
_COLOURS = {1007, 2003}  # VECTOR (ITK's RGB), RGB_VECTOR
# Matrices, displacements, points, meshes, quaternions:
_NO_IMAGE = {1004, 1005, 1006, 1008, 1009, 1010, 2002, 2005}
_PACKED = {128: 3, 2304: 4}  # datatype: RGB24, RGBA32 -> bytes per voxel
_COMPLEX = {32, 1792, 2048}
_TO_MM = {1: 1000.0, 3: 0.001}  # xyzt_units: metre, micrometre; unknown (0) means millimetre (2) in practice
_PLAIN_LABELS = 7  # the whole numbers 0 .. 7 and nothing else are labels, whatever the name

# Signs and order of the RAS axes (x, y, z) that give (Z, Y, X) on the screen, by through-plane axis.
# Slices ascend along the normal of the matching ImageOrientationPatient, so that DICOM and NIfTI of
# one patient agree slice by slice.
_DISPLAY = {
    2: ((-1, -1, 1), (2, 1, 0)),  # axial, 1\0\0\0\1\0: rows to posterior, columns to the patient's left
    1: ((-1, -1, -1), (1, 2, 0)),  # coronal, 1\0\0\0\0\-1: rows to inferior, columns to the patient's left
    0: ((1, -1, -1), (0, 2, 1)),  # sagittal, 0\1\0\0\0\-1: rows to inferior, columns to posterior
}


@dataclass(frozen=True, kw_only=True)  # no slots, because properties are cached
class _NiftiLayout:
    """What a NIfTI header says about its voxels, checked before any of them is read.

    Axes are in stored order.
    """

    header: Any
    voxels: Path
    """The file with the voxels: the .img file of a pair, else the file itself."""
    shape: tuple[int, ...]
    channels: int
    offset: int
    size: int
    """Bytes of `voxels` from its start to its last voxel."""
    space: VolumeSpace
    """Where the voxels are in space."""
    notes: tuple[str, ...]

    @cached_property
    def orientation(self) -> NDArray[np.float64]:
        """RAS axis and direction of each stored axis (3, 2), by nibabel."""
        return _orientation(self.space.affine[:3, :3].tobytes())

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The stored axis behind each of the displayed (Z, Y, X)."""
        ras = np.argsort(self.orientation[:, 0])
        return tuple(int(ras[axis]) for axis in _DISPLAY[self.through_plane][1])

    @cached_property
    def through_plane(self) -> int:
        """The RAS axis that becomes Z.

        It is the axis of length 1, or of clearly the largest voxel side, else S (axial).
        """
        ras = np.argsort(self.orientation[:, 0])
        flat = [axis for axis in (2, 1, 0) if self.shape[ras[axis]] == 1]
        sides = [self.sides[axis] for axis in ras]
        clear = max(sides) >= _NEAR_ISOTROPIC * sorted(sides)[1]
        return flat[0] if flat else sides.index(max(sides)) if clear else 2

    @property
    def unit_mm(self) -> float:
        """Millimetres of the header's unit of length."""
        return _TO_MM.get(int(self.header["xyzt_units"]) & 7, 1.0)

    @cached_property
    def sides(self) -> tuple[float, ...]:
        """Voxel sides in millimetres."""
        return tuple(float(side) * self.unit_mm for side in np.linalg.norm(self.space.affine[:3, :3], axis=0))

    @property
    def turned(self) -> tuple[bool, ...]:
        """Whether each of the displayed (Z, Y, X) runs against its stored axis."""
        signs = _DISPLAY[self.through_plane][0]
        return tuple(
            self.orientation[axis, 1] * signs[int(self.orientation[axis, 0])] < 0 for axis in self.axes
        )

    @property
    def patient_orientation(self) -> str:
        """Where the displayed rows and columns run to.

        Empty where the header does not say, or they are oblique.
        """
        matrix = self.space.affine[:3, :3] / np.linalg.norm(self.space.affine[:3, :3], axis=0)
        straight = [abs(matrix[int(self.orientation[axis, 0]), axis]) for axis in self.axes[1:]]
        return (
            DISPLAY_ORIENTATION[self.through_plane]
            if self.space.oriented and min(straight) >= ALIGNED_COSINE
            else ""
        )

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """(Z, Y, X) in millimetres, or None.

        It is None where no pixel can be so large, where sform and pixdim contradict each other, and for a
        file of ours whose source had no spacing (`nifti_write` then leaves the unit unknown).
        """
        unitless = _is_ours(self.header) and int(self.header["xyzt_units"]) & 7 == 0
        unknown = unitless or not self.space.measured
        spacing = tuple(self.sides[axis] for axis in self.axes)
        return None if unknown or not is_possible_spacing(spacing[1:]) else spacing

    @property
    def all_notes(self) -> tuple[str, ...]:
        """All notes on the file."""
        wrong = not is_possible_spacing(self.sides[axis] for axis in self.axes[1:])
        return (*self.notes, *(("impossible-spacing",) if wrong else ()))

    @property
    def bits(self) -> int:
        """Bits per stored value of one channel."""
        packed = int(self.header["datatype"]) in _PACKED
        return 8 if packed else self.header.get_data_dtype().itemsize * 8


def _is_ours(header: Any) -> bool:
    """Whether medgan wrote the file."""
    return MAKER.encode() in header["descrip"].item()


@lru_cache(64)
def _orientation(turn: bytes) -> NDArray[np.float64]:
    """RAS axis and direction of each axis of a (3, 3) matrix, by nibabel.

    The matrix is given as bytes, so that the answer is remembered for scans with the same orientation.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.frombuffer(turn).reshape(3, 3)
    return np.asarray(_nib.orientations.io_orientation(affine))


def read_header(path: Path) -> Header:
    """What the file says, checked against its size.

    Shape and spacing are (Z, Y, X) in the display frame.
    """
    layout = _read_layout(path)
    return Header(
        format="nifti",
        shape=tuple(layout.shape[axis] for axis in layout.axes),
        channels=layout.channels,
        bits=layout.bits,
        spacing_mm=layout.spacing_mm,
        notes=layout.all_notes,
    )


def read(path: Path) -> Scan:
    """Read the first volume as (Z, Y, X[, 3]), Z through the plane.

    Values are rescaled; NaN and Inf become background.
    """
    layout = _read_layout(path)
    voxels, repaired = fill_non_finite(_read_first_volume(layout, path), path)
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise ScanError(f"{path.name}: every voxel has the same value", verdict="skip:constant")
    if layout.channels == 1 and low >= 0 and _is_label_map(voxels, high, path):
        raise _segmentation_error(path)
    return Scan(
        pixels=voxels,
        meaning="raw",  # NIfTI fixes no scale, not even for uint8
        spacing_mm=layout.spacing_mm,
        patient_orientation=layout.patient_orientation,
        bits=layout.bits,
        notes=layout.all_notes + repaired,
    )


def read_labels(path: Path) -> Scan:
    """Read the first volume of a file of labels as displayed, whatever its values are."""
    layout = _read_layout(path)
    return Scan(
        pixels=_read_first_volume(layout, path),
        spacing_mm=layout.spacing_mm,
        patient_orientation=layout.patient_orientation,
        bits=layout.bits,
        notes=layout.all_notes,
    )


def to_stored(path: Path, shown: Pixels) -> tuple[Pixels, NDArray[np.float64] | None]:
    """Put numbers (Z, Y, X) as displayed on the stored axes of a file; also its affine to RAS in mm.

    The affine is None where the header gives no orientation.
    """
    layout = _read_layout(path)
    forth = shown[tuple(slice(None, None, -1 if turn else 1) for turn in layout.turned)]
    back = [layout.axes.index(axis) for axis in range(3)]
    affine = np.array(layout.space.affine, np.float64)
    affine[:3] *= layout.unit_mm
    return forth.transpose(*back), affine if layout.space.oriented else None


def extent_mm(path: Path) -> tuple[float, ...] | None:
    """Least R, A, S and largest R, A, S of the voxel centres in millimetres; None without an orientation."""
    layout = _read_layout(path)
    if not layout.space.oriented:
        return None
    ends = np.array(list(itertools.product(*((0, length - 1) for length in layout.shape))), np.float64)
    corners = (ends @ layout.space.affine[:3, :3].T + layout.space.affine[:3, 3]) * layout.unit_mm
    return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


# --- What the header claims --------------------------------------------------------------------------


def _read_layout(path: Path) -> _NiftiLayout:
    # Kind of image: scalar, packed colour, or a vector of three.
    header = _parse_header(path)
    sizes = _sizes(header, path)
    code, intent = int(header["datatype"]), int(header["intent_code"])
    _refuse_non_images(code, intent, path)
    vector = intent in _COLOURS
    if vector and sizes[3:] != (1, 3):
        raise ScanError(f"{path.name}: a field of vectors, not an image", verdict="skip:not-image")
    # Where the voxels begin and end in their file.
    voxels = _voxel_file(path, header)
    shape, channels = (*sizes, 1, 1)[:3], 3 if vector or code in _PACKED else 1
    start = header.sizeof_hdr + 4 if voxels == path else 0  # nifti1.h: a single file has 4 bytes of extender
    offset = max(int(np.nan_to_num(header["vox_offset"], posinf=0, neginf=0)), start)
    size = offset + math.prod(sizes) * _voxel_bytes(header, path)
    refuse_size(voxels, size, math.prod(shape) * channels * 4)
    # Position in space, and what is to be noted.
    ours = _is_ours(header)
    place = read_space(header, np.asarray(shape) > 1, DISPLAY_DIRECTIONS if ours else STORED_DIRECTIONS)
    notes = {
        "no-orientation": not (place.oriented or ours),
        "spacing-conflict": place.conflict,
        "first-volume": math.prod(sizes[3:]) > 1 and not vector,
        "synthetic": header["descrip"].item().startswith(b"SYNTHETIC"),
    }
    return _NiftiLayout(
        header=header,
        voxels=voxels,
        shape=shape,
        channels=channels,
        offset=offset,
        size=size,
        space=place,
        notes=tuple(note for note, holds in notes.items() if holds),
    )


def _parse_header(path: Path) -> Any:
    """Parse the NIfTI-1 or NIfTI-2 header in the file's byte order.

    Anything else is refused by its name.
    """
    head = first_bytes(path)
    kinds = {348: (_nib.Nifti1Header, head[344:348]), 540: (_nib.Nifti2Header, head[4:8])}
    sizeof_hdr = next((size for size in kinds if head[:4] in {size.to_bytes(4, e) for e in _ENDS}), 0)
    build, magic = kinds.get(sizeof_hdr, (None, b""))
    if build is None or len(head) < sizeof_hdr or magic not in _MAGIC:
        raise _not_nifti(path, head, sizeof_hdr)
    return build(head[:sizeof_hdr], check=False)


def _not_nifti(path: Path, head: bytes, sizeof_hdr: int) -> ScanError:
    cases = (
        (not head, "error:empty-file", "the file is empty"),
        (is_voxel_file(path), "skip:pair-member", "read through the .hdr beside it"),
        (len(head) < sizeof_hdr, "error:truncated-header", "cut off inside the header"),
        (sizeof_hdr, "skip:analyze", "Analyze 7.5 does not tell left from right"),
        (head.startswith(_MGH), "skip:freesurfer", "a FreeSurfer volume (mri_convert makes NIfTI of it)"),
        (True, "skip:not-nifti", "not NIfTI"),
    )
    verdict, words = next((verdict, words) for holds, verdict, words in cases if holds)
    return ScanError(f"{path.name}: {words}", verdict=verdict)


def volume_files(path: Path) -> Mapping[str, Path]:
    """{ending: file} of a volume, which may be a pair of header and voxels.

    Each file may be gzipped.
    """
    image = _partner(path, ".img") if path.name.lower().endswith((".hdr", ".hdr.gz")) else None
    if image is None:
        return {".nii" + _packing(path): path}
    return {".hdr" + _packing(path): path, ".img" + _packing(image): image}


def _packing(path: Path) -> str:
    return ".gz" if path.suffix.lower() == ".gz" else ""


def is_voxel_file(path: Path) -> bool:
    """Whether a file holds the voxels of a pair.

    Its name and the .hdr file beside it decide.
    """
    return path.name.lower().endswith((".img", ".img.gz")) and _partner(path, ".hdr") is not None


def _sizes(header: Any, path: Path) -> tuple[int, ...]:
    """Sizes of the axes, dim[1] .. dim[dim[0]].

    All must be positive, and at least two of the first three longer than 1.
    """
    count, *dims = (int(number) for number in header["dim"])
    sizes = tuple(dims[: max(count, 0)])
    if not 1 <= count <= len(dims) or min(sizes) < 1:
        raise ScanError(f"{path.name}: impossible dimensions {dims}", verdict="error:bad-dimensions")
    if sum(size > 1 for size in sizes[:3]) < _PLANE:
        raise ScanError(
            f"{path.name}: holds rows of numbers of the shape {sizes}, not an image", verdict="skip:not-image"
        )
    return sizes


def _refuse_non_images(code: int, intent: int, path: Path) -> None:
    if intent in _LABELS:
        raise _segmentation_error(path)
    if intent in _NO_IMAGE:
        raise ScanError(f"{path.name}: is not an image by its intent code {intent}", verdict="skip:not-image")
    if code in _COMPLEX:
        raise ScanError(f"{path.name}: complex numbers", verdict="skip:complex", hint="Save the magnitude.")


def _segmentation_error(path: Path) -> ScanError:
    return ScanError(f"{path.name}: labels, not intensities", verdict="skip:segmentation")


def _voxel_bytes(header: Any, path: Path) -> int:
    code = int(header["datatype"])
    try:
        size = _PACKED.get(code) or int(header.get_data_dtype().itemsize)
    except (_nib.spatialimages.HeaderDataError, KeyError):
        size = 0
    if not size:
        raise ScanError(f"{path.name}: unknown data type {code}", verdict="error:unsupported-datatype")
    return size


def _voxel_file(path: Path, header: Any) -> Path:
    if bytes(header["magic"].item())[:2] == b"n+":
        return path
    image = _partner(path, ".img")
    if image is None:
        raise ScanError(f"{path.name}: the .img beside it is missing", verdict="error:missing-pair")
    return image


def _partner(path: Path, suffix: str) -> Path | None:
    """The other half of a pair: the same name with `suffix`, perhaps gzipped.

    The suffix may be in upper case.
    """
    stem = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    names = (stem.with_suffix(case + end) for case in (suffix, suffix.upper()) for end in ("", ".gz"))
    return next((name for name in names if name.is_file()), None)


# --- Voxels ------------------------------------------------------------------------------------------


def _read_first_volume(layout: _NiftiLayout, path: Path) -> Pixels:
    """Read the first volume as displayed.

    Values are stored * scl_slope + scl_inter, unless the slope is 0 or not finite (nifti1.h).
    """
    header, packed = layout.header, _PACKED.get(int(layout.header["datatype"]), 1)
    # Scale of the values.
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not math.isfinite(slope) or slope == 0 or packed > 1:
        slope, inter = 1.0, 0.0
    if not math.isfinite(inter):
        raise ScanError(f"{path.name}: scl_inter is {inter}", verdict="error:bad-rescale")
    # How the file is laid out, and how it is displayed.
    stored = VoxelLayout(
        shape=layout.shape,
        dtype=np.dtype(np.uint8) if packed > 1 else header.get_data_dtype(),
        packed=packed,
        planes=layout.channels if packed == 1 else 1,
        axes=layout.axes,
        turned=layout.turned,
        slope=slope,
        inter=inter,
    )
    stream = InflatedStream(layout.voxels, layout.size)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 becomes Inf, which is looked for next
        stream.skip(layout.offset)
        shown = read_voxels(stream, stored)
    stream.finish()
    return shown


def _is_label_map(voxels: Pixels, high: float, path: Path) -> bool:
    """Whether the voxels are whole numbers from 0 to `high` that look like labels.

    They are very few, or they are few and the name of file or folder says mask.
    """
    return (is_named_as_mask(path) or high <= _PLAIN_LABELS) and has_few_levels(voxels)
