"""The kinds of models, and the sentence with which a command refuses one that it cannot use."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medgan.base.errors import ModelError, OutputError

GAN, ANOMALY = "gan", "anomaly"
KINDS: Mapping[str, tuple[str, str]] = {
    GAN: ("a generator, which draws images", "medgan sample {model} --out FOLDER"),
    ANOMALY: (
        "a model of normal scans, which scores others",
        "medgan anomaly SCANS --model {model} --out FOLDER",
    ),
}
"""{kind of a model: what it is in words, and the command that applies it}."""
TASKS: Mapping[str, str] = {GAN: "draw", ANOMALY: "anomaly"}
"""{kind of a model: what `train --for` calls it}."""


def kind_of(record: Mapping[str, Any]) -> str:
    """The kind that model.json or run.json states; older ones state none and are generators."""
    kind = record.get("kind", GAN)
    return kind if isinstance(kind, str) else ""


def require_kind(record: Mapping[str, Any], wanted: str, folder: Path) -> None:
    """Refuse a model of another kind by the command that fits it.

    Args:
        record: What model.json holds.
        wanted: The kind that the command needs.
        folder: The folder that the user named.
    """
    kind = kind_of(record)
    if kind == wanted:
        return
    if kind not in KINDS:
        raise ModelError(f"{folder}: this medgan does not know this kind of model", hint="Update medgan.")
    words, command = KINDS[kind]
    raise ModelError(
        f"{folder}: this model is {words}",
        hint=f"Use it with `{command.format(model=shlex.quote(str(folder)))}`.",
    )


def require_run_of_kind(record: Mapping[str, Any], wanted: str, folder: Path) -> None:
    """Refuse to continue a training run whose model is of another kind."""
    kind = kind_of(record)
    if kind != wanted:
        began = TASKS.get(kind, "something else")
        raise OutputError(
            f"{folder} holds a run of medgan train --for {began}",
            hint="Choose another --out: nothing is ever overwritten.",
        )
