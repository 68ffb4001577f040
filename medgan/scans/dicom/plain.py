"""Parse plain DICOM files, much faster than a full parser.

Most files are plain: Explicit VR Little Endian up to the pixels, compressed or not, with every attribute that
an image needs at the top level and well-formed. For any other file the parser gives up and returns None, and
the full parser takes over. The two never disagree, because this one answers only where nothing is left to
interpret.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

from medgan.base.errors import ScanError

PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
"""The length of an element that ends with a delimiter (PS3.5 section 7.5)."""

_WANTED = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SyntheticData", "ImageType", "Modality"),
    *("PatientID", "IssuerOfPatientID", "BodyPartExamined", "BurnedInAnnotation", "InstanceNumber"),
    *("AcquisitionNumber", "EchoNumbers", "TemporalPositionIdentifier", "TriggerTime", "SliceThickness"),
    "SpacingBetweenSlices",
    *(
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PatientOrientation",
        "PixelSpacing",
        "ImagerPixelSpacing",
    ),
    *("NominalScannedPixelSpacing", "PixelAspectRatio", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept"),
    *("RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "VOILUTFunction"),
)
"""All attributes that reading needs, in a file without sequences of interest or a palette."""
SCANNER_ATTRIBUTES = (
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "StationName",
    "DeviceSerialNumber",
)
"""Attributes that say what took a picture, and where. Their text is never read, so any character set will do.
"""
_ELSEWHERE = (
    *("DirectoryRecordSequence", "ModalityLUTSequence", "VOILUTSequence", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "RedPaletteColorLookupTableDescriptor", "ExtendedOffsetTable"),
    *("FloatPixelData", "DoubleFloatPixelData"),
)
"""Attributes of files that are not plain."""


def _vr_numbers(words: bytes) -> frozenset[int]:
    """Value representations as the numbers that their letters form in a file.

    Numbers are quicker to look up than bytes.
    """
    return frozenset(int.from_bytes(word, "little") for word in words.split())


_SHORT = _vr_numbers(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US")
"""Value representations with a length of two bytes (PS3.5 section 7.1.2)."""
_LONG = _vr_numbers(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV")
"""Value representations with two reserved bytes and a length of four."""
_SEQUENCE = int.from_bytes(b"SQ", "little")
_BINARY = {
    vr: struct.Struct(form)
    for vr, form in ((b"US", "<H"), (b"SS", "<h"), (b"UL", "<I"), (b"SL", "<i"), (b"FL", "<f"), (b"FD", "<d"))
}
_TEXT = rb"[\x20-\x7e]*"
"""ASCII on one line, whose meaning no character set or escape sequence can change."""
_DECIMALS = rb" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})? *"
_INTEGERS = rb" *[+-]?\d{1,9} *"
_GRAMMAR = {
    vr: re.compile(rb"%b(?:\\%b)*" % (form, form)).fullmatch
    for vr, form in ((b"DS", _DECIMALS), (b"IS", _INTEGERS), *((vr, _TEXT) for vr in b"CS LO SH UI".split()))
}
"""{value representation: pattern of its valid values}."""
SIMPLE_VRS = frozenset(vr.decode() for vr in (*_BINARY, *_GRAMMAR))
"""Value representations that `_convert_value` understands."""
_ITEM, _ITEM_END, _SEQUENCE_END = (
    0xE000FFFE,
    0xE00DFFFE,
    0xE0DDFFFE,
)  # group first, as one little-endian number
_MAX_DEPTH = 16
"""Deepest nesting of sequences that is followed. No honest file has more."""

_element = struct.Struct("<IHH").unpack_from
_length = struct.Struct("<I").unpack_from
_item = struct.Struct("<II").unpack_from


class FileMeta(NamedTuple):
    """What the file meta group says."""

    sop_class: str
    """Media Storage SOP Class UID."""
    syntax: bytes
    """Transfer Syntax UID."""
    end: int
    """Offset of the first byte after the group."""


class PlainAttributes(dict[str, Any]):
    """Attributes by keyword: None, str, int, float, or a tuple of these.

    Numbers in text (DS, IS) stay text.
    """


def _tag_entry(keyword: str) -> tuple[int, tuple[str, frozenset[int]]]:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return _swap_tag(int(tag)), (keyword, _vr_numbers(dictionary_VR(tag).encode().replace(b" or ", b" ")))


def _swap_tag(tag: int) -> int:
    """The four bytes of a tag in a file, read as one little-endian number.

    The element comes first, then the group.
    """
    return (tag & 0xFFFF) << 16 | tag >> 16


_KNOWN_TAGS = dict(map(_tag_entry, (*_WANTED, *SCANNER_ATTRIBUTES))) | {
    _tag_entry(keyword)[0]: (keyword, frozenset()) for keyword in _ELSEWHERE
}
"""{swapped tag: (keyword, value representations that a plain file may use for it)}."""
_PIXEL_DATA_TAG = _swap_tag(PIXEL_DATA)
_META_TAGS = tuple(map(_swap_tag, (0x00020002, 0x00020010)))
"""Media Storage SOP Class UID and Transfer Syntax UID, as swapped tags."""


def read_meta(data: bytes) -> FileMeta:
    """Read the file meta group, as far as it can be followed.

    It is always in Explicit VR Little Endian (PS3.10 section 7.1).

    Raises:
        ScanError: there is a sequence in it. None is allowed there, and pydicom would print it, level by
            level, for minutes.
    """
    found: dict[int, bytes] = {}
    at = 132 if data[128:132] == b"DICM" else 0
    while len(data) >= at + 12:
        tag, vr, length = _element(data, at)
        if tag & 0xFFFF != 2:
            break
        start = at + 8
        if vr in _LONG:
            (length,), start = _length(data, start), at + 12
        if vr == _SEQUENCE or length == UNDEFINED:
            raise ScanError("has a sequence in its file meta group", verdict="error:malformed")
        at = start + length
        if tag in _META_TAGS:
            found[tag] = data[start:at].strip(b" \0")
    sop_class, syntax = (found.get(tag, b"") for tag in _META_TAGS)
    return FileMeta(sop_class.decode("ascii", "replace"), syntax, at)


def parse_attributes(data: bytes, at: int) -> tuple[PlainAttributes, int] | None:
    """Parse the attributes from offset `at` up to Pixel Data.

    The result holds the offset of that element too. None for a file that is not plain.
    """
    found = PlainAttributes()
    try:
        while True:
            tag, vr, length = _element(data, at)
            # Skip what nobody needs; stop at the pixels.
            if tag not in _KNOWN_TAGS and vr in _SHORT:  # nearly all
                at += 8 + length
                continue
            if tag == _PIXEL_DATA_TAG:
                return (found, at) if len(data) >= at + 12 else None
            # Convert what is needed; anything unexpected ends the attempt.
            start, behind = _value_extent(data, at, vr, length)
            if tag in _KNOWN_TAGS:
                keyword, allowed = _KNOWN_TAGS[tag]
                if keyword in found or vr not in allowed or behind > len(data):
                    return None
                raw = data[start:behind]
                found[keyword] = (
                    strip_padding(raw)
                    if keyword in SCANNER_ATTRIBUTES
                    else convert_cached(data[at + 4 : at + 6], raw)
                )
            at = behind
    except (ValueError, struct.error):  # a value that leaves doubt, or the end of the data
        return None


def _value_extent(data: bytes, at: int, vr: int, length: int) -> tuple[int, int]:
    """Where the value of the element at offset `at` begins and ends.

    Raises:
        ValueError: the value representation does not exist.
    """
    if vr in _SHORT:
        return at + 8, at + 8 + length
    if vr not in _LONG:
        raise ValueError("no value representation")
    (length,), start = _length(data, at + 8), at + 12
    return start, start + length if length != UNDEFINED else _end_of_sequence(data, start, vr)


def _convert_value(vr: bytes, raw: bytes) -> Any:
    """Convert the value of one element, None where it is empty.

    Raises:
        ValueError: its bytes leave any doubt. struct.error: likewise.
    """
    if vr in _BINARY:
        values: tuple[Any, ...] = tuple(number for (number,) in _BINARY[vr].iter_unpack(raw))
    else:
        raw = raw.rstrip(b" \0")
        if raw and (vr not in _GRAMMAR or not _GRAMMAR[vr](raw)):
            raise ValueError("not plain text")
        values = tuple(word.strip(" ") for word in raw.decode("ascii").split("\\")) if raw else ()
    return values[0] if len(values) == 1 else values or None


def strip_padding(raw: bytes) -> str | None:
    """The bytes of a text as characters of one byte each, None where it is empty.

    The character set does not matter.
    """
    return raw.strip(b" \0").decode("latin-1") or None


convert_cached = lru_cache(1024)(_convert_value)
"""`_convert_value` with a cache: most values of a scan are those of the scan before."""


def _end_of_sequence(data: bytes, at: int, vr: int, depth: int = 0) -> int:
    """The offset behind a sequence of undefined length whose items begin at `at`.

    It is beyond the end of `data` where the sequence cannot be followed.
    """
    beyond = len(data) + 1
    if vr != _SEQUENCE or depth > _MAX_DEPTH:
        return beyond
    while at + 8 <= len(data):
        tag, length = _item(data, at)
        at += 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            return beyond
        at = at + length if length != UNDEFINED else _end_of_item(data, at, depth)
    return beyond


def _end_of_item(data: bytes, at: int, depth: int) -> int:
    """The offset behind an item of undefined length whose elements begin at `at`.

    It is beyond the end of `data` where the item cannot be followed.
    """
    while at + 12 <= len(data):
        if _item(data, at)[0] == _ITEM_END:
            return at + 8
        _, vr, length = _element(data, at)
        at += 8
        if vr in _LONG:
            (length,), at = _length(data, at), at + 4
        elif vr not in _SHORT:
            break
        at = at + length if length != UNDEFINED else _end_of_sequence(data, at, vr, depth + 1)
    return len(data) + 1
