"""Show a model of normal scans, and the scans that were compared with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medgan.base.escape import printable
from medgan.base.progress import format_duration
from medgan.cli.terminal import put, render

_Facts = Mapping[str, Any]


def show_normal_model(report: _Facts) -> None:
    """Show what `train --for anomaly` learned, or what it would learn."""
    normal = report["normal"]
    facts = {
        "run": report["run"],
        "normal class": normal["label"],
        "normal patients": f"{normal['patients']:,}, of whom {normal['calibration_patients']:,} calibrate",
        "images learned": f"{normal['images']:,}",
    }
    if report["model_digest"]:
        facts |= {"time": format_duration(report["seconds"]), "model digest": report["model_digest"]}
        _lines(facts)
    else:
        facts["time it would take"] = f"about {format_duration(report['estimate_seconds'])}"
        _lines(facts)
        _line("")
        for name, decision in report["plan"].items():
            _line(f"{name}: {decision['value']} ({decision['why']})")
    for warning in report["warnings"]:
        _line(f"warning: {warning}", style="yellow")
    _line(normal["sentence"])
    if report["model_digest"]:
        _line(f"next: medgan anomaly SCANS --model {shlex.quote(report['run'])} --out found/", style="dim")


def show_anomalies(report: _Facts) -> None:
    """Show how many patients alarm, and what tells the classes apart where they are known."""
    counts = f"{report['alarms']} of {report['patients']}"
    _lines(
        {
            "scans": report["scans"],
            "patients that alarm": counts,
            "files": ", ".join(f"{n} {verdict}" for verdict, n in report["verdicts"].items()),
            "scores": report["scores"],
        }
    )
    if report["figures"]:
        _line("")
        _line("How well each tells the other classes from the normal one (AUROC over scans):")
        for one in report["figures"]:
            _line(f"  {one['name']:24} {one['auroc']:.3f}  {one['what']}")
    for note in report["notes"]:
        _line(f"note: {note}", style="yellow")
    _line("Not for clinical use.")
    _line(f"next: open {Path(report['report'])}", style="dim")


def _lines(facts: _Facts) -> None:
    """Write names and values in two columns."""
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        _line(f"{name:{width}}{value}")


def _line(text: str, *, style: str = "") -> None:
    """Write a line to stdout."""
    from rich.text import Text  # noqa: PLC0415  # Rich is slow to load

    put(render(Text(printable(text), style=style)))
