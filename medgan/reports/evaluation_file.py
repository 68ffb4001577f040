"""Read and check evaluation.json, which may be damaged or written by someone else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.evaluation.giveaways import Giveaway, Separation
from medgan.evaluation.hypothesis_tests import TestResult
from medgan.evaluation.privacy import Finding
from medgan.evaluation.score import Score
from medgan.evaluation.usefulness.arm_scores import Arm
from medgan.reports.wording import SCORES

RESULT = "evaluation.json"
_MAX_COUNT = 2**53
"""Counts stay below this: from here on a float cannot represent every integer."""


_KEYS = {
    "verdict": str | None,
    "sentence": str | None,
    "arm": str | None,
    "command": str,
    "counts": Mapping[str, Mapping[str, int]],
    "unseen": str,
    "sources": Mapping[str, str],
    "settings": Mapping[str, Any],
    "notes": tuple[str, ...],
    "filter": Mapping[str, Any] | None,
    "usefulness": Mapping[str, Any] | None,
    "shortcut": Mapping[str, Any] | None,
    "privacy": Mapping[str, Any] | None,
    "giveaways?": Mapping[str, Any] | None,
    "headroom?": Mapping[str, Any] | None,
    "care?": str | None,
    "quiz?": Mapping[str, Any] | None,
}
"""Top-level keys that the report uses, with their types; other keys are not checked."""
_PART_KEYS = {"sentence?": str, "verdict?": str}
"""Keys of a part that the report uses."""


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read an evaluation.

    Raises:
        DatasetError: the file is not what `evaluate` writes.
    """
    try:
        value = files.read_object(path)
        _check(value)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} is damaged, or was not written by medgan ({error})",
            hint="Repeat the `medgan evaluate` command that wrote it; finished parts are not measured again.",
        ) from error
    return value


def _check(value: Mapping[str, Any]) -> None:
    """Raise ValueError for what no evaluation holds."""
    # The top level.
    told: dict[str, Any] = files.from_known_json(_KEYS, value, RESULT)
    _check_counts(told["counts"])
    shlex.split(told["command"])

    # The rows of each table.
    private = told["privacy"] or {}
    _check_rows(Arm, value.get("arms", []), "arms")
    beyond = (told["usefulness"] or {}).get("external")
    if beyond is not None:
        files.from_known_json(_PART_KEYS, beyond, "usefulness.external")
        _check_rows(Arm, beyond.get("arms", []), "usefulness.external.arms")
    _check_rows(Score, value.get("scores", []), "scores")
    _check_rows(TestResult, private.get("tests", []), "privacy.tests")
    _check_rows(Finding, private.get("findings", []), "privacy.findings")
    giveaways = told.get("giveaways") or {}
    _check_signs(giveaways, "giveaways")
    if giveaways.get("external") is not None:
        files.from_known_json(_PART_KEYS, giveaways["external"], "giveaways.external")
        _check_signs(giveaways["external"], "giveaways.external")

    # Names and sentences that the report needs words for.
    strange = {score["name"] for score in value.get("scores", [])} - set(SCORES)
    if strange:
        raise ValueError(f"scores: {min(strange)[:80]!r} is not a score")
    for name in ("filter", "giveaways", "headroom", "shortcut", "privacy"):
        if told.get(name) is not None:
            files.from_known_json(_PART_KEYS, told[name], name)
    if told["filter"] is not None and "sentence" not in told["filter"]:
        raise ValueError("filter lacks 'sentence'")


def _check_signs(told: Mapping[str, Any], name: str) -> None:
    """Raise ValueError unless the signs that may give classes away have their figures."""
    signs = told.get("signs", [])
    _check_rows(Giveaway, signs, f"{name}.signs")
    for sign in signs:
        _check_rows(Separation, sign["classes"], f"{name}.signs[].classes")


def _check_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    for name in ("train", "synthetic"):
        if name not in counts:
            raise ValueError(f"{RESULT}.counts lacks {name!r}")
    if any(not 0 <= count < _MAX_COUNT for own in counts.values() for count in own.values()):
        raise ValueError(f"{RESULT}.counts holds something that is not a number of images")


def _check_rows(kind: type, rows: object, name: str) -> None:
    """Raise ValueError unless `rows` is a list of such objects, all with the same keys."""
    if not isinstance(rows, list):
        raise ValueError(f"{name} should be a list")  # noqa: TRY004  # as files.from_json says it
    for place, row in enumerate(rows):
        files.from_known_json(kind, row, f"{name}[{place}]")
        if row.keys() != rows[0].keys():
            raise ValueError(f"{name}[{place}] has other keys than the first")
