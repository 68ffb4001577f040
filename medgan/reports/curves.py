"""ROC and precision-recall curves, confusion matrices, sensitivities."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medgan.reports.figures import INK, MADE, QUIET, REAL, WIDTH, blank_figure, plot_svg, style_axes
from medgan.reports.wording import JUDGES, method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPECIFICITIES = (0.8, 0.9, 0.95)
_MOST_CLASSES = 12
"""Classes of a confusion matrix, and rare classes with curves, at most."""
_STYLES = ((REAL, "-"), (MADE, "-"), (QUIET, "--"), (MADE, ":"))
_Array = NDArray[np.float64]


class _ArmPredictions(Protocol):
    """Predictions of A arms for N held-out images and K classes, without any patient or file name."""

    names: tuple[str, ...]
    rare: tuple[str, ...]
    arms: tuple[tuple[str, str], ...]
    """(judge, arm) for each of A."""
    truth: NDArray[np.int64]
    """(N,): the class of each image."""
    probabilities: NDArray[np.float32]
    """(A, N, K)."""


def choose_arms(arms: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Choose the arms whose curves are drawn: for each judge the reference, the named one and "real"."""
    found: list[tuple[str, str]] = []
    for judge in dict.fromkeys(str(arm["judge"]) for arm in arms):
        own = [arm for arm in arms if arm["judge"] == judge]
        picked = [arm for role in ("reference", "named") for arm in own if arm["role"] == role]
        picked += [arm for arm in own if arm["name"] == "real"]
        found += list(dict.fromkeys((judge, str(arm["name"])) for arm in picked))
    return found


def curve_figures(said: _ArmPredictions, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, bytes, str]]:
    """(title, SVG, text alternative) of the curves of each judge and rare class."""
    found = []
    for judge in dict.fromkeys(judge for judge, _ in wanted):
        rows = [said.arms.index(key) for key in wanted if key[0] == judge and key in said.arms]
        for label in said.rare[:_MOST_CLASSES]:
            number = said.names.index(label)
            truth = said.truth == number
            if not rows or not truth.any() or truth.all():
                continue
            title = f"{label}: {JUDGES.get(judge, judge).lower()}"

            def draw(
                _: list[str], rows: list[int] = rows, number: int = number, truth: NDArray[np.bool_] = truth
            ) -> Figure:
                return _draw_curves(said, rows, number, truth)

            words = f"ROC and precision-recall curves: {title}; areas are in the legend."
            found.append((title, plot_svg((), draw), words))
    return found


def _draw_curves(said: _ArmPredictions, rows: Sequence[int], number: int, truth: NDArray[np.bool_]) -> Figure:
    """Draw the ROC curve above the precision-recall curve, for one class against all others."""
    figure = blank_figure(WIDTH, 8.4)
    roc_axes, pr_axes = figure.subplots(2, 1)

    # A line per arm in both plots.
    for place, row in enumerate(rows):
        colour, line = _STYLES[place % len(_STYLES)]
        _, name = said.arms[row]
        scores = said.probabilities[row, :, number]
        false, true = _roc(truth, scores)
        recall, precision = _precision_recall(truth, scores)
        words = "\n".join(textwrap.wrap(method(name), 44))
        under = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
        roc_axes.plot(false, true, line, color=colour, lw=2, label=f"{under:.2f}  {words}")
        area = float(np.sum(np.diff(recall, prepend=0) * precision))
        pr_axes.step(
            np.append(0, recall),
            np.append(precision[:1], precision),
            line,
            where="pre",
            color=colour,
            lw=2,
            label=f"{area:.2f}  {words}",
        )

    # What guessing would reach.
    roc_axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=(0, (1, 2)))
    pr_axes.axhline(float(truth.mean()), color=QUIET, lw=1, ls=(0, (1, 2)))
    _style_square(
        roc_axes, "ROC: area under the curve", "1 - specificity (false alarms)", "sensitivity (found)"
    )
    _style_square(
        pr_axes,
        "Precision and recall: average precision",
        "recall (found)",
        "precision (right when it calls)",
    )
    return figure


def _style_square(axes: Axes, title: str, along: str, up: str) -> None:
    """Style axes that go from 0 to 1, with the legend below."""
    style_axes(axes).set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=along, ylabel=up)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(-0.02, -0.17))


def _roc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[_Array, _Array]:
    """False and true positive rates as the threshold falls; images of equal score share a step."""
    true, false = _cumulative_counts(truth, scores)
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def _precision_recall(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[_Array, _Array]:
    """Recall and precision as the threshold falls; the area of their steps is the average precision."""
    true, false = _cumulative_counts(truth, scores)
    return true / true[-1], true / (true + false)


def _cumulative_counts(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[_Array, _Array]:
    """Count images of the class, and others, at or above each threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    return np.cumsum(truth[order])[last].astype(float), np.cumsum(~truth[order])[last].astype(float)


def operating_points(said: _ArmPredictions) -> list[dict[str, Any]]:
    """The sensitivity of every arm for every rare class at specificities of at least 80, 90 and 95 %."""
    found = []
    for row, (judge, name) in enumerate(said.arms):
        for label in said.rare[:_MOST_CLASSES]:
            truth = said.truth == said.names.index(label)
            if not truth.any() or truth.all():
                continue
            false, true = _roc(truth, said.probabilities[row, :, said.names.index(label)])
            shares = [float(true[false <= 1 - wanted + 1e-9].max()) for wanted in _SPECIFICITIES]
            found.append(
                {"judge": JUDGES.get(judge, judge), "method": method(name), "label": label, "shares": shares}
            )
    return found


def confusion_matrices(said: _ArmPredictions) -> list[dict[str, Any]]:
    """The confusion matrix of every arm, true classes as rows; none if there are too many classes."""
    if len(said.names) > _MOST_CLASSES:
        return []
    there = np.flatnonzero(np.bincount(said.truth, minlength=len(said.names)))
    found = []
    for row, (judge, name) in enumerate(said.arms):
        called = said.probabilities[row].argmax(axis=1)
        counts = np.array(
            [[int(((said.truth == a) & (called == b)).sum()) for b in range(len(said.names))] for a in there]
        )
        lines = [
            (said.names[number], [(count, count / max(int(line.sum()), 1)) for count in line.tolist()])
            for number, line in zip(there, counts, strict=True)
        ]
        found.append(
            {"title": f"{JUDGES.get(judge, judge)}: {method(name)}", "names": said.names, "lines": lines}
        )
    return found
