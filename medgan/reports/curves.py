"""ROC and precision-recall curves, confusion matrices, sensitivities."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medgan.reports.figures import INK, MADE, QUIET, REAL, WIDTH, blank, plain, plot
from medgan.reports.wording import JUDGES, method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPECIFICITIES = (0.8, 0.9, 0.95)
MOST_CLASSES = 12
"""Classes of a matrix, and rare classes with curves of their own."""
STYLES = ((REAL, "-"), (MADE, "-"), (QUIET, "--"), (MADE, ":"))
Array = NDArray[np.float64]


class Said(Protocol):
    """Of A arms, N held-out images and K classes; no image says whose it is."""

    names: tuple[str, ...]
    rare: tuple[str, ...]
    arms: tuple[tuple[str, str], ...]
    """(A,): judge and arm."""
    truth: NDArray[np.int64]
    """(N,)."""
    probabilities: NDArray[np.float32]
    """(A, N, K)."""


def choose_arms(arms: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The arms whose curves are drawn, judge by judge: the reference, the one that was named, real images as they are."""
    found: list[tuple[str, str]] = []
    for judge in dict.fromkeys(str(arm["judge"]) for arm in arms):
        own = [arm for arm in arms if arm["judge"] == judge]
        picked = [arm for role in ("reference", "named") for arm in own if arm["role"] == role]
        picked += [arm for arm in own if arm["name"] == "real"]
        found += list(dict.fromkeys((judge, str(arm["name"])) for arm in picked))
    return found


def figures_of(said: Said, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, bytes, str]]:
    """(title, SVG, words for those who do not see it) of each judge and rare class: both curves side by side."""
    found = []
    for judge in dict.fromkeys(judge for judge, _ in wanted):
        rows = [said.arms.index(key) for key in wanted if key[0] == judge and key in said.arms]
        for label in said.rare[:MOST_CLASSES]:
            number = said.names.index(label)
            truth = said.truth == number
            if not rows or not truth.any() or truth.all():
                continue
            title = f"{label}: {JUDGES.get(judge, judge).lower()}"
            image = plot((), lambda _, rows=rows, number=number, truth=truth: both(said, rows, number, truth))  # type: ignore[misc]
            found.append(
                (title, image, f"ROC and precision-recall curves: {title}; areas are in the legend.")
            )
    return found


def both(said: Said, rows: Sequence[int], number: int, truth: NDArray[np.bool_]) -> Figure:
    """The ROC curve above, the precision-recall curve below, of one class against all others."""
    figure = blank(WIDTH, 8.4)
    roc_axes, pr_axes = figure.subplots(2, 1)
    for place, row in enumerate(rows):
        colour, line = STYLES[place % len(STYLES)]
        _, name = said.arms[row]
        scores = said.probabilities[row, :, number]
        false, true = roc(truth, scores)
        recall, precision = precision_recall(truth, scores)
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
    roc_axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=(0, (1, 2)))
    pr_axes.axhline(float(truth.mean()), color=QUIET, lw=1, ls=(0, (1, 2)))
    square(roc_axes, "ROC: area under the curve", "1 - specificity (false alarms)", "sensitivity (found)")
    square(
        pr_axes,
        "Precision and recall: average precision",
        "recall (found)",
        "precision (right when it calls)",
    )
    return figure


def square(axes: Axes, title: str, along: str, up: str) -> None:
    """Axes from 0 to 1, with the legend below."""
    plain(axes).set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=along, ylabel=up)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(-0.02, -0.17))


def roc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[Array, Array]:
    """Share of the others called, and share of the class found, as the threshold falls; images of equal score share one."""
    true, false = cumulate(truth, scores)
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def precision_recall(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[Array, Array]:
    """Recall, and the precision at each, as the threshold falls; their steps' area is the average precision."""
    true, false = cumulate(truth, scores)
    return true / true[-1], true / (true + false)


def cumulate(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[Array, Array]:
    """Images of the class, and others, at or above each threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    return np.cumsum(truth[order])[last].astype(float), np.cumsum(~truth[order])[last].astype(float)


def operating(said: Said) -> list[dict[str, Any]]:
    """Of every arm and rare class the highest sensitivity at each of SPECIFICITIES or more, among all images that judge."""
    found = []
    for row, (judge, name) in enumerate(said.arms):
        for label in said.rare[:MOST_CLASSES]:
            truth = said.truth == said.names.index(label)
            if not truth.any() or truth.all():
                continue
            false, true = roc(truth, said.probabilities[row, :, said.names.index(label)])
            shares = [float(true[false <= 1 - wanted + 1e-9].max()) for wanted in SPECIFICITIES]
            found.append(
                {"judge": JUDGES.get(judge, judge), "method": method(name), "label": label, "shares": shares}
            )
    return found


def matrices(said: Said) -> list[dict[str, Any]]:
    """Of every arm how often each class (rows) was called each class (columns), as counts; none where there are too many classes."""
    if len(said.names) > MOST_CLASSES:
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
