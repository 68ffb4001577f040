"""Encode DICOM files, all that images share once and the rest per image.

The files are Part 10 files in Explicit VR Little Endian (PS3.5 7.1.2), byte for byte as pydicom would write
them.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

_PREAMBLE = b"\0" * 128 + b"DICM"
_GROUP_LENGTH = 0x00020000
"""File Meta Information Group Length: bytes of the group behind this element (PS3.10 7.1)."""
_LONG_VRS = frozenset({"OB", "OW"})
"""Value representations whose length takes four bytes, among those that may vary from image to image."""


def _encode_element(tag: int, vr: str, value: bytes) -> bytes:
    """Encode one data element, padding its value to an even length.

    PS3.5 6.2: text is padded with a space, UIDs and bytes with a zero.
    """
    padding = (b"\0" if vr == "UI" or vr in _LONG_VRS else b" ") * (len(value) % 2)
    layout = "<HH2s2xI" if vr in _LONG_VRS else "<HH2sH"
    head = struct.pack(layout, tag >> 16, tag & 0xFFFF, vr.encode(), len(value) + len(padding))
    return b"".join((head, value, padding))


def encode_file(meta: bytes, dataset: bytes) -> bytes:
    """Join an encoded meta group and an encoded data set to a file (PS3.10 7.1).

    The length of the group is added here.
    """
    length = _encode_element(_GROUP_LENGTH, "UL", struct.pack("<I", len(meta)))
    return b"".join((_PREAMBLE, length, meta, dataset))


@dataclass(frozen=True, slots=True)
class _Gap:
    """A place in a data set where each image has its own value."""

    tag: int
    vr: str


@dataclass(frozen=True, slots=True)
class Template:
    """An encoded data set with gaps, in the order of the file."""

    parts: tuple[bytes | _Gap, ...]

    @classmethod
    def of(cls, dataset: Dataset, gaps: Collection[int]) -> Template:
        """Encode all attributes except those whose tags are in `gaps`.

        Text is UTF-8 (ISO_IR 192).
        """
        parts: list[bytes | _Gap] = []
        run = Dataset()
        for one in dataset:
            if one.tag in gaps:
                parts += [_encode(run), _Gap(int(one.tag), one.VR)]
                run = Dataset()
            else:
                run.add(one)
        parts.append(_encode(run))
        return cls(tuple(parts))

    def fill(self, values: Mapping[int, bytes]) -> bytes:
        """Fill the gaps with {tag: value} and return the encoded data set."""
        return b"".join(
            _encode_element(part.tag, part.vr, values[part.tag]) if isinstance(part, _Gap) else part
            for part in self.parts
        )


def _encode(dataset: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset, "utf8")
    return stream.getvalue()
