"""Load the templates of the pages, in which all text is escaped, and put pictures into them."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
from markupsafe import Markup


def load_templates() -> jinja2.Environment:
    """The engine for the templates of this folder; a name that is not filled in is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(data: bytes, kind: str = "png") -> str:
    """A data URI for an <img> element; empty if there are no bytes."""
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}") if data else ""
