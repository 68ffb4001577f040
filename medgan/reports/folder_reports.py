"""Collect what the report of a folder of images or of a training run shows."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.base.errors import DatasetError, MedganError
from medgan.base.progress import format_duration
from medgan.filtering.summary import OUTCOME_COLUMNS, check_paragraphs
from medgan.output.card import CONTACT_SHEET
from medgan.output.folder import MANIFEST
from medgan.output.tables import unescape_row
from medgan.pictures.contact_sheet import MOST_CLASSES, images_per_class
from medgan.pictures.display import ClassGallery
from medgan.pictures.spread import choose_spread
from medgan.plan.stored import parse_output_format
from medgan.reports.page import NearestPair, ReportData
from medgan.scans import formats
from medgan.scans.scan import OutputFormat

_PAIRS = 6
"""Nearest pairs in the report of a folder."""
_GRIDS = "grids"
"""Subfolder of a run with the pictures of its ticks."""
_MODEL = "model/model.json"
"""The record of the trained model, in the run folder."""
SUFFIX = ".run"
"""Ending of the run folder that `balance` creates beside its output folder."""
STAND_INS = "`scans/` stands for the folder of your scans. Type a command where {} lies."
_Pixels = NDArray[np.float32]
_Lines = Sequence[Mapping[str, str]]


def folder_report(folder: Path, facts: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> ReportData:
    """Collect the report of a folder that `balance` or `sample` wrote.

    Args:
        folder: The folder.
        facts: Its run.json.
        log: Lines of log.jsonl of the run beside it; empty if there is none.
    """
    # The images and what run.json says of them.
    settings, counts = facts["settings"], facts.get("counts") or {"before": {}, "after": {}}
    filtered = facts.get("filter") or {}
    lines = [line for line in _read_manifest(folder) if not line.get("repeats")]
    form = _read_form(facts)
    shown = () if form is None else tuple(_galleries(folder, lines, form))

    # Settings, digests and remarks.
    told = {
        name: str(value)
        for name, value in settings.items()
        if isinstance(value, str | int | float) and value != ""
    }
    digests = {f"digest: {name}": str(facts[name]) for name in ("data", "model") if facts.get(name)}
    made = any(line.get("origin") == "synthetic" for line in lines)
    share = str((facts.get("share") or {}).get("sentence") or "")
    remarks = [str(note) for note in facts.get("notes") or ()]
    return ReportData(
        title=f"What medgan {settings.get('command', 'balance')} wrote",
        galleries=shown,
        sheet=b"" if shown else _read_bytes(folder, CONTACT_SHEET),
        pairs=() if form is None else tuple(_nearest_pairs(folder, lines, form)),
        filtered={
            label: {OUTCOME_COLUMNS[name]: int(tally[name]) for name in OUTCOME_COLUMNS}
            for label, tally in (filtered.get("counts") or {}).items()
        },
        checked=check_paragraphs(filtered, str(facts.get("data", ""))) if filtered and made else (),
        before=_to_counts(counts["before"]),
        repeated=_to_counts(facts.get("repeated") or {}),
        after=_to_counts(counts["after"]),
        log=log,
        facts={**told, **digests},
        notes=[*remarks, *([f"Share of synthetic images: {share}."] if share else ())],
        unmeasured=[
            (
                "Whether these images help a classifier, how like real ones they are, and what they reveal "
                "about patients, judged on held-out patients",
                f"medgan evaluate scans/ --synthetic {short_name(folder)}"
                f" --out {short_name(folder, '-evaluation')}",
            )
        ]
        if made
        else (),
        stand_ins=STAND_INS.format(f"`{short_name(folder)}`"),
    )


def run_report(folder: Path, facts: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> ReportData:
    """Collect the report of a training run.

    Args:
        folder: The run folder.
        facts: Its run.json.
        log: Lines of its log.jsonl.
    """
    # What the plan, the model and its guards say.
    plan, model = facts["plan"], _read_object(folder, _MODEL)
    guards = model.get("guards") or {}
    notes = [*guards.get("alarms", ()), *filter(None, [guards.get("stopped")])]
    if not model:
        notes = [
            "This training is not finished: repeat its command to continue it.",
            *((log[-1].get("alarms") or ()) if log else ()),
        ]
    counts = _to_counts(model.get("counts") or {})
    name = short_name(folder)
    return ReportData(
        title="Training run",
        before=counts,
        after=counts,
        log=log,
        grids=_grid_pictures(folder, {row.get("images_shown"): row for row in log}),
        facts={
            "size": " x ".join(map(str, plan["size"])),
            "classes": str(len(plan["labels"])),
            "images shown": f"{log[-1]['images_shown'] if log else 0:,}",
            **({"trained for": format_duration(log[-1]["seconds"])} if log else {}),
            "seed": str(plan["seed"]),
            "device": str(plan.get("device", "")),
            "digest: data": str(facts["data_digest"]),
            **({"digest: model": str(model["digest"])} if model.get("digest") else {}),
        },
        notes=notes,
        unmeasured=[
            (
                "Synthetic images in files, a class-balanced folder",
                f"medgan balance scans/ --model {name} --out {short_name(folder, '-balanced')}",
            ),
            (
                "Whether its images help a classifier, how like real ones they are, and what they reveal "
                "about patients",
                f"medgan evaluate scans/ --model {name} --out {short_name(folder, '-evaluation')}",
            ),
        ],
        stand_ins=STAND_INS.format(f"`{name}`"),
    )


def _to_counts(counts: Mapping[str, Any]) -> dict[str, int]:
    """Convert stored counts; raises TypeError, ValueError or AttributeError if they are not counts."""
    return {str(label): int(count) for label, count in counts.items()}


def short_name(folder: Path, ending: str = "") -> str:
    """The last part of a folder's path, quoted for a shell; the rest of the path is private."""
    return shlex.quote(folder.resolve().name + ending)


# --- files of the folder ---


def _read_bytes(folder: Path, name: str) -> bytes:
    """Read a file of the folder; empty if it is absent, not a file, or leads out of the folder."""
    try:
        return files.read_inside(folder, name)
    except (OSError, DatasetError):
        return b""


def _read_object(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file of the folder; empty if it cannot be read."""
    try:
        return files.read_object(files.resolve_inside(folder, name))
    except (OSError, ValueError, DatasetError):
        return {}


def _read_manifest(folder: Path) -> _Lines:
    """Read the lines of manifest.csv; none if it is absent or damaged."""
    try:
        with files.resolve_inside(folder, MANIFEST).open(encoding="utf-8", newline="") as stream:
            whole = (
                line for line in csv.DictReader(stream) if None not in line and None not in line.values()
            )
            return [unescape_row(line) for line in whole if line.get("path") and "label" in line]
    except (OSError, ValueError, csv.Error, DatasetError):
        return []


def _read_form(facts: Mapping[str, Any]) -> OutputFormat | None:
    """Read the file form of the images from run.json; None if it has none."""
    try:
        return parse_output_format(facts["form"])
    except (KeyError, ValueError):
        return None


def _read_image(folder: Path, line: Mapping[str, str], form: OutputFormat) -> _Pixels | None:
    """Read the image (C, H, W) of a line; None if it cannot be read, so that the report does not fail."""
    try:
        image = formats.read_output(files.resolve_inside(folder, line["path"]), form)
    except (MedganError, OSError, ValueError):
        return None
    return np.moveaxis(image, -1, 0) if image.ndim > 2 else image[None]


def _galleries(folder: Path, lines: _Lines, form: OutputFormat) -> Iterator[ClassGallery]:
    """Some images of every class, with their file names."""
    # {class: (lines of real images, lines of synthetic images)}
    by_label: dict[str, tuple[list[Mapping[str, str]], list[Mapping[str, str]]]] = {}
    for line in lines:
        by_label.setdefault(line["label"], ([], []))[line.get("origin") == "synthetic"].append(line)

    # Images of many patients; real ones only where they were prepared like the synthetic ones.
    wanted = images_per_class(len(by_label))
    for label in sorted(by_label)[:MOST_CLASSES]:
        sides = []
        for side in by_label[label]:
            own = [
                side[place]
                for place in choose_spread([line.get("patient") or line["path"] for line in side], wanted)
            ]
            seen = [
                (image, line)
                for line in own
                if (line.get("low") or line.get("origin") == "synthetic")
                and (image := _read_image(folder, line, form)) is not None
            ]
            sides.append(_stack_same_shape(seen))
        (real, real_names), (made, made_names) = sides
        if real is not None or made is not None:
            counts = len(by_label[label][0]), len(by_label[label][1])
            yield ClassGallery(
                label=label,
                real=real,
                synthetic=made,
                names=(real_names, made_names),
                counts=counts,
                absent="none needed",
            )


def _stack_same_shape(seen: Sequence[tuple[_Pixels, Mapping[str, str]]]) -> tuple[_Pixels | None, list[str]]:
    """Stack the images that have the shape of the first one; return them with their file names."""
    same = [(image, line) for image, line in seen if image.shape == seen[0][0].shape]
    names = [line["path"].rpartition("/")[2] for _, line in same]
    return (np.stack([image for image, _ in same]) if same else None), names


def _nearest_pairs(folder: Path, lines: _Lines, form: OutputFormat) -> Iterator[NearestPair]:
    """The synthetic images nearest to a training image, with that image if it is in the folder."""
    real = {Path(line["path"]).name.partition(".")[0]: line for line in lines if line.get("origin") == "real"}
    scored = [
        (float(line["nearest_distance"]), line) for line in lines if _is_number(line.get("nearest_distance"))
    ]
    scored.sort(key=lambda one: (one[0], one[1]["path"]))
    for distance, line in scored[:_PAIRS]:
        ours = _read_image(folder, line, form)
        beside = real.get(line.get("nearest_real") or "")
        theirs = _read_image(folder, beside, form) if beside is not None and beside.get("low") else None
        if ours is None:
            continue
        name = beside["path"].rpartition("/")[2] if beside is not None else line.get("nearest_real") or ""
        words = (
            f"{line['path'].rpartition('/')[2]} and {name}: distance {distance:.3f}"
            " (1 - correlation; 0 is the same image)."
        )
        if theirs is None:
            words += " The real image is not in this folder in the same form."
        yield NearestPair(
            label=line["label"],
            words=words,
            synthetic=ours,
            real=theirs if theirs is not None and theirs.shape == ours.shape else None,
        )


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and 0 <= float(text) <= 2
    except ValueError:
        return False


def _grid_pictures(folder: Path, rows: Mapping[Any, Mapping[str, Any]]) -> list[tuple[str, bytes]]:
    """(title, PNG) of the first, the middle and the last images drawn during training."""
    place = folder / _GRIDS
    names = (
        sorted(path.name for path in place.glob("*.png") if path.stem.isdecimal()) if place.is_dir() else []
    )
    wanted = list(dict.fromkeys(names[where] for where in (0, len(names) // 2, -1))) if names else []
    found = []
    for name in wanted:
        data = _read_bytes(folder, f"{_GRIDS}/{name}")
        if data.startswith(b"\x89PNG"):
            shown = int(name.partition(".")[0])
            after = f", {format_duration(rows[shown]['seconds'])} of training" if shown in rows else ""
            found.append((f"After {shown:,} images shown{after}", data))
    return found
