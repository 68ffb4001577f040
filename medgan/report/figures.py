"""Results -> figures as bytes that a page can hold: images as PNG, plots as SVG, equal for equal results."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import image as mpl_image
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.report.sheet import viewed

INK, QUIET, GRID, REAL, MADE = "#1c2733", "#5b6b7a", "#d9e0e6", "#33658a", "#c2571a"
"""Dark ink on white; real and synthetic differ in lightness as well as in hue, for those who see no hues."""
SPACES = ("lite2", "domain", "radiomics")
MARKS = {"lite2": "o", "domain": "s", "radiomics": "D"}
WIDTH = 5.2
"""Inches; the page scales figures down to a phone's width, so letters are large."""
JUDGES = {"cnn": "Small network from scratch", "probe": "Linear layer on features of Lite2"}
"""{judge: what a panel calls it}."""
SHARES = ("precision", "recall", "coverage")
CURVES = {
    "distance": ("synthetic to real images, in features", INK, "-"),
    "generator_loss": ("generator loss", MADE, "-"),
    "critic_loss": ("discriminator loss", REAL, "--"),
}
"""{column of log.jsonl: label, colour and line}."""
SMOOTH = 5
"""Ticks over which a curve's running mean goes."""


def png(pixels: NDArray[np.float32], window: tuple[float, float] = (0.0, 1.0)) -> bytes:
    """One image (C, H, W) in [0, 1] as PNG, seen through `window`."""
    stream = io.BytesIO()
    mpl_image.imsave(stream, viewed(pixels, window), format="png")
    return stream.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as SVG, without a date and with names that depend on its contents alone."""
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "medgan", "svg.fonttype": "path"}):
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return stream.getvalue()


def arms_figure(arms: Sequence[Mapping[str, Any]], best: str) -> bytes:
    """A panel per judge, its arms with their intervals, best first; those with synthetic images in their colour, `best` boldly."""
    judges = list(dict.fromkeys(str(arm["judge"]) for arm in arms))
    heights = [1 + sum(arm["judge"] == judge for arm in arms) for judge in judges]
    figure = Figure(figsize=(WIDTH, 0.6 + 0.3 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(judges), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, judge in zip(panels, judges, strict=True):
        _ranked(_plain(axes), sorted((arm for arm in arms if arm["judge"] == judge), key=lambda arm: arm["auprc"]), best)  # fmt: skip
        axes.set_title(JUDGES.get(judge, judge), fontsize=11, color=INK, loc="left")
    panels[-1].set_xlabel("AUPRC of rare classes, test patients")
    panels[0].plot([], [], "o-", color=REAL, label="real images only")
    panels[0].plot([], [], "s-", color=MADE, label="with synthetic images")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=10)
    return svg(figure)


def _ranked(axes: Axes, arms: Sequence[Mapping[str, Any]], best: str) -> None:
    """The arms of one judge from below."""
    for place, arm in enumerate(arms):
        colour, mark = (MADE, "s") if arm["made"] else (REAL, "o")
        axes.plot([arm["low"], arm["high"]], [place, place], color=colour, lw=2, solid_capstyle="round")
        axes.plot(arm["auprc"], place, mark, color=colour, ms=7)
    axes.set_yticks(range(len(arms)), [_arm(arm) for arm in arms])
    for text, arm in zip(axes.get_yticklabels(), arms, strict=True):
        text.set_fontweight("bold" if arm["name"] == best else "normal")
    axes.set_ylim(-0.7, len(arms) - 0.3)


def _arm(arm: Mapping[str, Any]) -> str:
    ratio = str(arm["ratio"])
    return f"{arm['name']}, ratio {ratio}" if ratio else str(arm["name"])


def variety_figure(scores: Sequence[Mapping[str, Any]]) -> bytes:
    """Precision, recall and coverage per class and space with intervals; what other real images reach as a gray bar."""
    shown = [score for score in scores if score["name"] in SHARES and score["value"] is not None]
    labels = sorted({score["label"] for score in shown})
    spaces = [space for space in SPACES if any(score["space"] == space for score in shown)]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.62 * len(labels)), layout="constrained")
    panels = figure.subplots(1, len(SHARES), sharey=True)
    for axes, name in zip(panels, SHARES, strict=True):
        _plain(axes).set_title(name, fontsize=11, color=INK)
        axes.set(xlim=(-0.04, 1.04), ylim=(len(labels) - 0.5, -0.5))
        axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
        for score in (score for score in shown if score["name"] == name):
            place = labels.index(score["label"]) + 0.26 * (
                spaces.index(score["space"]) - (len(spaces) - 1) / 2
            )
            axes.plot([score["floor"]] * 2, [place - 0.12, place + 0.12], color=QUIET, lw=3)
            axes.plot([score["low"], score["high"]], [place] * 2, color=MADE, lw=1.6)
            axes.plot(score["value"], place, MARKS[score["space"]], color=MADE, ms=5.5)
    panels[0].set_yticks(range(len(labels)), [_class(label) for label in labels])
    for space in spaces:
        panels[0].plot([], [], MARKS[space], color=MADE, label=f"synthetic, {space}")
    panels[0].plot([], [], "|", color=QUIET, mew=3, ms=10, label="other real images")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9, handletextpad=0.3, columnspacing=1.0)  # fmt: skip
    return svg(figure)


def _class(label: str) -> str:
    words = label or "all classes"
    return words if len(words) <= 18 else words[:17] + "..."


def curves_figure(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """What the generator learned by over images shown, from log.jsonl: the distance in features, the losses of both networks, or all."""
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    axes = _plain(figure.add_subplot())
    told = {name: [row.get(name) for row in rows] for name in CURVES}
    told = {name: values for name, values in told.items() if all(value is not None for value in values)}
    if "critic_loss" not in told and "distance" in told:
        told.pop("generator_loss", None)  # which is the distance
    shown = np.array([row["images_shown"] / 1000 for row in rows])
    for name, values in told.items():
        label, colour, style = CURVES[name]
        curve = np.array(values, float)
        axes.plot(shown, curve, color=colour, lw=0.8, alpha=0.35)
        axes.plot(shown, _smooth(curve), style, color=colour, lw=2, label=label)
    axes.set(xlabel="images shown, in thousands", ylabel="loss" if "critic_loss" in told else "distance")
    if told:
        axes.legend(frameon=False, fontsize=10)
    return svg(figure)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each value and up to four before it."""
    return np.array([values[max(0, end - SMOOTH + 1) : end + 1].mean() for end in range(len(values))])


def counts_figure(before: Mapping[str, int], after: Mapping[str, int]) -> bytes:
    """Images per class, real and synthetic, one bar each."""
    labels = list(after)
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(labels)), layout="constrained")
    axes = _plain(figure.add_subplot())
    real = [before.get(label, 0) for label in labels]
    made = [after[label] - have for label, have in zip(labels, real, strict=True)]
    axes.barh(labels, real, color=REAL, label="real", height=0.62)
    axes.barh(labels, made, left=real, color=MADE, label="synthetic", height=0.62, hatch="///", edgecolor="white")  # fmt: skip
    axes.set_yticks(range(len(labels)), [_class(label) for label in labels])
    axes.invert_yaxis()
    axes.set_xlabel("images")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=10)
    return svg(figure)


def _plain(axes: Axes) -> Axes:
    """Axes without ornament."""
    axes.tick_params(colors=INK, labelsize=10, length=0)
    axes.grid(visible=True, axis="x", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.xaxis.label.set_color(QUIET)
    axes.yaxis.label.set_color(QUIET)
    return axes
