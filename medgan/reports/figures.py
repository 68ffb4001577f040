"""Plot results as SVG for the report; equal results give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.dataset.quota import NO_CLASSES
from medgan.pictures.letters import drawable_text, fonts_for, shorten_names
from medgan.reports.wording import JUDGES, SPACES, method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1c2733"
"""Colour of text."""
QUIET = "#5b6b7a"
"""Colour of axis labels and reference lines."""
GRID = "#d9e0e6"
"""Colour of grid lines."""
REAL = "#33658a"
"""Colour of real images."""
MADE = "#c2571a"
"""Colour of synthetic images; it differs from `REAL` in lightness too, for readers who see no hues."""
_MARKERS = {"lite2": "o", "domain": "s", "radiomics": "D"}
WIDTH = 5.2
"""Width of a figure in inches; letters are large because phones scale figures down."""
SHARES = {"precision": "looks real", "recall": "variety reached", "coverage": "real matched"}
"""{score: title of its panel}."""
_LOSS_CURVES = {
    "distance": ("synthetic to real images, in features", INK, "-"),
    "generator_loss": ("generator loss", MADE, "-"),
    "critic_loss": ("discriminator loss", REAL, "--"),
}
"""{column of log.jsonl: label, colour and line}."""
_SMOOTHED_TICKS = 5
"""Ticks in a running mean."""
_MOST_CLASSES = 30
"""Classes in one plot, at most; of more, the first and the last are shown."""
_MOST_LETTERS = 18
"""Letters of a class name, at most."""


def plot_svg(labels: Sequence[str], draw: Callable[[list[str]], Figure]) -> bytes:
    """Render a figure as SVG, without a date and with ids that depend only on its contents.

    Args:
        labels: Class names, which `draw` gets shortened and in letters that the fonts have.
        draw: Makes the figure.
    """
    import matplotlib as mpl

    with fonts_for(*labels), mpl.rc_context({"svg.hashsalt": "medgan", "svg.fonttype": "path"}):
        figure = draw(
            shorten_names([drawable_text(label or "all classes") for label in labels], _MOST_LETTERS)
        )
        return _to_svg(figure)


def blank_figure(width: float, height: float, **look: Any) -> Figure:
    """An empty figure of this size in inches, with automatic layout."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", **look)


def _to_svg(figure: Figure) -> bytes:
    """The figure as SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.BytesIO()
    undated = {"Date": None, "Creator": None}
    FigureCanvasSVG(figure).print_svg(stream, metadata=undated)  # type: ignore[no-untyped-call]
    return stream.getvalue()


def arms_figure(arms: Sequence[Mapping[str, Any]]) -> bytes:
    """Plot AUPRC and interval of every arm, a panel per judge; the two arms compared are bold."""

    def draw(_: list[str]) -> Figure:
        judges = list(dict.fromkeys(str(arm["judge"]) for arm in arms))
        heights = [1 + sum(arm["judge"] == judge for arm in arms) for judge in judges]
        figure = blank_figure(WIDTH, 0.6 + 0.46 * sum(heights))
        panels = figure.subplots(len(judges), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, judge in zip(panels, judges, strict=True):
            _draw_ranks(
                style_axes(axes),
                sorted((arm for arm in arms if arm["judge"] == judge), key=lambda arm: arm["auprc"]),
            )
            axes.set_title(JUDGES.get(judge, judge), fontsize=11, color=INK, loc="left")
        panels[-1].set_xlabel("AUPRC of rare classes in held-out patients")
        panels[0].plot([], [], "o-", color=REAL, label="real images only")
        panels[0].plot([], [], "s-", color=MADE, label="with synthetic images")
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=10)
        return figure

    return plot_svg((), draw)


def _draw_ranks(axes: Axes, arms: Sequence[Mapping[str, Any]]) -> None:
    """Draw the arms of one judge from the bottom up; those with a role in the verdict are bold."""
    for place, arm in enumerate(arms):
        colour, mark = (MADE, "s") if arm["made"] else (REAL, "o")
        axes.plot([arm["low"], arm["high"]], [place, place], color=colour, lw=2, solid_capstyle="round")
        axes.plot(arm["auprc"], place, mark, color=colour, ms=7)
        weight = "bold" if arm["role"] else "normal"
        axes.text(
            0,
            place + 0.3,
            _arm_label(arm),
            fontsize=9.5,
            fontweight=weight,
            color=INK,
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(arms) - 0.3)


def _arm_label(arm: Mapping[str, Any]) -> str:
    """How the classifiers of an arm were trained."""
    return method(str(arm["name"]))


def variety_figure(scores: Sequence[Mapping[str, Any]]) -> bytes:
    """Plot precision, recall and coverage per class and space; a gray bar is what real images reach."""
    every = [score for score in scores if score["name"] in SHARES and score["value"] is not None]
    labels = _first_and_last(sorted({score["label"] for score in every}))
    shown = [score for score in every if score["label"] in labels]
    spaces = [space for space in _MARKERS if any(score["space"] == space for score in shown)]

    def draw(names: list[str]) -> Figure:
        figure = blank_figure(WIDTH, 1.5 + 0.62 * len(labels))
        panels = figure.subplots(1, len(SHARES), sharey=True)
        for axes, (name, words) in zip(panels, SHARES.items(), strict=True):
            style_axes(axes).set_title(words, fontsize=10, color=INK)
            axes.set(xlim=(-0.04, 1.04), ylim=(len(labels) - 0.5, -0.5))
            axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
            for score in (score for score in shown if score["name"] == name):
                offset = 0.26 * (spaces.index(score["space"]) - (len(spaces) - 1) / 2)
                place = labels.index(score["label"]) + offset
                if score["floor"] is not None:
                    axes.plot([score["floor"]] * 2, [place - 0.12, place + 0.12], color=QUIET, lw=3)
                axes.plot([score["low"], score["high"]], [place] * 2, color=MADE, lw=1.6)
                axes.plot(score["value"], place, _MARKERS[score["space"]], color=MADE, ms=5.5)
        panels[0].set_yticks(range(len(labels)), names)
        for space in spaces:
            panels[0].plot([], [], _MARKERS[space], color=MADE, label=f"synthetic, by {SPACES[space]}")
        panels[0].plot([], [], "|", color=QUIET, mew=3, ms=10, label="other real images")
        figure.legend(
            loc="outside upper left",
            ncols=3,
            frameon=False,
            fontsize=8.5,
            handletextpad=0.3,
            columnspacing=1.0,
        )
        return figure

    return plot_svg(labels, draw)


def _first_and_last(labels: Sequence[str]) -> list[str]:
    """Keep all labels if they are few, otherwise the first and the last ones."""
    return (
        list(labels)
        if len(labels) <= _MOST_CLASSES
        else [*labels[: _MOST_CLASSES // 2], *labels[-_MOST_CLASSES // 2 :]]
    )


def draw_losses(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw what the networks minimised over the images shown."""
    told = {name: [row.get(name) for row in rows] for name in _LOSS_CURVES}
    told = {name: values for name, values in told.items() if all(value is not None for value in values)}
    if "critic_loss" not in told and "distance" in told:
        told.pop("generator_loss", None)  # equal to the distance
    shown = np.array([row["images_shown"] for row in rows])
    for name, values in told.items():
        label, colour, style = _LOSS_CURVES[name]
        curve = np.array(values, float)
        axes.plot(shown, curve, color=colour, lw=0.8, alpha=0.35)
        axes.plot(shown, running_mean(curve), style, color=colour, lw=2, label=label)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel="images shown", ylabel="loss" if "critic_loss" in told else "distance")
    if told:
        axes.legend(frameon=False, fontsize=10)


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each value and up to four before it."""
    return np.array(
        [values[max(0, end - _SMOOTHED_TICKS + 1) : end + 1].mean() for end in range(len(values))]
    )


def counts_figure(
    before: Mapping[str, int], after: Mapping[str, int], repeated: Mapping[str, int] = NO_CLASSES
) -> bytes:
    """Plot real, repeated and synthetic images per class; of very many classes the largest and smallest.

    Args:
        before: {label: real images}.
        after: {label: all images}.
        repeated: {label: repeated real images}.
    """
    # Count the images of each kind.
    labels = _first_and_last(
        sorted(after, key=lambda label: -before.get(label, 0)) if len(after) > _MOST_CLASSES else list(after)
    )
    real = [before.get(label, 0) for label in labels]
    again = [repeated.get(label, 0) for label in labels]
    both = [have + more for have, more in zip(real, again, strict=True)]
    made = [after[label] - have for label, have in zip(labels, both, strict=True)]

    def draw(names: list[str]) -> Figure:
        figure = blank_figure(WIDTH, 0.9 + 0.36 * len(labels))
        axes = style_axes(figure.add_subplot())
        places = np.arange(len(labels))
        axes.barh(places, real, color=REAL, label="real", height=0.62)
        if any(again):
            axes.barh(places, again, left=real, color=REAL, alpha=0.45, label="real, repeated", height=0.62)
        if any(made):
            axes.barh(
                places,
                made,
                left=both,
                color=MADE,
                label="synthetic",
                height=0.62,
                hatch="///",
                edgecolor="white",
            )
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlabel("images")
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=10)
        return figure

    return plot_svg(labels, draw)


def style_axes(axes: Axes) -> Axes:
    """Remove frame and ticks of axes, and set their colours."""
    axes.tick_params(colors=INK, labelsize=10, length=0)
    axes.grid(visible=True, axis="x", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.xaxis.label.set_color(QUIET)
    axes.yaxis.label.set_color(QUIET)
    return axes
