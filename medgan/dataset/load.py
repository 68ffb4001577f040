"""Record -> Scan: the pixels of one record, whichever files hold them."""

from __future__ import annotations

from pathlib import Path

from medgan.dataset.manifest import ARRAY, Record
from medgan.scans import formats, npz
from medgan.scans.dicom import read as dicom_read
from medgan.scans.scan import Scan


def load(root: Path, record: Record) -> Scan:
    """Read the scan of `record`; a file that has changed or gone since it was indexed raises ScanError."""
    if record.format == ARRAY:
        return npz.read(*array_place(root, record.path))
    return read_files(tuple(root / part for part in record.parts or (record.path,)), record.kind)


def read_files(paths: tuple[Path, ...], kind: int = 0) -> Scan:
    """Read one file (of several kinds of frames, the given one), or the files of a series in slice order."""
    return formats.read(paths[0], kind) if len(paths) == 1 else dicom_read.read_series(paths)


def array_place(root: Path, path: str) -> tuple[Path, str, int]:
    """("file.npz", "train", 12) of a record path such as "file.npz#train/12"."""
    name, _, row = path.rpartition("#")
    split, _, index = row.partition("/")
    return root / name, split, int(index)
