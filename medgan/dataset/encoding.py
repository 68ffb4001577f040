"""Decode tables and lists of files, whatever program wrote them."""

from __future__ import annotations

import codecs
import os

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before that of UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks (The Unicode Standard, section 23.8): spreadsheets and Windows PowerShell begin their files with one."""
_UTF16_ZERO_SHARE = 0.3
"""Least share of bytes of zero in text of two bytes per letter; a list that ends names with such a byte has far fewer."""


def decode_text(data: bytes) -> str:
    """The text, without its byte order mark.

    UTF-8 where nothing else is marked, UTF-16 where every other byte or so is zero. Bytes that are no UTF-8, as file names may hold,
    become surrogates (PEP 383), which `os.fsencode` turns back.
    """
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return (
                data.decode(name, "replace").lstrip("\ufeff")
                if name != "utf-8"
                else os.fsdecode(data[len(mark) :])
            )
    if data.count(0) >= _UTF16_ZERO_SHARE * len(data) > 0:
        return data.decode(
            "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be", "replace"
        )
    return os.fsdecode(data)


def split_entries(data: bytes) -> tuple[str, ...]:
    """The entries of a list of files: parted by bytes of zero (`find -print0`) where it holds any, else by line ends.

    A vertical tab, a form feed or U+2028 is no line end: a file may be called so.
    """
    text = decode_text(data)
    if "\0" in text:
        return tuple(filter(None, text.split("\0")))
    end = "\n" if "\n" in text else "\r"
    return tuple(filter(None, (line.removesuffix("\r") for line in text.split(end))))
