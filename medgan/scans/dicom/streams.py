"""A compressed frame in, the size it says it has out; and what breaks the grammar of a JPEG stream.

Decoders scramble a frame of other proportions without a word, and GDCM ends the whole process over a damaged JPEG.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_MARKER = 0xFF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""JPEG markers SOF0 to SOF15 (three in between mean other things), and SOF55 of JPEG-LS."""
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC3})
"""Baseline, extended and lossless, each sequential with Huffman codes."""
_TABLES, _END, _SCAN, _LINES = 0xC4, 0xD9, 0xDA, 0xDC
_JFIF, _ADOBE = 0xE0, 0xEE
_MAY_FOLLOW = _HUFFMAN_FRAMES | {_TABLES, _SCAN, _LINES, 0xDB, 0xDD, 0xFE} | frozenset(range(0xE0, 0xF0))
"""Markers a sequential stream may hold: frame, tables, scan, number of lines, restart interval, comment, application."""
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker other than a restart: it ends entropy-coded data."""
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_JP2 = b"\0\0\0\x0cjP  "
"""How a JP2 file begins: with its signature box of twelve bytes."""
_BOX = 8  # bytes of the head of a box: length and type
_LENGTHS = 16
"""Lengths that a Huffman code may have."""


def read_stream_size(stream: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, bits) that a JPEG, JPEG-LS or JPEG 2000 stream says of itself; None for RLE and the unknown."""
    siz = stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if siz >= 0 and len(stream) >= siz + 45:
        # ISO 15444-1 A.5.1: Xsiz, Ysiz, XOsiz, YOsiz from offset 8 of the main header; Ssiz (bits - 1, sign on top) at 42.
        width, height, left, top = struct.unpack_from(">4I", stream, siz + 8)
        return height - top, width - left, (stream[siz + 42] & 0x7F) + 1
    return _frame_header(stream) if stream[:2] == b"\xff\xd8" else None


def _frame_header(stream: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, bits) of a JPEG or JPEG-LS frame header (ISO 10918-1 B.2.2, ISO 14495-1 C.2.2)."""
    at = 2
    while len(stream) >= at + 9 and stream[at] == _MARKER:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            bits, rows, columns = struct.unpack_from(">BHH", stream, at + 4)
            return (rows, columns, bits) if rows else None  # 0 rows: told later, by a DNL segment
        at += 1 if marker == _MARKER else 2 + length
    return None


def has_circular_boxes(stream: bytes) -> bool:
    """Whether a box before the codestream of a JP2 file has no length of its own, over which pydicom would turn in circles.

    PS3.5 section 8.2.4 allows the bare codestream only; files in JP2's boxes (ISO 15444-1 annex I) are read all the same.
    """
    at = _BOX + 4
    while stream.startswith(_JP2) and at < len(stream) and stream[at + 4 : at + _BOX] != b"jp2c":
        length = int.from_bytes(stream[at : at + 4], "big")
        if length < _BOX:  # 0 is "to the end of the file", 1 is "see the next eight bytes"
            return True
        at += length
    return False


def lacks_end_marker(stream: bytes) -> bool:
    """Whether a JPEG-LS stream lacks its end marker (ISO 14495-1 C.1.1), which keeps the decoder looking for many seconds."""
    return _END_OF_IMAGE not in stream[max(stream.rfind(_START_OF_SCAN), 0) :]


def find_damage(stream: bytes) -> str:
    """The first thing in a Huffman-coded JPEG stream that breaks the grammar of ISO 10918-1 annex B; "" for none.

    Entropy-coded data are passed over: what is wrong in there spoils pixels only. JFIF's and Adobe's segments are looked
    into because GDCM takes the decoder's warnings about them for a reason to abort.
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
    """Marker and content of each segment (ISO 10918-1 B.1.1.4); marker 0 where there should be one and is none."""
    at = 2
    while stream.startswith(b"\xff\xd8") and at < len(stream):
        while stream[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        marker, length = stream[at + 1 : at + 2], int.from_bytes(stream[at + 2 : at + 4], "big")
        if (
            stream[at] != _MARKER
            or not marker
            or (marker[0] != _END and not 2 <= length <= len(stream) - at - 2)
        ):
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
    """Whether the first application segment, if it is JFIF's, is of version 1 with a unit that there is."""
    return not content.startswith(b"JFIF\0") or (len(content) >= 14 and content[5] == 1 and content[7] <= 2)


def _is_sound_adobe(content: bytes) -> bool:
    """Whether application segment 14, if it is Adobe's, says RGB (0) or YCbCr (1)."""
    return not content.startswith(b"Adobe") or (len(content) >= 12 and content[11] <= 1)


@dataclass(slots=True)
class _StreamState:
    """What a stream has brought so far; each method takes one segment and says whether it is sound."""

    components: bytes = b""
    """Names of the components of the frame."""
    pending: set[int] = field(default_factory=set)
    """Those that no scan has brought yet."""
    tables: set[int] = field(default_factory=set)
    """Class and number of the Huffman tables."""

    @property
    def done(self) -> bool:
        """Whether every component is there; only the end may follow."""
        return bool(self.components) and not self.pending

    def frame(self, content: bytes) -> bool:
        """The frame header: a depth there is, one or three components with names of their own (B.2.2)."""
        depth, count, names = content[0:1], content[5:6], content[6::3]
        whole = count in {b"\1", b"\3"} and len(content) == 6 + 3 * count[0] and 2 <= depth[0] <= 16
        factors = [part for factor in content[7::3] for part in (factor >> 4, factor & 15)]
        first, self.components, self.pending = not self.components, names, set(names)
        return first and whole and len(self.pending) == len(names) and set(factors) <= {1, 2, 3, 4}

    def codes(self, content: bytes) -> bool:
        """Huffman tables (B.2.4.2), none of which asks for codes that there are not."""
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
        """The scan header: components of the frame not seen before, with tables that were (B.2.3)."""
        names, selected = content[1:-3:2], content[2:-3:2]
        whole = len(content) >= 6 and len(content) == 4 + 2 * content[0]
        sound = whole and len(set(names)) == len(names) and set(names) <= self.pending
        self.pending -= set(names)
        return sound and {table >> 4 for table in selected} <= self.tables
