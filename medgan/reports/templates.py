"""Load the templates of the pages, in which all text is escaped."""

from __future__ import annotations

from pathlib import Path

import jinja2


def load_templates() -> jinja2.Environment:
    """The engine for the templates of this folder; a name that is not filled in is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
