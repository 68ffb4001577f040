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
"""Byte order marks (The Unicode Standard, section 23.8), with which spreadsheets and Windows PowerShell begin
their files."""
_UTF16_ZERO_SHARE = 0.3
"""Least share of zero bytes in text of two bytes per letter. A list that ends its names with a zero byte has
far fewer."""


def decode_text(data: bytes) -> str:
    """Decode text and drop its byte order mark.

    Text without a mark is taken for UTF-16 if about every other byte is zero, else for UTF-8. Bytes that are
    not valid UTF-8, which file names may hold, become surrogates (PEP 383); `os.fsencode` restores them.
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
    """Split a list of files into its entries.

    Zero bytes separate them (`find -print0`) where the list holds any, else line ends do. A vertical tab, a
    form feed and U+2028 do not end a line, for a file name may hold them.
    """
    text = decode_text(data)
    if "\0" in text:
        return tuple(filter(None, text.split("\0")))
    end = "\n" if "\n" in text else "\r"
    return tuple(filter(None, (line.removesuffix("\r") for line in text.split(end))))
