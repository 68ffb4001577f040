"""Read the pixels of one record, whichever files hold them."""

from __future__ import annotations

from pathlib import Path

from medgan.dataset.manifest import ARRAY, Record
from medgan.scans import formats, npz
from medgan.scans.dicom import read as dicom_read
from medgan.scans.scan import Scan


def load(root: Path, record: Record) -> Scan:
    """Read the scan of a record.

    Raises:
        ScanError: a file has changed or is gone since the data set was read.
    """
    if record.format == ARRAY:
        return npz.read(*array_place(root, record.path))
    return read_files(tuple(root / part for part in record.parts or (record.path,)), record.kind)


def read_files(paths: tuple[Path, ...], kind: int = 0) -> Scan:
    """Read one file, or the files of a series in slice order.

    `kind` selects a series of frames in a file that holds several.
    """
    return formats.read(paths[0], kind) if len(paths) == 1 else dicom_read.read_series(paths)


def array_place(root: Path, path: str) -> tuple[Path, str, int]:
    """Split a record path such as "file.npz#train/12" into (file, split, row)."""
    name, _, row = path.rpartition("#")
    split, _, index = row.partition("/")
    return root / name, split, int(index)
