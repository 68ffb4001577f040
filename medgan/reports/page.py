"""What was measured, and some images -> report.html: one file that holds everything, for a reader who is a clinician."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from numpy.typing import NDArray

from medgan import __version__
from medgan.pictures.display import display_window, png
from medgan.reports import curves, figures, progress, wording
from medgan.reports.verdict import by_class, findings, verdict_of

Pixels = NDArray[Any]
"""(n, C, H, W) float32 in [0, 1]."""
MOST_ROWS = 200
"""Lines of a table of classes; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassGallery:
    """Some images of one class, real and synthetic, with what is written below each."""

    label: str
    real: Pixels | None = None
    synthetic: Pixels | None = None
    names: tuple[Sequence[str], Sequence[str]] = ((), ())
    """Of real and of synthetic images; none where nothing may be said."""
    counts: tuple[int, int] | None = None
    """Real and synthetic images of the class in all, where those shown are a choice."""
    absent: str = "none"
    """What stands in the place of synthetic images where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestPair:
    """A synthetic image and the training image nearest to it."""

    label: str
    words: str
    """How alike they are, and which they are."""
    synthetic: Pixels
    real: Pixels | None
    """None where it is not at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """Some images of one kind that are looked at in one row, each with a caption."""

    title: str
    images: Pixels
    captions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that a page can tell; whatever is empty is left out, and `unmeasured` says how to get it."""

    title: str
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """The documented JSON of `evaluate`."""
    galleries: Sequence[ClassGallery] = ()
    sheet: bytes = b""
    """A contact sheet that lies there already (PNG), where there are no galleries."""
    ranked: Sequence[tuple[str, Sequence[ImageRow]]] = ()
    """(class, rows of the best, middle and worst images by the filter, and of those it rejected)."""
    pairs: Sequence[NearestPair] = ()
    filtered: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """{class: {what became of candidates: how many}}."""
    checked: Sequence[str] = ()
    """What was checked of the images of a folder, a paragraph each; words in ` ` are code, in ** ** bold."""
    before: Mapping[str, int] = field(default_factory=dict)
    """{class: real training images}."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """{class: real images that are there once more}; classes without any may be absent."""
    after: Mapping[str, int] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    """Lines of log.jsonl."""
    grids: Sequence[tuple[str, bytes]] = ()
    """(when, PNG) of what the generator drew on its way."""
    predictions: Any = None
    """What every arm's classifiers said of every held-out image: `evaluation.predictions.Predictions`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What one must know to make it again: {name: value}."""
    notes: Sequence[str] = ()
    """What limits the evidence."""
    unmeasured: Sequence[tuple[str, str]] = ()
    """(what is not here, the command that makes it)."""
    stand_ins: str = ""
    """What names in these commands stand for a folder that nobody but the user knows, in words."""


def page(story: Story) -> str:
    """The page as HTML: no script, and nothing from anywhere else."""
    evaluation = story.evaluation
    scores, arms = list(evaluation.get("scores") or ()), list(evaluation.get("arms") or ())
    shares = any(score["name"] in figures.SHARES and score["value"] is not None for score in scores)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "number": wording.number,
        "percent": wording.percent,
        "plainly": wording.plainly,
        "marked": to_markup,
        "first": lambda rows: list(rows)[:MOST_ROWS],
    }
    environment.filters |= filters
    text = environment.get_template("page.html.j2").render(
        story=story,
        evaluation=evaluation,
        verdict=verdict_of(evaluation) if evaluation else None,
        findings=findings(evaluation, scores),
        classes=by_class(scores),
        scores=scores,
        words=wording,
        galleries=[gallery_data(one) for one in story.galleries],
        ranked=[(label, [row_data(row) for row in rows]) for label, rows in story.ranked],
        pairs=[pair_data(pair) for pair in story.pairs],
        sheet=picture(story.sheet),
        grids=[(when, picture(data)) for when, data in story.grids],
        arms_plot=picture(figures.arms_figure(arms), "svg+xml") if arms else "",
        curves=curves_data(story.predictions, arms),
        variety_plot=picture(figures.variety_figure(scores), "svg+xml") if shares else "",
        counts_plot=picture(figures.counts_figure(story.before, story.after, story.repeated), "svg+xml")
        if story.after
        else "",
        panels=[
            (name, picture(data, "svg+xml"), words) for name, data, words in progress.figures_of(story.log)
        ],
        beyond={
            (arm["judge"], arm["name"]): arm
            for arm in ((evaluation.get("usefulness") or {}).get("external") or {}).get("arms", ())
        },
        arms=sorted(arms, key=lambda arm: -arm["auprc"]),
        version=__version__,
    )
    return text.encode("utf-8", "backslashreplace").decode()  # file names need not be any encoding


def picture(data: bytes, kind: str = "png") -> str:
    """The bytes as an address that an <img> shows (letters and digits only, so nothing to escape); empty for none."""
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}") if data else ""


def to_markup(text: str) -> Markup:
    """A sentence in which `words` are code and **words** bold, as HTML."""
    found = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", found))


def gallery_data(one: ClassGallery) -> dict[str, Any]:
    """A class's images as addresses, all seen through one window."""
    window = display_window(one.real, one.synthetic)
    sides = []
    for place, (name, images) in enumerate((("real", one.real), ("synthetic", one.synthetic))):
        shown = () if images is None else images
        names = one.names[place] or [""] * len(shown)
        total = len(shown) if one.counts is None else one.counts[place]
        told = f"{name}: {len(shown):,} of {total:,}" if total > len(shown) else f"{name}: {len(shown):,}"
        if not len(shown):
            told = f"{name}: {f'{total:,}, not shown here' if total else one.absent if place else 'none'}"
        pictures = [
            (picture(png(image, window, 256)), words) for image, words in zip(shown, names, strict=True)
        ]
        sides.append({"name": name, "words": told, "images": pictures})
    return {"label": one.label, "sides": sides}


def row_data(row: ImageRow) -> dict[str, Any]:
    """A row's images as addresses."""
    window = display_window(row.images)
    images = [picture(png(image, window, 256)) for image in row.images]
    return {"title": row.title, "images": list(zip(images, row.captions, strict=True))}


def pair_data(pair: NearestPair) -> dict[str, Any]:
    """Both images of a pair as addresses, seen through one window that burns out neither."""
    window = display_window(pair.synthetic, pair.real)
    real = None if pair.real is None else picture(png(pair.real, window))
    return {
        "label": pair.label,
        "words": pair.words,
        "synthetic": picture(png(pair.synthetic, window)),
        "real": real,
    }


def curves_data(said: Any, arms: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The curves of the arms that matter, and a confusion matrix for every arm."""
    if said is None:
        return None
    plots = [
        (title, picture(data, "svg+xml"), words)
        for title, data, words in curves.figures_of(said, curves.choose_arms(arms))
    ]
    return {"plots": plots, "matrices": curves.matrices(said), "operating": curves.operating(said)}
