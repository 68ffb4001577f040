"""Read and write scans of any supported format.

The content of a file decides its format. Its name matters only where it claims to be DICOM and the content
says otherwise, and where it claims to be NIfTI and the content is too damaged to tell.
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
        """What the file says, without decoding its pixels."""

    def read(self, path: Path) -> Scan:
        """The pixels in a meaningful unit."""


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
"""{format, as `_detect_format` returns it: module that reads it}."""

WRITERS: Mapping[str, _Writer] = {"dicom": dicom_write, "nifti": nifti_write, "png": raster}
"""{`OutputFormat.format`: module that writes it}."""

_VOLUME_WRITERS: Mapping[str, _VolumeWriter] = {"dicom": dicom_write, "nifti": nifti_write}
"""{`OutputFormat.format`: module that writes volumes}. PNG has no third axis."""

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
"""Bytes of a NIfTI-1 or Analyze header. Its first field holds this number."""
_NIFTI2_BYTES = 540
_BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_NIFTI_NAMES = (".nii.gz", ".nii")
_MEDICAL_NAMES = frozenset({".dcm", ".dicom"})


def _detect_format(path: Path) -> str:
    """Detect the format of a file.

    It is "dicom", "nifti", "png", "jpeg", "tiff", "npz", "archive", "empty" or "other".
    """
    with give_verdicts(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ScanError("is not a regular file", verdict="skip:special-file")
        with path.open("rb", buffering=0) as stream:
            head = stream.read(4096)
    by_name = path.name.lower().endswith(_NIFTI_NAMES) and (
        head.startswith(GZIP) or _claimed_header_size(head)
    )
    return "nifti" if by_name else _detect_from_head(head)


def _detect_from_head(head: bytes) -> str:
    """The format of a file by its first bytes."""
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
    """Whether a NIfTI-1, NIfTI-2 or Analyze header begins here.

    Its own size in either byte order, or the magic, gives it away.
    """
    if head[344:348] in {b"n+1\0", b"ni1\0"} or head[4:8] in {b"n+2\0", b"ni2\0"}:
        return True
    return len(head) >= _NIFTI1_BYTES == _claimed_header_size(head)


def _claimed_header_size(head: bytes) -> int:
    """Size of a NIfTI or Analyze header by its first field, in either byte order.

    0 for any other file.
    """
    claims = {int.from_bytes(head[:4], order) for order in _BYTE_ORDERS}
    return next((size for size in (_NIFTI1_BYTES, _NIFTI2_BYTES) if size in claims), 0)


def _is_freesurfer(head: bytes) -> bool:
    """Whether a FreeSurfer volume (.mgh, .mgz) begins here.

    The NIfTI reader refuses it by name. It has big-endian words: version 1, four sizes, and a number type (0,
    1, 3 or 4).
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
    """The kind of a packed file: "npz" for NumPy arrays in a zip, "archive", or ""."""
    if head.startswith(b"PK\x03\x04"):
        length = int.from_bytes(head[26:28], "little")
        return "npz" if head[30 : 30 + length].endswith(b".npy") else "archive"
    return "archive" if head.startswith(_ARCHIVES) or head[257:262] == b"ustar" else ""


def _find_reader(path: Path) -> tuple[str, _Reader]:
    """The format of a file and its reader.

    Raises:
        ScanError: no reader takes the file.
    """
    kind = _detect_format(path)
    if kind == "empty":
        raise ScanError(
            f"{path.name}: is empty", verdict="error:empty-file", hint="Copy it again from its source."
        )
    if kind in {"archive", "other"} and nifti.is_voxel_file(path):
        raise ScanError(
            f"{path.name}: is read together with the .hdr file beside it", verdict="skip:pair-member"
        )
    if kind not in {"dicom", "archive"} and path.suffix.lower() in _MEDICAL_NAMES:
        raise ScanError(
            f"{path.name}: is named like DICOM but is not ({kind})",
            verdict="skip:not-dicom",
            hint="Give it the right ending if it should be read.",
        )
    if kind not in _READERS:
        raise foreign.no_reader_error(path, kind)
    return kind, _READERS[kind]


def read_header(path: Path, *, label_tag: str = "") -> Header:
    """What a file says, without decoding its pixels.

    `label_tag` names a DICOM attribute to take the label from.
    """
    with give_verdicts(path):
        kind, reader = _find_reader(path)
        if kind == "dicom":
            return dicom_read.read_header(path, label_tag=label_tag)
        return reader.read_header(path)


def read(path: Path, kind: int = 0) -> Scan:
    """Read all pixels of a file in a meaningful unit.

    `kind` selects a series of frames in a DICOM file that holds several (`Header.kinds`).
    """
    with give_verdicts(path):
        name, reader = _find_reader(path)
        return dicom_read.read(path, kind) if name == "dicom" else reader.read(path)


def write(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> Path:
    """Write one image (H, W) or (H, W, 3) and return its file.

    A gray image is written in as many equal channels as the format has.

    Args:
        path: The file without its ending.
        pixels: The image in [0, 1].
        form: Format, intensity range and all else that images share.
        mark: Where this image comes from.
    """
    writer = WRITERS[form.format]
    if pixels.ndim == len("YX") and form.channels > 1:  # a gray image of scans that are stored as RGB
        pixels = np.repeat(pixels[..., None], form.channels, axis=-1)
    file = path.with_name(path.name + writer.SUFFIX)
    writer.write(file, pixels, form, mark)
    return file


def read_output(path: Path, form: OutputFormat) -> Pixels:
    """Read an image that `write` wrote as (H, W) or (H, W, 3) in [0, 1].

    It is black where the reader refuses it as an image without content.
    """
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
    """Write a volume (Z, Y, X) in [0, 1].

    Slices follow each other along their normal (axial: from feet to head). The result is `<path>.nii.gz`, or
    a DICOM series in the folder `path`.

    Raises:
        PlanError: the format or DICOM class has no volumes, or the distance between slices is unknown.
        OutputError: the disk refuses to write.
    """
    if form.format not in _VOLUME_WRITERS:
        raise PlanError(
            f"A volume cannot be written as {form.format}",
            hint=f"Choose one of these formats: {', '.join(_VOLUME_WRITERS)}.",
        )
    return _VOLUME_WRITERS[form.format].write_volume(path, pixels, form, mark)
