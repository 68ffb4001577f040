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


def refuse_missing_palette(source: DicomFile) -> None:
    """Refuse a palette image that lacks one of its three tables."""
    data = (f"{name}Data" in source.dataset or f"Segmented{name}Data" in source.dataset for name in _TABLES)
    if not all(data) or not all(f"{name}Descriptor" in source.dataset for name in _TABLES):
        raise ScanError("is a palette image without its palette", verdict="error:palette-missing")


def apply_palette(source: DicomFile, index: Stored) -> NDArray[np.uint8]:
    """Palette indices to 8-bit RGB; 16-bit palettes keep their upper byte."""
    assert not isinstance(source.dataset, PlainAttributes), "a plain file has no palette"
    tables = source.dataset if source.syntax.is_little_endian else _to_little_endian(source.dataset)
    color = apply_color_lut(index, tables)[..., :3]
    return (color >> 8 if color.dtype == np.uint16 else color).astype(np.uint8)


def _to_little_endian(dataset: Dataset) -> Dataset:
    """The palette of a big-endian file with the words of its tables turned round, which pydicom takes as little-endian.

    Entries of 8 bits stand in pairs in such words, so they change places, too (PS3.5 annex A.3).
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
    """16-bit words with their bytes turned round; an odd last byte, which no word has, stays."""
    whole = len(words) // 2 * 2
    return np.frombuffer(words[:whole], np.uint16).byteswap().tobytes() + words[whole:]
