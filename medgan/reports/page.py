"""Render report.html, one self-contained file for a clinical reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape
from numpy.typing import NDArray

from medgan import __version__
from medgan.pictures.display import ClassGallery, display_window, png
from medgan.reports import curves, figures, progress, wording
from medgan.reports.templates import data_uri, load_templates
from medgan.reports.verdict import findings, scores_by_class, verdict_of

_Pixels = NDArray[Any]
"""(n, C, H, W) float32 in [0, 1]."""
_MOST_ROWS = 200
"""Lines of a table of classes, at most; further ones are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestPair:
    """A synthetic image and its nearest training image."""

    label: str
    words: str
    """Caption with their similarity and names."""
    synthetic: _Pixels
    real: _Pixels | None
    """None if it is not available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """A row of images with captions."""

    title: str
    images: _Pixels
    captions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything that a report can show; empty parts are left out."""

    title: str
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """The documented JSON of `evaluate`."""
    galleries: Sequence[ClassGallery] = ()
    sheet: bytes = b""
    """An existing contact sheet (PNG), shown if there are no galleries."""
    ranked: Sequence[tuple[str, Sequence[ImageRow]]] = ()
    """(class, rows of the best, middle and worst images by filter score, and of rejected ones)."""
    pairs: Sequence[NearestPair] = ()
    filtered: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """{class: {outcome of the filter: candidates}}."""
    checked: Sequence[str] = ()
    """Paragraphs on what the filter checked; words in ` ` are code, in ** ** bold."""
    before: Mapping[str, int] = field(default_factory=dict)
    """{class: real training images}."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """{class: repeated real images}; classes without any may be absent."""
    after: Mapping[str, int] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    """Lines of log.jsonl."""
    grids: Sequence[tuple[str, bytes]] = ()
    """(title, PNG) of images drawn during training."""
    predictions: Any = None
    """Predictions of every arm for every held-out image: `evaluation.predictions.Predictions`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """{name: value} of what is needed to reproduce the results."""
    notes: Sequence[str] = ()
    """Sentences on what limits the evidence."""
    unmeasured: Sequence[tuple[str, str]] = ()
    """(question that is not answered, command that answers it)."""
    stand_ins: str = ""
    """A sentence on the folder names in these commands that the user must replace."""


def render_page(report: ReportData) -> str:
    """Render the report as HTML without scripts or external resources."""
    # Set up the template engine, which escapes all text.
    evaluation = report.evaluation
    scores, arms = list(evaluation.get("scores") or ()), list(evaluation.get("arms") or ())
    shares = any(score["name"] in figures.SHARES and score["value"] is not None for score in scores)
    environment = load_templates()
    filters: dict[str, Any] = {
        "number": wording.number,
        "percent": wording.percent,
        "format_value": wording.format_value,
        "marked": _to_markup,
        "first": lambda rows: list(rows)[:_MOST_ROWS],
    }
    environment.filters |= filters

    # Fill the template.
    text = environment.get_template("page.html.j2").render(
        report=report,
        evaluation=evaluation,
        verdict=verdict_of(evaluation) if evaluation else None,
        findings=findings(evaluation, scores),
        classes=scores_by_class(scores),
        scores=scores,
        words=wording,
        galleries=[_gallery_context(one) for one in report.galleries],
        ranked=[(label, [_row_context(row) for row in rows]) for label, rows in report.ranked],
        pairs=[_pair_context(pair) for pair in report.pairs],
        sheet=data_uri(report.sheet),
        grids=[(when, data_uri(data)) for when, data in report.grids],
        arms_plot=data_uri(figures.arms_figure(arms), "svg+xml") if arms else "",
        curves=_curves_context(report.predictions, arms),
        variety_plot=data_uri(figures.variety_figure(scores), "svg+xml") if shares else "",
        counts_plot=data_uri(figures.counts_figure(report.before, report.after, report.repeated), "svg+xml")
        if report.after
        else "",
        panels=[
            (name, data_uri(data, "svg+xml"), words)
            for name, data, words in progress.progress_figures(report.log)
        ],
        beyond={
            (arm["judge"], arm["name"]): arm
            for arm in ((evaluation.get("usefulness") or {}).get("external") or {}).get("arms", ())
        },
        arms=sorted(arms, key=lambda arm: -arm["auprc"]),
        version=__version__,
    )
    return text.encode("utf-8", "backslashreplace").decode()  # file names may not be valid text


def _to_markup(text: str) -> Markup:
    """Convert a sentence with `code` and **bold** words to HTML, and escape the rest."""
    found = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", found))


def _gallery_context(one: ClassGallery) -> dict[str, Any]:
    """The images of a class as data URIs, all in the same display window."""
    window = display_window(one.real, one.synthetic)
    sides = []
    for place, (name, images) in enumerate(zip(("real", "synthetic"), one.sides, strict=True)):
        shown = () if images is None else images
        names = one.names[place] or [""] * len(shown)
        total = one.totals[place]
        told = f"{name}: {len(shown):,} of {total:,}" if total > len(shown) else f"{name}: {len(shown):,}"
        if not len(shown):
            told = f"{name}: {f'{total:,}, not shown here' if total else one.absent if place else 'none'}"
        pictures = [
            (data_uri(png(image, window, 256)), words) for image, words in zip(shown, names, strict=True)
        ]
        sides.append({"name": name, "words": told, "images": pictures})
    return {"label": one.label, "sides": sides}


def _row_context(row: ImageRow) -> dict[str, Any]:
    """The images of a row as data URIs, in the same display window."""
    window = display_window(row.images)
    images = [data_uri(png(image, window, 256)) for image in row.images]
    return {"title": row.title, "images": list(zip(images, row.captions, strict=True))}


def _pair_context(pair: NearestPair) -> dict[str, Any]:
    """Both images of a pair as data URIs, in a display window that saturates neither."""
    window = display_window(pair.synthetic, pair.real)
    real = None if pair.real is None else data_uri(png(pair.real, window))
    return {
        "label": pair.label,
        "words": pair.words,
        "synthetic": data_uri(png(pair.synthetic, window)),
        "real": real,
    }


def _curves_context(said: Any, arms: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The curves of the most important arms, and a confusion matrix for every arm."""
    if said is None:
        return None
    plots = [
        (title, data_uri(data, "svg+xml"), words)
        for title, data, words in curves.curve_figures(said, curves.choose_arms(arms))
    ]
    return {
        "plots": plots,
        "matrices": curves.confusion_matrices(said),
        "operating": curves.operating_points(said),
    }
