"""Make text in any script printable in pictures, by other fonts or by escapes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

_FONT = "DejaVu Sans"
"""Comes with matplotlib, so pictures look the same on every machine."""
_BOXES = "Last Resort"
"""A font of placeholder boxes, which matplotlib reports for characters that no other font has."""


def drawable_text(text: str) -> str:
    """Replace characters that cannot be seen, or that no font here has, by escapes.

    So names that differ also look different.
    """
    _, absent = _fonts_needed(text)
    return "".join(
        letter if letter.isprintable() and letter not in absent else _escape(letter) for letter in text
    )


@contextmanager
def fonts_for(*texts: str) -> Iterator[None]:
    """Context in which figures use fonts that have the characters of `texts`.

    No text is parsed as a formula meanwhile.
    """
    import matplotlib as mpl

    families, _ = _fonts_needed("".join(texts))
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a family of one weight is no news
    with mpl.rc_context({"font.family": [_FONT, *families], "text.parse_math": False}):
        yield


def _fonts_needed(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Font families that a text needs beside _FONT, and its characters that none has."""
    wanted = frozenset(letter for letter in text if letter.isprintable())
    return _find_fonts(wanted - _family_letters(_FONT, wanted))


def _escape(letter: str) -> str:
    """A character as an ASCII escape of Python."""
    return letter.encode("unicode_escape").decode()


@lru_cache(maxsize=64)
def _find_fonts(wanted: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Font families that together have these characters, and the characters none has.

    Families come in the order in which they add the most characters.
    """
    from matplotlib import font_manager

    found: list[str] = []
    files: dict[str, str] = {}
    if wanted:
        fonts = font_manager.fontManager.ttflist
        files = {
            font.name: font.fname
            for font in sorted(fonts, key=lambda font: (-abs(_font_weight(font)), font.fname))
            if font.style == "normal" and not font.name.startswith(_BOXES)
        }
    offers = {family: _file_letters(file, wanted) for family, file in sorted(files.items())}
    while wanted and offers:
        family = max(offers, key=lambda name: len(offers[name] & wanted))
        if not offers[family] & wanted:
            break
        found.append(family)
        wanted -= offers[family]
    return tuple(found), wanted


def _font_weight(font: FontEntry) -> int:
    """Difference of a font's weight from the regular weight, 400."""
    from matplotlib import font_manager

    weight = font_manager.weight_dict.get(str(font.weight), font.weight)
    return int(weight) - 400


def _family_letters(family: str, wanted: frozenset[str]) -> frozenset[str]:
    """The characters of `wanted` that an installed family has."""
    from matplotlib import font_manager

    return _file_letters(font_manager.findfont(family), wanted)


def _file_letters(file: str, wanted: frozenset[str]) -> frozenset[str]:
    """The characters of `wanted` that a font file has.

    It is empty for bitmap fonts, such as emoji fonts, which cannot be drawn at any size.
    """
    from matplotlib import font_manager

    try:
        font = font_manager.get_font(file)
    except (OSError, RuntimeError):
        return frozenset()
    there = font.get_charmap() if font.scalable else {}
    return frozenset(letter for letter in wanted if ord(letter) in there)


def shorten_names(names: Sequence[str], width: int) -> list[str]:
    """Shorten names to at most `width` characters while keeping them distinct.

    They are cut in the middle, and numbered where that alone would make two names equal.
    """
    found: list[str] = []
    for name in names:
        short = name if len(name) <= width else f"{name[: width - width // 3 - 3]}...{name[-(width // 3) :]}"
        number = 2
        while short in found and name not in names[: len(found)]:
            short = f"{short[: width - len(str(number)) - 2].rstrip()} #{number}"
            number += 1
        found.append(short)
    return found
