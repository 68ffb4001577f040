"""Read the size of a compressed frame, and find damage in JPEG streams.

Decoders scramble a frame of other proportions silently, and GDCM ends the whole process over a damaged JPEG.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_MARKER = 0xFF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""JPEG markers SOF0 to SOF15 (three in between mean something else), and SOF55 of JPEG-LS."""
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC3})
"""Baseline, extended and lossless frames, each sequential with Huffman codes."""
_TABLES = 0xC4  # DHT: Huffman tables
_END = 0xD9  # EOI: end of image
_SCAN = 0xDA  # SOS: start of scan
_LINES = 0xDC  # DNL: number of lines
_JFIF = 0xE0  # APP0
_ADOBE = 0xEE  # APP14
_MAY_FOLLOW = _HUFFMAN_FRAMES | {_TABLES, _SCAN, _LINES, 0xDB, 0xDD, 0xFE} | frozenset(range(0xE0, 0xF0))
"""Markers that a sequential stream may hold: frame, tables, scan, number of lines, restart interval, comment,
application data."""
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker other than a restart. It ends entropy-coded data."""
_START_OF_SCAN = b"\xff\xda"
_END_OF_IMAGE = b"\xff\xd9"
_JP2 = b"\0\0\0\x0cjP  "
"""First bytes of a JP2 file: its signature box of twelve bytes."""
_BOX = 8  # bytes of the head of a box: length and type
_LENGTHS = 16
"""Longest Huffman code in bits."""


def read_stream_size(stream: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, bits) of a JPEG, JPEG-LS or JPEG 2000 stream.

    None for RLE and unknown streams.
    """
    siz = stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if siz >= 0 and len(stream) >= siz + 45:
        # ISO 15444-1 A.5.1: Xsiz, Ysiz, XOsiz, YOsiz from offset 8 of the main header;
        # Ssiz (bits - 1, with the sign on top) at offset 42.
        width, height, left, top = struct.unpack_from(">4I", stream, siz + 8)
        return height - top, width - left, (stream[siz + 42] & 0x7F) + 1
    return _frame_header(stream) if stream[:2] == b"\xff\xd8" else None


def _frame_header(stream: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, bits) of a JPEG or JPEG-LS frame header.

    ISO 10918-1 B.2.2, ISO 14495-1 C.2.2.
    """
    at = 2
    while len(stream) >= at + 9 and stream[at] == _MARKER:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            bits, rows, columns = struct.unpack_from(">BHH", stream, at + 4)
            return (rows, columns, bits) if rows else None  # 0 rows: a DNL segment gives them later
        at += 1 if marker == _MARKER else 2 + length
    return None


def has_circular_boxes(stream: bytes) -> bool:
    """Whether a box before the codestream of a JP2 file has no length of its own.

    pydicom would loop over it for ever. PS3.5 section 8.2.4 allows the bare codestream only, but files in
    JP2's boxes (ISO 15444-1 annex I) are read all the same.
    """
    at = _BOX + 4
    while stream.startswith(_JP2) and at < len(stream) and stream[at + 4 : at + _BOX] != b"jp2c":
        length = int.from_bytes(stream[at : at + 4], "big")
        if length < _BOX:  # 0 is "to the end of the file", 1 is "see the next eight bytes"
            return True
        at += length
    return False


def lacks_end_marker(stream: bytes) -> bool:
    """Whether a JPEG-LS stream lacks its end marker (ISO 14495-1 C.1.1).

    The decoder would search for it for many seconds.
    """
    return _END_OF_IMAGE not in stream[max(stream.rfind(_START_OF_SCAN), 0) :]


def find_damage(stream: bytes) -> str:
    """The first violation of ISO 10918-1 annex B in a JPEG stream, or "".

    The stream has Huffman codes. Entropy-coded data is skipped, because errors in it spoil pixels only. The
    segments of JFIF and Adobe are checked because GDCM aborts on the decoder's warnings about them.
    """
    seen = _StreamState()
    takes = dict.fromkeys(_HUFFMAN_FRAMES, seen.frame) | {
        _TABLES: seen.codes,
        _SCAN: seen.scan,
        _JFIF: _is_sound_jfif,
        _ADOBE: _is_sound_adobe,
    }
    for marker, content in _segments(stream):
        misplaced = marker not in _MAY_FOLLOW or (seen.done and marker != _LINES)
        if misplaced or (marker in takes and not takes[marker](content)):
            return f"its JPEG segment {marker:02X} is damaged or misplaced"
    return "" if seen.done else "there is no whole picture in it"


def _segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment (ISO 10918-1 B.1.1.4).

    Marker 0 stands for a missing marker.
    """
    at = 2
    while stream.startswith(b"\xff\xd8") and at < len(stream):
        while stream[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        marker, length = stream[at + 1 : at + 2], int.from_bytes(stream[at + 2 : at + 4], "big")
        fits = 2 <= length <= len(stream) - at - 2
        if stream[at] != _MARKER or not marker or (marker[0] != _END and not fits):
            yield 0, b""
            return
        if marker[0] == _END:
            return
        yield marker[0], stream[at + 4 : at + 2 + length]
        at += 2 + length
        if marker[0] == _SCAN:
            after = _AFTER_SCAN.search(stream, at)
            at = after.start() if after else len(stream)


def _is_sound_jfif(content: bytes) -> bool:
    """Whether a first application segment of JFIF is of version 1 with a known unit."""
    return not content.startswith(b"JFIF\0") or (len(content) >= 14 and content[5] == 1 and content[7] <= 2)


def _is_sound_adobe(content: bytes) -> bool:
    """Whether application segment 14 of Adobe says RGB (0) or YCbCr (1)."""
    return not content.startswith(b"Adobe") or (len(content) >= 12 and content[11] <= 1)


@dataclass(slots=True)
class _StreamState:
    """What a stream has held so far.

    Each method takes one segment and says whether it is sound.
    """

    components: bytes = b""
    """Identifiers of the components of the frame."""
    pending: set[int] = field(default_factory=set)
    """Components that no scan has held yet."""
    tables: set[int] = field(default_factory=set)
    """Class and number of the Huffman tables."""

    @property
    def done(self) -> bool:
        """Whether every component is there. Only the end may follow."""
        return bool(self.components) and not self.pending

    def frame(self, content: bytes) -> bool:
        """Check the frame header (B.2.2).

        It needs a possible depth, and one or three components with different identifiers.
        """
        depth, count, names = content[0:1], content[5:6], content[6::3]
        whole = count in {b"\1", b"\3"} and len(content) == 6 + 3 * count[0] and 2 <= depth[0] <= 16
        factors = [part for factor in content[7::3] for part in (factor >> 4, factor & 15)]
        first, self.components, self.pending = not self.components, names, set(names)
        return first and whole and len(self.pending) == len(names) and set(factors) <= {1, 2, 3, 4}

    def codes(self, content: bytes) -> bool:
        """Check Huffman tables (B.2.4.2): none may need impossible codes."""
        while content:
            kind, counts = content[0], content[1 : 1 + _LENGTHS]
            # Kraft's inequality; annex C keeps the code of all ones free.
            room = sum(count << (_LENGTHS - bits) for bits, count in enumerate(counts, 1))
            size = 1 + _LENGTHS + sum(counts)
            symbols = content[1 + _LENGTHS : size]
            if (
                kind & 0xEC
                or len(content) < size
                or room >= 1 << _LENGTHS
                or len(set(symbols)) < len(symbols)
            ):
                return False
            self.tables.add(kind)
            content = content[size:]
        return True

    def scan(self, content: bytes) -> bool:
        """Check the scan header (B.2.3).

        It needs components of the frame that are new, with tables that are known.
        """
        names, selected = content[1:-3:2], content[2:-3:2]
        whole = len(content) >= 6 and len(content) == 4 + 2 * content[0]
        sound = whole and len(set(names)) == len(names) and set(names) <= self.pending
        self.pending -= set(names)
        return sound and {table >> 4 for table in selected} <= self.tables
