"""Results -> plots as SVG that a page can hold, equal for equal results."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.dataset.quota import NO_CLASSES
from medgan.pictures.letters import fonts_for, printable, shorten_names
from medgan.reports.wording import JUDGES, SPACES, method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, GRID, REAL, MADE = "#1c2733", "#5b6b7a", "#d9e0e6", "#33658a", "#c2571a"
"""Dark ink on white; real and synthetic differ in lightness as well as in hue, for those who see no hues."""
MARKS = {"lite2": "o", "domain": "s", "radiomics": "D"}
WIDTH = 5.2
"""Inches; the page scales figures down to a phone's width, so letters are large."""
SHARES = {"precision": "looks real", "recall": "variety reached", "coverage": "real matched"}
"""{score: what a panel calls it}."""
CURVES = {
    "distance": ("synthetic to real images, in features", INK, "-"),
    "generator_loss": ("generator loss", MADE, "-"),
    "critic_loss": ("discriminator loss", REAL, "--"),
}
"""{column of log.jsonl: label, colour and line}."""
SMOOTH = 5
"""Ticks over which a curve's running mean goes."""
MOST = 30
"""Classes in one plot; of more, the ends of the list are shown."""
LETTERS = 18
"""Of a class's name."""


def plot(labels: Sequence[str], draw: Callable[[list[str]], Figure]) -> bytes:
    """The figure that `draw` makes, given legible names for `labels`, as SVG without a date and with names that depend on its contents alone."""
    import matplotlib as mpl

    with fonts_for(*labels), mpl.rc_context({"svg.hashsalt": "medgan", "svg.fonttype": "path"}):
        figure = draw(shorten_names([printable(label or "all classes") for label in labels], LETTERS))
        return svg(figure)


def blank(width: float, height: float, **look: Any) -> Figure:
    """An empty figure of this size in inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", **look)


def svg(figure: Figure) -> bytes:
    """The figure as SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return stream.getvalue()


def arms_figure(arms: Sequence[Mapping[str, Any]]) -> bytes:
    """A panel per judge, its arms with their intervals, best first; those with synthetic images in their colour, boldly the two compared."""

    def draw(_: list[str]) -> Figure:
        judges = list(dict.fromkeys(str(arm["judge"]) for arm in arms))
        heights = [1 + sum(arm["judge"] == judge for arm in arms) for judge in judges]
        figure = blank(WIDTH, 0.6 + 0.46 * sum(heights))
        panels = figure.subplots(len(judges), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, judge in zip(panels, judges, strict=True):
            _draw_ranks(
                plain(axes),
                sorted((arm for arm in arms if arm["judge"] == judge), key=lambda arm: arm["auprc"]),
            )
            axes.set_title(JUDGES.get(judge, judge), fontsize=11, color=INK, loc="left")
        panels[-1].set_xlabel("AUPRC of rare classes in held-out patients")
        panels[0].plot([], [], "o-", color=REAL, label="real images only")
        panels[0].plot([], [], "s-", color=MADE, label="with synthetic images")
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=10)
        return figure

    return plot((), draw)


def _draw_ranks(axes: Axes, arms: Sequence[Mapping[str, Any]]) -> None:
    """The arms of one judge from below; those with a role in the verdict boldly."""
    for place, arm in enumerate(arms):
        colour, mark = (MADE, "s") if arm["made"] else (REAL, "o")
        axes.plot([arm["low"], arm["high"]], [place, place], color=colour, lw=2, solid_capstyle="round")
        axes.plot(arm["auprc"], place, mark, color=colour, ms=7)
        weight = "bold" if arm["role"] else "normal"
        axes.text(
            0,
            place + 0.3,
            arm_words(arm),
            fontsize=9.5,
            fontweight=weight,
            color=INK,
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(arms) - 0.3)


def arm_words(arm: Mapping[str, Any]) -> str:
    """How the classifiers of an arm were trained."""
    return method(str(arm["name"]))


def variety_figure(scores: Sequence[Mapping[str, Any]]) -> bytes:
    """Precision, recall and coverage per class and space with intervals; what other real images reach as a gray bar."""
    every = [score for score in scores if score["name"] in SHARES and score["value"] is not None]
    labels = ends(sorted({score["label"] for score in every}))
    shown = [score for score in every if score["label"] in labels]
    spaces = [space for space in MARKS if any(score["space"] == space for score in shown)]

    def draw(names: list[str]) -> Figure:
        figure = blank(WIDTH, 1.5 + 0.62 * len(labels))
        panels = figure.subplots(1, len(SHARES), sharey=True)
        for axes, (name, words) in zip(panels, SHARES.items(), strict=True):
            plain(axes).set_title(words, fontsize=10, color=INK)
            axes.set(xlim=(-0.04, 1.04), ylim=(len(labels) - 0.5, -0.5))
            axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
            for score in (score for score in shown if score["name"] == name):
                offset = 0.26 * (spaces.index(score["space"]) - (len(spaces) - 1) / 2)
                place = labels.index(score["label"]) + offset
                if score["floor"] is not None:
                    axes.plot([score["floor"]] * 2, [place - 0.12, place + 0.12], color=QUIET, lw=3)
                axes.plot([score["low"], score["high"]], [place] * 2, color=MADE, lw=1.6)
                axes.plot(score["value"], place, MARKS[score["space"]], color=MADE, ms=5.5)
        panels[0].set_yticks(range(len(labels)), names)
        for space in spaces:
            panels[0].plot([], [], MARKS[space], color=MADE, label=f"synthetic, by {SPACES[space]}")
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

    return plot(labels, draw)


def ends(labels: Sequence[str]) -> list[str]:
    """All of a few; of many the first and the last."""
    return list(labels) if len(labels) <= MOST else [*labels[: MOST // 2], *labels[-MOST // 2 :]]


def curves_figure(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """What the generator learned by over images shown, from log.jsonl: the distance in features, the losses of both networks, or all."""

    def draw(_: list[str]) -> Figure:
        figure = blank(WIDTH, 2.6)
        losses(plain(figure.add_subplot()), rows)
        return figure

    return plot((), draw)


def losses(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw what the generator learned by."""
    told = {name: [row.get(name) for row in rows] for name in CURVES}
    told = {name: values for name, values in told.items() if all(value is not None for value in values)}
    if "critic_loss" not in told and "distance" in told:
        told.pop("generator_loss", None)  # which is the distance
    shown = np.array([row["images_shown"] for row in rows])
    for name, values in told.items():
        label, colour, style = CURVES[name]
        curve = np.array(values, float)
        axes.plot(shown, curve, color=colour, lw=0.8, alpha=0.35)
        axes.plot(shown, smooth(curve), style, color=colour, lw=2, label=label)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel="images shown", ylabel="loss" if "critic_loss" in told else "distance")
    if told:
        axes.legend(frameon=False, fontsize=10)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each value and up to four before it."""
    return np.array([values[max(0, end - SMOOTH + 1) : end + 1].mean() for end in range(len(values))])


def counts_figure(
    before: Mapping[str, int], after: Mapping[str, int], repeated: Mapping[str, int] = NO_CLASSES
) -> bytes:
    """Images per class, real, repeated and synthetic, one bar each; of very many classes those with most and those with fewest real images."""
    labels = ends(
        sorted(after, key=lambda label: -before.get(label, 0)) if len(after) > MOST else list(after)
    )
    real = [before.get(label, 0) for label in labels]
    again = [repeated.get(label, 0) for label in labels]
    both = [have + more for have, more in zip(real, again, strict=True)]
    made = [after[label] - have for label, have in zip(labels, both, strict=True)]

    def draw(names: list[str]) -> Figure:
        figure = blank(WIDTH, 0.9 + 0.36 * len(labels))
        axes = plain(figure.add_subplot())
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

    return plot(labels, draw)


def plain(axes: Axes) -> Axes:
    """Axes without ornament."""
    axes.tick_params(colors=INK, labelsize=10, length=0)
    axes.grid(visible=True, axis="x", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.xaxis.label.set_color(QUIET)
    axes.yaxis.label.set_color(QUIET)
    return axes
