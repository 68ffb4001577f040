"""Any file in, Header and Scan out (or a ScanError with a verdict); pixels in, a file of the wanted form out.

What a file is, its content decides. A name matters only where it claims to be DICOM and the content says
otherwise, and where it claims to be NIfTI and the content is too damaged to tell.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from medgan.base.errors import PlanError, ScanError
from medgan.scans import foreign, nifti, nifti_write, raster
from medgan.scans.compressed import GZIP
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom import write as dicom_write
from medgan.scans.dicom.header import looks_like_dicom
from medgan.scans.provenance import stored_range
from medgan.scans.scan import Header, OutputFormat, Pixels, Provenance, Scan
from medgan.scans.verdict import give_verdicts


class _Reader(Protocol):
    """A module that reads one format."""

    def read_header(self, path: Path) -> Header:
        """What the file says, pixels not decoded."""

    def read(self, path: Path) -> Scan:
        """The pixels with meaning."""


class _Writer(Protocol):
    """A module that writes one format."""

    @property
    def SUFFIX(self) -> str:  # noqa: N802  (a constant of the module)
        """The ending of its files, with the dot."""

    def write(self, path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> None:
        """Write pixels in [0, 1] to `path`."""


class _VolumeWriter(Protocol):
    """A module that writes whole volumes of one format."""

    def write_volume(
        self, path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance
    ) -> tuple[Path, ...]:
        """Write pixels (Z, Y, X) in [0, 1] to files named after `path`."""


_READERS: Mapping[str, _Reader] = {
    "dicom": dicom_read,
    "nifti": nifti,
    "png": raster,
    "jpeg": raster,
    "tiff": raster,
}
"""By what `_detect_format` says."""

WRITERS: Mapping[str, _Writer] = {"dicom": dicom_write, "nifti": nifti_write, "png": raster}
"""By `OutputFormat.format`."""

_VOLUME_WRITERS: Mapping[str, _VolumeWriter] = {"dicom": dicom_write, "nifti": nifti_write}
"""By `OutputFormat.format`; a PNG has no third axis."""

_ARCHIVES = (
    GZIP,
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"BZh",
    b"\xfd7zXZ\0",
)
_NIFTI1_BYTES = 348
"""Bytes of a NIfTI-1 or Analyze header; its first field says so."""
_NIFTI2_BYTES = 540
_BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_NIFTI_NAMES = (".nii.gz", ".nii")
_MEDICAL_NAMES = frozenset({".dcm", ".dicom"})


def _detect_format(path: Path) -> str:
    """What a file is: "dicom", "nifti", "png", "jpeg", "tiff", "npz", "archive", "empty" or "other"."""
    with give_verdicts(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ScanError("is no regular file", verdict="skip:special-file")
        with path.open("rb", buffering=0) as stream:
            head = stream.read(4096)
    by_name = path.name.lower().endswith(_NIFTI_NAMES) and (
        head.startswith(GZIP) or _claimed_header_size(head)
    )
    return "nifti" if by_name else _detect_from_head(head)


def _detect_from_head(head: bytes) -> str:
    """What a file that begins so is."""
    if not head:
        return "empty"
    # First DICOM: its preamble may hold another format's beginning (PS3.10 section 7.1 names TIFF).
    if head[128:132] == b"DICM":
        return "dicom"
    inner = _gunzip_head(head) if head.startswith(GZIP) else head
    if inner[128:132] != b"DICM" and (_is_nifti(inner) or _is_freesurfer(inner)):
        return "nifti"
    return raster.detect_kind(head) or _archive_kind(head) or ("dicom" if looks_like_dicom(head) else "other")


def _is_nifti(head: bytes) -> bool:
    """Whether a NIfTI-1, NIfTI-2 or Analyze header begins here: its own size in either byte order, or the magic."""
    if head[344:348] in {b"n+1\0", b"ni1\0"} or head[4:8] in {b"n+2\0", b"ni2\0"}:
        return True
    return len(head) >= _NIFTI1_BYTES == _claimed_header_size(head)


def _claimed_header_size(head: bytes) -> int:
    """The size of a NIfTI or Analyze header that its own first field claims, in either byte order; 0 for what is none."""
    claims = {int.from_bytes(head[:4], order) for order in _BYTE_ORDERS}
    return next((size for size in (_NIFTI1_BYTES, _NIFTI2_BYTES) if size in claims), 0)


def _is_freesurfer(head: bytes) -> bool:
    """Whether a FreeSurfer volume (.mgh, .mgz) begins here, which the NIfTI reader refuses by its name.

    Big-endian words: version 1, four sizes, and a type of number (0, 1, 3 or 4).
    """
    words = [int.from_bytes(head[at : at + 4], "big") for at in range(0, 24, 4)]
    return (
        len(head) >= 284 and words[0] == 1 and all(0 < size < 1 << 16 for size in words[1:5]) and words[5] < 5
    )


def _gunzip_head(head: bytes) -> bytes:
    """The first bytes inside a gzip file."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 1024)
    except zlib.error:
        return b""


def _archive_kind(head: bytes) -> str:
    """Tell packed files: "npz" for NumPy arrays in a zip, "archive" for others, "" for what is none."""
    if head.startswith(b"PK\x03\x04"):
        length = int.from_bytes(head[26:28], "little")
        return "npz" if head[30 : 30 + length].endswith(b".npy") else "archive"
    return "archive" if head.startswith(_ARCHIVES) or head[257:262] == b"ustar" else ""


def _find_reader(path: Path) -> tuple[str, _Reader]:
    """The format and its reader, or the refusal of what has none."""
    kind = _detect_format(path)
    if kind == "empty":
        raise ScanError(
            f"{path.name}: is empty", verdict="error:empty-file", hint="Copy it again from its source."
        )
    if kind in {"archive", "other"} and nifti.is_voxel_file(path):
        raise ScanError(f"{path.name}: is read through the .hdr beside it", verdict="skip:pair-member")
    if kind not in {"dicom", "archive"} and path.suffix.lower() in _MEDICAL_NAMES:
        raise ScanError(
            f"{path.name}: is named like DICOM but is not ({kind})",
            verdict="skip:not-dicom",
            hint="Give it its right name if it is meant to be read.",
        )
    if kind not in _READERS:
        raise foreign.no_reader_error(path, kind)
    return kind, _READERS[kind]


def read_header(path: Path, *, label_tag: str = "") -> Header:
    """What a file says, its pixels not decoded; `label_tag` names a DICOM attribute to take the label from."""
    with give_verdicts(path):
        kind, reader = _find_reader(path)
        if kind == "dicom":
            return dicom_read.read_header(path, label_tag=label_tag)
        return reader.read_header(path)


def read(path: Path, kind: int = 0) -> Scan:
    """All pixels of a file with meaning; of a DICOM file with several kinds of frames (`Header.kinds`) those of the given one."""
    with give_verdicts(path):
        name, reader = _find_reader(path)
        return dicom_read.read(path, kind) if name == "dicom" else reader.read(path)


def write(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> Path:
    """Write one image (H, W) or (H, W, 3) in its form, gray in as many equal channels as that has; `path` has no suffix, the file that is returned has."""
    writer = WRITERS[form.format]
    if pixels.ndim == len("YX") and form.channels > 1:  # gray, where the scans are stored as RGB
        pixels = np.repeat(pixels[..., None], form.channels, axis=-1)
    file = path.with_name(path.name + writer.SUFFIX)
    writer.write(file, pixels, form, mark)
    return file


def read_output(path: Path, form: OutputFormat) -> Pixels:
    """The image (H, W) or (H, W, 3) in [0, 1] of a file that `write` wrote in this form; black where a reader skips it as one without content."""
    try:
        scan = read(path)
    except ScanError as error:
        if not error.verdict.startswith("skip:"):
            raise
        header = read_header(path)
        return np.zeros((*header.shape[1:], *([header.channels] if header.channels > 1 else [])), np.float32)
    if scan.meaning == "display":
        low, high = 0.0, 1.0
    else:
        low, high = raster.sample_range(form) if form.format == "png" else stored_range(form)
    return np.asarray(((scan.pixels[0] - low) / (high - low)).clip(0, 1), np.float32)


def write_volume(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> tuple[Path, ...]:
    """Write a volume (Z, Y, X) in [0, 1], slices along their normal (axial: from feet to head): `<path>.nii.gz`, or a DICOM series in the folder `path`.

    Raises:
        PlanError: the format or the form's DICOM class has no volumes, or the distance between slices is unknown.
        OutputError: the disk refuses.
    """
    if form.format not in _VOLUME_WRITERS:
        raise PlanError(
            f"a volume cannot be written as {form.format}", hint=f"Formats: {', '.join(_VOLUME_WRITERS)}."
        )
    return _VOLUME_WRITERS[form.format].write_volume(path, pixels, form, mark)
