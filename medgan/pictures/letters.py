"""Make words in any script fit for a picture: by another font, or as escapes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

_FONT = "DejaVu Sans"
"""Comes with matplotlib, so pictures look alike everywhere."""
_BOXES = "Last Resort"
"""A font of boxes, which matplotlib takes for letters that no other has."""


def printable(text: str) -> str:
    """The text with an escape for each letter that no font here has or that cannot be seen, so that names which differ look different."""
    _, absent = _fonts_needed(text)
    return "".join(
        letter if letter.isprintable() and letter not in absent else _escape(letter) for letter in text
    )


@contextmanager
def fonts_for(*texts: str) -> Iterator[None]:
    """While open, figures are drawn in fonts that have the letters of `texts`, and no text is read as a formula."""
    import matplotlib as mpl

    families, _ = _fonts_needed("".join(texts))
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a family of one weight is no news
    with mpl.rc_context({"font.family": [_FONT, *families], "text.parse_math": False}):
        yield


def _fonts_needed(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The families that a text needs beside FONT, and its letters that none has."""
    wanted = frozenset(letter for letter in text if letter.isprintable())
    return _find_fonts(wanted - _family_letters(_FONT, wanted))


def _escape(letter: str) -> str:
    """A letter as Python writes it in ASCII."""
    return letter.encode("unicode_escape").decode()


@lru_cache(maxsize=64)
def _find_fonts(wanted: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that have these letters, what has most of them first; and the letters that none has."""
    from matplotlib import font_manager

    found: list[str] = []
    files = {
        font.name: font.fname
        for font in sorted(font_manager.fontManager.ttflist, key=lambda font: (-abs(_font_weight(font)), font.fname))
        if font.style == "normal" and not font.name.startswith(_BOXES)
    } if wanted else {}  # fmt: skip
    offers = {family: _file_letters(file, wanted) for family, file in sorted(files.items())}
    while wanted and offers:
        family = max(offers, key=lambda name: len(offers[name] & wanted))
        if not offers[family] & wanted:
            break
        found.append(family)
        wanted -= offers[family]
    return tuple(found), wanted


def _font_weight(font: FontEntry) -> int:
    """How far a font is from the regular weight, 400."""
    from matplotlib import font_manager

    weight = font_manager.weight_dict.get(str(font.weight), font.weight)
    return int(weight) - 400


def _family_letters(family: str, wanted: frozenset[str]) -> frozenset[str]:
    """Those of the letters that a family has which is here for certain."""
    from matplotlib import font_manager

    return _file_letters(font_manager.findfont(family), wanted)


def _file_letters(file: str, wanted: frozenset[str]) -> frozenset[str]:
    """Those of the letters that a font file has; none of a font of bitmaps, as those of emoji, which cannot be drawn at any size."""
    from matplotlib import font_manager

    try:
        font = font_manager.get_font(file)
    except (OSError, RuntimeError):
        return frozenset()
    there = font.get_charmap() if font.scalable else {}
    return frozenset(letter for letter in wanted if ord(letter) in there)


def shorten_names(names: Sequence[str], width: int) -> list[str]:
    """The names in at most `width` letters each, and still different from one another: cut in the middle, numbered where that is not enough."""
    found: list[str] = []
    for name in names:
        short = name if len(name) <= width else f"{name[: width - width // 3 - 3]}...{name[-(width // 3) :]}"
        number = 2
        while short in found and name not in names[: len(found)]:
            short = f"{short[: width - len(str(number)) - 2].rstrip()} #{number}"
            number += 1
        found.append(short)
    return found
