"""Make text of others harmless in Markdown, in a CSV cell and on a terminal.

It is names of classes and files, and cells of tables.
"""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown takes for markup (CommonMark, GitHub's tables and mathematics); an underscore within a word is none."""
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]|\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")
"""What a cell holds escaped: control characters, line ends included, and a backslash that would be taken for the sign of an escape."""
_FORMULA = re.compile("(?:^|(?<=;))[=+\\-@\uff1d\uff0b\uff0d\uff20]")
"""The first letter of what a spreadsheet runs (OWASP, CSV Injection), also behind a semicolon, which parts cells in half of Europe."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))")


def printable(text: str) -> str:
    """`text` on one line of a terminal, with an escape for every character that is not to be seen.

    The name of a file must neither steer the terminal nor pass for a line of ours.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def escape_markdown(text: str) -> str:
    """`text` as one line of Markdown that shows it and does nothing: no HTML, no markup, no end of a table's cell."""
    line = _MARKUP.sub(lambda found: "\\" + found[0], printable(" ".join(text.split())))
    return "".join(_HTML.get(letter, letter) for letter in line)


def escape_cell(text: str) -> str:
    r"""`text` as a CSV cell that no spreadsheet runs and no line end breaks; `unescape_cell` gives it back exactly.

    `=1+1` becomes `\x3d1+1`, ESC `\x1b`; numbers and ordinary names stay as they are.
    """
    safe = _CONTROL.sub(_escape, text)
    return safe if _NUMBER.fullmatch(safe) else _FORMULA.sub(_escape, safe)


def unescape_cell(text: str) -> str:
    """The text of which `escape_cell` made this one."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
