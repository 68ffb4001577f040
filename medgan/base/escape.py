"""Make text from outside harmless in Markdown, in CSV cells and on a terminal.

Such text is the names of classes and files, and the cells of tables.
"""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that Markdown takes for markup (CommonMark, GitHub's tables and mathematics). An underscore
within a word is not markup."""
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]|\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")
"""Characters that a cell holds escaped: control characters, line ends included, and a backslash that would
look like the start of an escape."""
_FORMULA = re.compile("(?:^|(?<=;))[=+\\-@\uff1d\uff0b\uff0d\uff20]")
"""First characters of a cell that a spreadsheet would run (OWASP, CSV Injection), at its start or behind a
semicolon, which separates cells in half of Europe."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))")


def printable(text: str) -> str:
    """Put text on one line of a terminal and escape characters that cannot be printed.

    The name of a file must neither control the terminal nor pass for a line of ours.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def escape_markdown(text: str) -> str:
    """Escape text so that Markdown shows it as it is, on one line.

    Nothing in it acts as HTML or markup, or ends the cell of a table.
    """
    line = _MARKUP.sub(lambda found: "\\" + found[0], printable(" ".join(text.split())))
    return "".join(_HTML.get(letter, letter) for letter in line)


def escape_cell(text: str) -> str:
    r"""Escape text for a CSV cell so that no spreadsheet runs it.

    No line end breaks the cell either. `=1+1` becomes `\x3d1+1`, ESC becomes `\x1b`; numbers and ordinary
    names stay as they are. `unescape_cell` restores the text exactly.
    """
    safe = _CONTROL.sub(_escape, text)
    return safe if _NUMBER.fullmatch(safe) else _FORMULA.sub(_escape, safe)


def unescape_cell(text: str) -> str:
    """Restore the text that `escape_cell` escaped."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
