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
from medgan.scans.dicom.header import looks_right
from medgan.scans.provenance import stored_range
from medgan.scans.scan import Form, Header, Mark, Pixels, Scan
from medgan.scans.verdict import give_verdicts


class Reader(Protocol):
    """A module that reads one format."""

    def read_header(self, path: Path) -> Header:
        """What the file says, pixels not decoded."""

    def read(self, path: Path) -> Scan:
        """The pixels with meaning."""


class Writer(Protocol):
    """A module that writes one format."""

    @property
    def SUFFIX(self) -> str:  # noqa: N802  (a constant of the module)
        """The ending of its files, with the dot."""

    def write(self, path: Path, pixels: Pixels, form: Form, mark: Mark) -> None:
        """Write pixels in [0, 1] to `path`."""


class VolumeWriter(Protocol):
    """A module that writes whole volumes of one format."""

    def write_volume(self, path: Path, pixels: Pixels, form: Form, mark: Mark) -> tuple[Path, ...]:
        """Write pixels (Z, Y, X) in [0, 1] to files named after `path`."""


READERS: Mapping[str, Reader] = {
    "dicom": dicom_read,
    "nifti": nifti,
    "png": raster,
    "jpeg": raster,
    "tiff": raster,
}
"""By what `sniff` says."""

WRITERS: Mapping[str, Writer] = {"dicom": dicom_write, "nifti": nifti_write, "png": raster}
"""By `Form.format`."""

VOLUME_WRITERS: Mapping[str, VolumeWriter] = {"dicom": dicom_write, "nifti": nifti_write}
"""By `Form.format`; a PNG has no third axis."""

ARCHIVES = (GZIP, b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"BZh", b"\xfd7zXZ\0")
NIFTI1 = 348
"""Bytes of a NIfTI-1 or Analyze header; its first field says so."""
NIFTI2 = 540
ENDS: tuple[Literal["little", "big"], ...] = ("little", "big")
NIFTI_NAMES = (".nii.gz", ".nii")
MEDICAL_NAMES = frozenset({".dcm", ".dicom"})


def sniff(path: Path) -> str:
    """What a file is: "dicom", "nifti", "png", "jpeg", "tiff", "npz", "archive", "empty" or "other"."""
    with give_verdicts(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ScanError("is no regular file", verdict="skip:special-file")
        with path.open("rb", buffering=0) as stream:
            head = stream.read(4096)
    by_name = path.name.lower().endswith(NIFTI_NAMES) and (head.startswith(GZIP) or claimed_size(head))
    return "nifti" if by_name else kind_of(head)


def kind_of(head: bytes) -> str:
    """What a file that begins so is."""
    if not head:
        return "empty"
    # First DICOM: its preamble may hold another format's beginning (PS3.10 section 7.1 names TIFF).
    if head[128:132] == b"DICM":
        return "dicom"
    inner = gunzip_head(head) if head.startswith(GZIP) else head
    if inner[128:132] != b"DICM" and (is_nifti(inner) or is_freesurfer(inner)):
        return "nifti"
    return raster.kind_of(head) or archive(head) or ("dicom" if looks_right(head) else "other")


def is_nifti(head: bytes) -> bool:
    """Whether a NIfTI-1, NIfTI-2 or Analyze header begins here: its own size in either byte order, or the magic."""
    if head[344:348] in {b"n+1\0", b"ni1\0"} or head[4:8] in {b"n+2\0", b"ni2\0"}:
        return True
    return len(head) >= NIFTI1 == claimed_size(head)


def claimed_size(head: bytes) -> int:
    """The size of a NIfTI or Analyze header that its own first field claims, in either byte order; 0 for what is none."""
    claims = {int.from_bytes(head[:4], order) for order in ENDS}
    return next((size for size in (NIFTI1, NIFTI2) if size in claims), 0)


def is_freesurfer(head: bytes) -> bool:
    """Whether a FreeSurfer volume (.mgh, .mgz) begins here, which the NIfTI reader refuses by its name.

    Big-endian words: version 1, four sizes, and a type of number (0, 1, 3 or 4).
    """
    words = [int.from_bytes(head[at : at + 4], "big") for at in range(0, 24, 4)]
    return (
        len(head) >= 284 and words[0] == 1 and all(0 < size < 1 << 16 for size in words[1:5]) and words[5] < 5
    )


def gunzip_head(head: bytes) -> bytes:
    """The first bytes inside a gzip file."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 1024)
    except zlib.error:
        return b""


def archive(head: bytes) -> str:
    """Tell packed files: "npz" for NumPy arrays in a zip, "archive" for others, "" for what is none."""
    if head.startswith(b"PK\x03\x04"):
        length = int.from_bytes(head[26:28], "little")
        return "npz" if head[30 : 30 + length].endswith(b".npy") else "archive"
    return "archive" if head.startswith(ARCHIVES) or head[257:262] == b"ustar" else ""


def reader_for(path: Path) -> tuple[str, Reader]:
    """The format and its reader, or the refusal of what has none."""
    kind = sniff(path)
    if kind == "empty":
        raise ScanError(
            f"{path.name}: is empty", verdict="error:empty-file", hint="Copy it again from its source."
        )
    if kind in {"archive", "other"} and nifti.is_half(path):
        raise ScanError(f"{path.name}: is read through the .hdr beside it", verdict="skip:pair-member")
    if kind not in {"dicom", "archive"} and path.suffix.lower() in MEDICAL_NAMES:
        raise ScanError(
            f"{path.name}: is named like DICOM but is not ({kind})",
            verdict="skip:not-dicom",
            hint="Give it its right name if it is meant to be read.",
        )
    if kind not in READERS:
        raise foreign.refusal(path, kind)
    return kind, READERS[kind]


def read_header(path: Path, *, label_tag: str = "") -> Header:
    """What a file says, its pixels not decoded; `label_tag` names a DICOM attribute to take the label from."""
    with give_verdicts(path):
        kind, reader = reader_for(path)
        if kind == "dicom":
            return dicom_read.read_header(path, label_tag=label_tag)
        return reader.read_header(path)


def read(path: Path, kind: int = 0) -> Scan:
    """All pixels of a file with meaning; of a DICOM file with several kinds of frames (`Header.kinds`) those of the given one."""
    with give_verdicts(path):
        name, reader = reader_for(path)
        return dicom_read.read(path, kind) if name == "dicom" else reader.read(path)


def write(path: Path, pixels: Pixels, form: Form, mark: Mark) -> Path:
    """Write one image (H, W) or (H, W, 3) in its form, gray in as many equal channels as that has; `path` has no suffix, the file that is returned has."""
    writer = WRITERS[form.format]
    if pixels.ndim == len("YX") and form.channels > 1:  # gray, where the scans are stored as RGB
        pixels = np.repeat(pixels[..., None], form.channels, axis=-1)
    file = path.with_name(path.name + writer.SUFFIX)
    writer.write(file, pixels, form, mark)
    return file


def read_output(path: Path, form: Form) -> Pixels:
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
        low, high = raster.stored_ends(form) if form.format == "png" else stored_range(form)
    return np.asarray(((scan.pixels[0] - low) / (high - low)).clip(0, 1), np.float32)


def write_volume(path: Path, pixels: Pixels, form: Form, mark: Mark) -> tuple[Path, ...]:
    """Write a volume (Z, Y, X) in [0, 1], slices along their normal (axial: from feet to head): `<path>.nii.gz`, or a DICOM series in the folder `path`.

    Raises:
        PlanError: the format or the form's DICOM class has no volumes, or the distance between slices is unknown.
        OutputError: the disk refuses.
    """
    if form.format not in VOLUME_WRITERS:
        raise PlanError(
            f"a volume cannot be written as {form.format}", hint=f"Formats: {', '.join(VOLUME_WRITERS)}."
        )
    return VOLUME_WRITERS[form.format].write_volume(path, pixels, form, mark)
