"""Render report.html of `anomaly`: the scans that are least like normal ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgan import __version__
from medgan.reports.templates import data_uri, load_templates

SHOWN = 20
"""Scans that the page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundScan:
    """A scan on the page."""

    name: str
    score: float
    p: float
    """P-value of its patient."""
    alarm: bool
    picture: bytes
    """PNG of the image with the highest score, with its map."""

    @property
    def uri(self) -> str:
        """The picture, as an address that holds it."""
        return data_uri(self.picture)


def render_anomalies(result: Mapping[str, Any], found: Sequence[FoundScan]) -> str:
    """Render the page as HTML without scripts and without external resources."""
    page = load_templates().get_template("anomaly.html.j2")
    return page.render(result=result, found=found, version=__version__)
