"""Show a model of normal scans, and the scans that were compared with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medgan.base.progress import format_duration
from medgan.cli.tables import write_facts, write_line

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
        write_facts(facts)
    else:
        facts["time it would take"] = f"about {format_duration(report['estimate_seconds'])}"
        write_facts(facts)
        write_line("")
        for name, decision in report["plan"].items():
            write_line(f"{name}: {decision['value']} ({decision['why']})")
    for warning in report["warnings"]:
        write_line(f"warning: {warning}", style="yellow")
    write_line(normal["sentence"])
    if report["model_digest"]:
        write_line(
            f"next: medgan anomaly SCANS --model {shlex.quote(report['run'])} --out found/", style="dim"
        )


def show_anomalies(report: _Facts) -> None:
    """Show how many patients alarm, and what tells the classes apart where they are known."""
    counts = f"{report['alarms']} of {report['patients']}"
    write_facts(
        {
            "scans": report["scans"],
            "patients that alarm": counts,
            "files": ", ".join(f"{n} {verdict}" for verdict, n in report["verdicts"].items()),
            "scores": report["scores"],
        }
    )
    if report["figures"]:
        write_line("")
        write_line("How well each tells the other classes from the normal one (AUROC over scans):")
        for one in report["figures"]:
            write_line(f"  {one['name']:24} {one['auroc']:.3f}  {one['what']}")
    for note in report["notes"]:
        write_line(f"note: {note}", style="yellow")
    write_line("Not for clinical use.")
    write_line(f"next: open {Path(report['report'])}", style="dim")
