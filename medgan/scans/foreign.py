"""Name the format of a file that medgan does not read, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

from medgan.base.errors import ScanError

_TO_NIFTI = "Convert it to NIfTI."
_TO_PNG = "Convert it to PNG or TIFF."
_TO_FRAMES = "Save its frames as PNG."
_FORMATS_BY_HEAD: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name, hint)
    for pattern, name, hint in (
        (rb"NRRD000\d", "NRRD", _TO_NIFTI),
        (rb"(Comment\s*=[^\n]*\n)?(ObjectType|NDims)\s*=", "MetaImage", _TO_NIFTI),
        (rb"mrtrix image", "MRtrix", _TO_NIFTI),
        (rb"CDF[\1\2]", "NetCDF or MINC", _TO_NIFTI),
        (rb"\x89HDF\r\n\x1a\n", "HDF5 or MINC", "Save its images as NIfTI or PNG."),
        (rb"MATLAB [57]\.\d MAT-file", "MATLAB", "Save its images as NIfTI or PNG."),
        (
            rb"\x93NUMPY",
            "NumPy",
            "Save its images as NIfTI or PNG, or all of them as .npz in the MedMNIST layout.",
        ),
        (rb"# vtk DataFile|<VTKFile|<\?xml[^>]*>\s*<VTKFile", "VTK", _TO_NIFTI),
        (rb"SIMPLE  =", "FITS", _TO_PNG),
        (rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}", "BMP", _TO_PNG),
        (rb"GIF8[79]a", "GIF", _TO_PNG),
        (rb"RIFF.{4}WEBP", "WebP", _TO_PNG),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000", _TO_PNG),
        (rb"\0\0\0\x0cJXL ", "JPEG XL", _TO_PNG),
        (rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+\d+\s|P7\nWIDTH", "Netpbm", _TO_PNG),
        (rb".{4}ftyp(heic|heix|heif|mif1|avif)", "HEIF", _TO_PNG),
        (rb"RIFF.{4}AVI |.{4}ftyp|\x1a\x45\xdf\xa3", "film", _TO_FRAMES),
    )
)
"""(how a file begins, name of the format, what to do)."""
_FORMATS_BY_ENDING = {
    ".par": "Philips PAR/REC",
    ".rec": "Philips PAR/REC",
    ".brik": "AFNI",
    ".head": "AFNI",
    ".mnc": "MINC",
    ".gipl": "GIPL",
}
"""{ending: format} of formats without recognisable first bytes."""
_SPLIT_HEADERS = (".mhd", ".nhdr")
"""Endings of the header of a MetaImage or NRRD in two files."""
_SPLIT_VOXELS = (".raw.gz", ".zraw", ".raw")
"""Endings of its voxels."""
_TEXT_ENDINGS = frozenset(
    {
        ".csv", ".tsv", ".txt", ".md", ".rst", ".json", ".xml", ".yaml", ".yml", ".toml", ".html", ".htm",
        ".log", ".pdf", ".rtf", ".bib", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".odt", ".bval", ".bvec",
        ".py", ".ipynb", ".r", ".sh", ".sha256", ".md5", ".cff",
    }
)  # fmt: skip
_TEXT_NAMES = frozenset(
    {
        "readme",
        "license",
        "licence",
        "changes",
        "authors",
        "citation",
        "notice",
        "makefile",
        "sha256sums",
        "md5sums",
    }
)


def no_reader_error(path: Path, kind: str) -> ScanError:
    """The error for a regular file that medgan does not read.

    `kind` is "npz", "archive" or "other".
    """
    unread, hint = _name_format(path, kind)
    if unread:
        words, verdict = f"{unread}, a format that medgan does not read", "skip:unread-format"
    elif path.suffix.lower() in _TEXT_ENDINGS or path.name.lower() in _TEXT_NAMES:
        words, verdict = "is a table or text beside the scans", "skip:document"
    elif kind == "archive":
        words, verdict, hint = "is a packed archive", "skip:archive", "Unpack it, then point at the folder."
    else:
        words, verdict = "is not a medical image", "skip:not-medical"
    return ScanError(f"{path.name}: {words}", verdict=verdict, hint=hint)


def _name_format(path: Path, kind: str) -> tuple[str, str]:
    """("is MetaImage", what to do), or two empty strings if no format is recognised."""
    if kind == "npz":
        return "holds NumPy arrays", "If they are in the MedMNIST layout, point at the file itself."
    header = _header_beside(path)
    if header:
        return f"holds the voxels of {header.name}", _TO_NIFTI
    with path.open("rb", buffering=0) as stream:
        head = stream.read(512)
    by_name = _FORMATS_BY_ENDING.get(path.suffix.lower(), "")
    recognised = ((f"is {name}", hint) for begin, name, hint in _FORMATS_BY_HEAD if begin.match(head))
    return next(recognised, (f"is {by_name}", _TO_NIFTI) if by_name else ("", ""))


def _header_beside(path: Path) -> Path | None:
    """The header file whose voxels `path` holds, judged by its name."""
    ending = next((end for end in _SPLIT_VOXELS if path.name.lower().endswith(end)), "")
    if not ending:
        return None
    headers = (path.with_name(path.name[: -len(ending)] + end) for end in _SPLIT_HEADERS)
    return next((header for header in headers if header.is_file()), None)
