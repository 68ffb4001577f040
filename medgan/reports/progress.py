"""Plot the progress of a training: losses, variety and copies of each class, speed."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medgan.base import files
from medgan.base.progress import format_duration
from medgan.pictures.grid import share_done
from medgan.pictures.letters import drawable_text, fonts_for, shorten_names
from medgan.reports.figures import (
    GRID,
    INK,
    QUIET,
    REAL,
    WIDTH,
    blank_figure,
    draw_losses,
    plot_svg,
    running_mean,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Rows = Sequence[Mapping[str, Any]]
_Draw = Callable[["Axes", Sequence[str]], None]
"""Draws onto axes, given the names of the classes."""
_COLOURS = ("#33658a", "#c2571a", "#17683f", "#7a3b8f", "#8a6d00", "#a3241c", "#4a5560", "#2a8c8c")
_LINE_STYLES = ("-", "--", ":", "-.")
_MOST_CLASSES = 8
"""Classes in a plot, at most: those with the worst latest values."""
_MOST_LETTERS = 24
_EXPLANATIONS = {
    "Distance": "How far synthetic images lie from real ones. It should fall and then level off; it does not "
    "say whether single images are good. Thin: each tick; thick: mean of five.",
    "Losses": "What the two networks were trained to minimise. Neither should run away; they do not say "
    "whether images are good. Thin: each tick; thick: mean of five.",
    "Variety": "How varied the synthetic images of a class are compared with as many real ones: 1 is as "
    "varied, below 0.25 (dotted) the class has collapsed.",
    "Copies": "Share of a class's synthetic images that are as near to a training image as a copy. It should "
    "stay near 0; above 0.2 (dotted) guards step in.",
    "Distance by class": "How far the synthetic images of a class lie from real ones that training did not "
    "see (from training images if too few were held back). Lower is better; curves should end near their "
    "lowest point.",
    "Pace": "Images shown per second. A fall means that the machine had other work, not that training went "
    "badly.",
}
"""{plot: how to read it}."""
_LIMITS = {"Variety": 0.25, "Copies": 0.2}
_CLASS_MEASURES = {"Variety": "variety", "Copies": "copies", "Distance by class": "kid"}
"""{plot: key of the measure in the guards' log}."""


def _panels(rows: _Rows) -> dict[str, _Draw]:
    """{title: drawing function} of every plot that the log has data for, in reading order."""
    if not rows:
        return {}
    taught = any(row.get("critic_loss") is not None for row in rows)
    found: dict[str, _Draw] = {"Losses" if taught else "Distance": lambda axes, _: draw_losses(axes, rows)}
    for title, name in _CLASS_MEASURES.items():
        if _worst_classes(rows, name):
            found[title] = partial(_draw_by_class, rows, name, _LIMITS.get(title))
    found["Pace"] = lambda axes, _: _draw_speed(axes, rows)
    return found


def progress_figures(rows: _Rows) -> list[tuple[str, bytes, str]]:
    """(title, SVG, explanation) of every plot."""
    found = []
    for title, draw in _panels(rows).items():

        def drawn(names: list[str], draw: _Draw = draw) -> Figure:
            figure = blank_figure(WIDTH, 2.6)
            draw(style_axes(figure.add_subplot()), names)
            return figure

        labels = _worst_classes(rows, _CLASS_MEASURES[title]) if title in _CLASS_MEASURES else []
        found.append((title, plot_svg(labels, drawn), _EXPLANATIONS[title]))
    return found


def progress_picture(rows: _Rows, path: Path) -> Path:
    """Plot the log of a training so far, and write the plots as one PNG atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn = _panels(rows)
    labels = sorted({label for name in _CLASS_MEASURES.values() for label in _worst_classes(rows, name)})
    last = rows[-1]
    with fonts_for(*labels):
        figure = blank_figure(10, 0.7 + 2.6 * -(-len(drawn) // 2), dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        places = figure.subplots(-(-len(drawn) // 2), 2, squeeze=False).ravel()
        for axes, (title, draw) in zip(places, drawn.items(), strict=False):
            name = _CLASS_MEASURES.get(title, "")
            draw(
                style_axes(axes),
                shorten_names([drawable_text(label) for label in _worst_classes(rows, name)], _MOST_LETTERS),
            )
            axes.set_title(title, fontsize=12, color=INK, loc="left")
        for axes in places[len(drawn) :]:
            axes.set_axis_off()
        figure.suptitle(_status_line(last), fontsize=14, color=INK, x=0.01, ha="left")
        stream = io.BytesIO()
        canvas.print_png(stream)  # type: ignore[no-untyped-call]
    files.write_bytes(path, stream.getvalue())
    return path


def _status_line(row: Mapping[str, Any]) -> str:
    """One line on how far a training is."""
    left = row["seconds_left"]
    ends = f"about {format_duration(left)} left" if left else "finished"
    spent = format_duration(row["seconds"])
    return f"{row['images_shown']:,} images shown ({share_done(row):.0%}) in {spent}; {ends}"


def _worst_classes(rows: _Rows, name: str) -> list[str]:
    """The classes of which guards tell this, at most MOST: those that stand worst at the latest look."""
    looks = [row["guards"] for row in rows if row.get("guards") and row["guards"].get(name)]
    if not looks:
        return []
    latest = looks[-1][name]
    worst = sorted(latest, key=lambda label: latest[label] if name == "variety" else -latest[label])
    return sorted(worst[:_MOST_CLASSES])


def _draw_by_class(rows: _Rows, name: str, limit: float | None, axes: Axes, labels: Sequence[str]) -> None:
    """Draw a measure of the guards over images shown, a line per class.

    Args:
        rows: Lines of log.jsonl.
        name: Key of the measure.
        limit: Where a dotted line marks trouble; None draws none.
        axes: Where to draw.
        labels: Names of the classes for the legend.
    """
    told = [row for row in rows if row.get("guards") and row["guards"].get(name)]
    for number, (label, words) in enumerate(zip(_worst_classes(rows, name), labels, strict=True)):
        points = [
            (row["images_shown"], row["guards"][name][label]) for row in told if label in row["guards"][name]
        ]
        shown, values = zip(*points, strict=True)
        axes.plot(
            shown,
            values,
            _LINE_STYLES[number % 4],
            color=_COLOURS[number],
            lw=2,
            marker="o",
            ms=3,
            label=words,
        )
    if limit is not None:
        axes.axhline(limit, color=QUIET, lw=1, ls=(0, (1, 2)))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("images shown")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=True, axis="y", color=GRID, lw=0.8)
    axes.legend(frameon=False, fontsize=9)


def _draw_speed(axes: Axes, rows: _Rows) -> None:
    """Draw images per second at each tick."""
    shown = [row["images_shown"] for row in rows]
    rate = np.array([row["images_per_second"] for row in rows], float)
    axes.plot(shown, rate, color=REAL, lw=0.8, alpha=0.35)
    axes.plot(shown, running_mean(rate), color=REAL, lw=2)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="images shown", ylabel="images per second")
    axes.xaxis.set_major_formatter("{x:,.0f}")
