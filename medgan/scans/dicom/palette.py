"""Turn palette indices into 8-bit RGB (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import ExplicitVRLittleEndian

from medgan.base.errors import ScanError
from medgan.scans.dicom.header import DicomFile
from medgan.scans.dicom.plain import PlainAttributes
from medgan.scans.intensity import Stored

_TABLES = tuple(f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue"))
"""Keywords of the three tables, without their endings."""


def refuse_missing_palette(file: DicomFile) -> None:
    """Refuse a palette image that lacks one of its three tables."""
    data = (f"{name}Data" in file.dataset or f"Segmented{name}Data" in file.dataset for name in _TABLES)
    if not all(data) or not all(f"{name}Descriptor" in file.dataset for name in _TABLES):
        raise ScanError("is a palette image without its palette", verdict="error:palette-missing")


def apply_palette(file: DicomFile, index: Stored) -> NDArray[np.uint8]:
    """Turn palette indices into 8-bit RGB. Palettes of 16 bits keep their upper byte."""
    assert not isinstance(file.dataset, PlainAttributes), "a plain file has no palette"
    tables = file.dataset if file.syntax.is_little_endian else _to_little_endian(file.dataset)
    color = apply_color_lut(index, tables)[..., :3]
    return (color >> 8 if color.dtype == np.uint16 else color).astype(np.uint8)


def _to_little_endian(dataset: Dataset) -> Dataset:
    """The palette of a big-endian file with its words in little-endian order.

    pydicom takes them for little-endian. Entries of 8 bits come in pairs in such words, so they change places
    too (PS3.5 annex A.3).
    """
    turned = Dataset()
    turned.file_meta = FileMetaDataset()
    turned.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name in _TABLES:
        turned[f"{name}Descriptor"] = dataset[f"{name}Descriptor"]
        for keyword in (f"{name}Data", f"Segmented{name}Data"):
            if keyword in dataset:
                element = dataset[keyword]
                setattr(turned, keyword, swap_bytes(element.value) if element.VR == "OW" else element.value)
    return turned


def swap_bytes(words: bytes) -> bytes:
    """Swap the bytes of 16-bit words. An odd last byte stays."""
    whole = len(words) // 2 * 2
    return np.frombuffer(words[:whole], np.uint16).byteswap().tobytes() + words[whole:]
