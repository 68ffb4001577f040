"""Plot how a training stands: distance, variety and copies of each class, pace."""

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
from medgan.pictures.letters import fonts_for, printable, shorten_names
from medgan.reports.figures import GRID, INK, QUIET, REAL, WIDTH, blank, losses, plain, plot, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
Draw = Callable[["Axes", Sequence[str]], None]
"""Onto axes, given the names of the classes."""
COLOURS = ("#33658a", "#c2571a", "#17683f", "#7a3b8f", "#8a6d00", "#a3241c", "#4a5560", "#2a8c8c")
LINES = ("-", "--", ":", "-.")
MOST = 8
"""Classes in a plot: those that stand worst at the end."""
LETTERS = 24
READ = {
    "Distance": "How far synthetic images lie from real ones. It should fall and then level off; it does not say whether single images are good. Thin: each tick; thick: mean of five.",
    "Losses": "What the two networks were trained to bring down. Neither should run away; they do not say whether images are good. Thin: each tick; thick: mean of five.",
    "Variety": "How varied a class's synthetic images are, beside as many real ones: 1 is as varied, below 0.25 (dotted) the class has collapsed.",
    "Copies": "Share of a class's synthetic images that come as near to one training image as a copy. It should stay near 0; above 0.2 (dotted) guards step in.",
    "Distance by class": "How far a class's synthetic images lie from real ones that training did not see (from training images, where too few were held back). Lower is better; curves should end near their lowest point.",
    "Pace": "Images shown per second. A fall says that the machine had other work, not that training went badly.",
}
"""{plot: how to read it}."""
LIMITS = {"Variety": 0.25, "Copies": 0.2}
OF_CLASS = {"Variety": "variety", "Copies": "copies", "Distance by class": "kid"}
"""{plot: what guards call it}."""


def panels(rows: Rows) -> dict[str, Draw]:
    """{title: how it is drawn} of what the log tells, in the order of reading."""
    if not rows:
        return {}
    taught = any(row.get("critic_loss") is not None for row in rows)
    found: dict[str, Draw] = {"Losses" if taught else "Distance": lambda axes, _: losses(axes, rows)}
    for title, name in OF_CLASS.items():
        if classes(rows, name):
            found[title] = partial(by_class, rows, name, LIMITS.get(title))
    found["Pace"] = lambda axes, _: pace(axes, rows)
    return found


def figures_of(rows: Rows) -> list[tuple[str, bytes, str]]:
    """(title, SVG, how to read it) of every panel."""
    found = []
    for title, draw in panels(rows).items():

        def drawn(names: list[str], draw: Draw = draw) -> Figure:
            figure = blank(WIDTH, 2.6)
            draw(plain(figure.add_subplot()), names)
            return figure

        labels = classes(rows, OF_CLASS[title]) if title in OF_CLASS else []
        found.append((title, plot(labels, drawn), READ[title]))
    return found


def progress_picture(rows: Rows, path: Path) -> Path:
    """Write how a training stands, by its log so far, as one PNG, atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn = panels(rows)
    labels = sorted({label for name in OF_CLASS.values() for label in classes(rows, name)})
    last = rows[-1]
    with fonts_for(*labels):
        figure = blank(10, 0.7 + 2.6 * -(-len(drawn) // 2), dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        places = figure.subplots(-(-len(drawn) // 2), 2, squeeze=False).ravel()
        for axes, (title, draw) in zip(places, drawn.items(), strict=False):
            name = OF_CLASS.get(title, "")
            draw(plain(axes), shorten_names([printable(label) for label in classes(rows, name)], LETTERS))
            axes.set_title(title, fontsize=12, color=INK, loc="left")
        for axes in places[len(drawn) :]:
            axes.set_axis_off()
        figure.suptitle(standing(last), fontsize=14, color=INK, x=0.01, ha="left")
        stream = io.BytesIO()
        canvas.print_png(stream)  # type: ignore[no-untyped-call]
    files.write_bytes(path, stream.getvalue())
    return path


def standing(row: Mapping[str, Any]) -> str:
    """Where a training is, in a line."""
    left = row["seconds_left"]
    ends = f"about {format_duration(left)} left" if left else "finished"
    return f"{row['images_shown']:,} images shown ({share_done(row):.0%}) in {format_duration(row['seconds'])}; {ends}"


def classes(rows: Rows, name: str) -> list[str]:
    """The classes of which guards tell this, at most MOST: those that stand worst at the latest look."""
    looks = [row["guards"] for row in rows if row.get("guards") and row["guards"].get(name)]
    if not looks:
        return []
    latest = looks[-1][name]
    worst = sorted(latest, key=lambda label: latest[label] if name == "variety" else -latest[label])
    return sorted(worst[:MOST])


def by_class(rows: Rows, name: str, limit: float | None, axes: Axes, labels: Sequence[str]) -> None:
    """A line per class over images shown; `labels` are what its classes are called in the legend."""
    told = [row for row in rows if row.get("guards") and row["guards"].get(name)]
    for number, (label, words) in enumerate(zip(classes(rows, name), labels, strict=True)):
        points = [
            (row["images_shown"], row["guards"][name][label]) for row in told if label in row["guards"][name]
        ]
        shown, values = zip(*points, strict=True)
        axes.plot(
            shown, values, LINES[number % 4], color=COLOURS[number], lw=2, marker="o", ms=3, label=words
        )
    if limit is not None:
        axes.axhline(limit, color=QUIET, lw=1, ls=(0, (1, 2)))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("images shown")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=True, axis="y", color=GRID, lw=0.8)
    axes.legend(frameon=False, fontsize=9)


def pace(axes: Axes, rows: Rows) -> None:
    """Images per second at each tick."""
    shown = [row["images_shown"] for row in rows]
    rate = np.array([row["images_per_second"] for row in rows], float)
    axes.plot(shown, rate, color=REAL, lw=0.8, alpha=0.35)
    axes.plot(shown, smooth(rate), color=REAL, lw=2)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="images shown", ylabel="images per second")
    axes.xaxis.set_major_formatter("{x:,.0f}")
