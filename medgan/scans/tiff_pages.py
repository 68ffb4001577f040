"""Count the pages of a TIFF file, even if its page list runs in a circle.

A page (image file directory, IFD) gives the offset of the next one (TIFF 6.0 section 2; BigTIFF has words of
eight bytes). A file may name a page that came before, which readers of pages may not notice.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from medgan.base.errors import ScanError

_MAX_PAGES = 10_000
"""Most pages of one file. Reading more would take minutes, for the 32 images that a scan gives at most."""


class _Words(NamedTuple):
    """How classic TIFF and BigTIFF lay out a page.

    They differ in the number of tags, the bytes of a tag, and the offset of the next page.
    """

    tags: str
    tag_bytes: int
    offset: str


_CLASSIC, _BIG = _Words("H", 12, "I"), _Words("Q", 20, "Q")
_MOST_TAGS = 4096  # what tifffile takes for a page at most


def walk_pages(path: Path) -> tuple[int, bool]:
    """Count the pages of a TIFF file without reading any.

    The walk ends where there is no valid page.

    Returns:
        The number of pages, each counted once, and whether the last one names one of the others as the next.

    Raises:
        ScanError: there are more than `_MAX_PAGES` of them ("error:too-large").
    """
    with path.open("rb") as stream:
        # The file header: byte order, size of words, offset of the first page.
        head = stream.read(4)
        order = ">" if head.startswith(b"MM") else "<"
        words = _BIG if b"+" in head else _CLASSIC
        stream.seek(8 if words is _BIG else 4)  # BigTIFF first says how long its offsets are
        offset = _number(stream, order + words.offset)
        # Follow the offsets until they end or repeat.
        seen: set[int] = set()
        while offset and offset not in seen:
            following = _next_page(stream, offset, order, words)
            if following is None:
                break
            seen.add(offset)
            if len(seen) > _MAX_PAGES:
                raise ScanError(
                    f"{path.name}: holds more than {_MAX_PAGES:,} pages",
                    verdict="error:too-large",
                    hint="Split it into several files.",
                )
            offset = following
    return len(seen), offset in seen


def _next_page(stream: BinaryIO, offset: int, order: str, words: _Words) -> int | None:
    """The offset that the page at `offset` gives for the next one.

    0 for the last page, None if there is no page.
    """
    stream.seek(offset)
    tags = _number(stream, order + words.tags)
    if tags is None or tags > _MOST_TAGS:
        return None
    stream.seek(tags * words.tag_bytes, 1)
    return _number(stream, order + words.offset) or 0


def _number(stream: BinaryIO, form: str) -> int | None:
    data = stream.read(struct.calcsize(form))
    return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else None
