"""Collect what the page of a balanced folder or of a training run shows."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.base import files
from medgan.base.errors import DatasetError, MedganError
from medgan.base.progress import format_duration
from medgan.filtering.summary import OUTCOME_COLUMNS, check_paragraphs
from medgan.output.catalogue import CONTACT_SHEET, unescape_row
from medgan.output.folder import MANIFEST
from medgan.pictures.contact_sheet import MOST_CLASSES, images_per_class
from medgan.pictures.spread import choose_spread
from medgan.plan.stored import parse_output_format
from medgan.reports.page import ClassGallery, NearestPair, Story
from medgan.scans import formats
from medgan.scans.scan import OutputFormat

PAIRS = 6
"""Nearest pairs on the page of a folder."""
GRIDS, MODEL = "grids", "model/model.json"
SUFFIX = ".run"
"""Of the run that `balance` trains beside its folder."""
STAND_INS = "`scans/` stands for the folder of your scans. Type a command where {} lies."
Pixels = NDArray[np.float32]
Lines = Sequence[Mapping[str, str]]
Read = Callable[[Path], bytes]


def of_folder(folder: Path, facts: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> Story:
    """The story of a folder that `balance` or `sample` wrote."""
    settings, counts = facts["settings"], facts.get("counts") or {"before": {}, "after": {}}
    filtered = facts.get("filter") or {}
    lines = [line for line in lines_of(folder) if not line.get("repeats")]
    form = form_of(facts)
    shown = () if form is None else tuple(galleries(folder, lines, form))
    told = {
        name: str(value)
        for name, value in settings.items()
        if isinstance(value, str | int | float) and value != ""
    }
    digests = {f"digest: {name}": str(facts[name]) for name in ("data", "model") if facts.get(name)}
    made = any(line.get("origin") == "synthetic" for line in lines)
    share = str((facts.get("share") or {}).get("sentence") or "")
    remarks = [str(note) for note in facts.get("notes") or ()]
    return Story(
        title=f"What medgan {settings.get('command', 'balance')} wrote",
        galleries=shown,
        sheet=b"" if shown else bytes_of(folder, CONTACT_SHEET),
        pairs=() if form is None else tuple(nearest_pairs(folder, lines, form)),
        filtered={
            label: {OUTCOME_COLUMNS[name]: int(tally[name]) for name in OUTCOME_COLUMNS}
            for label, tally in (filtered.get("counts") or {}).items()
        },
        checked=check_paragraphs(filtered, str(facts.get("data", ""))) if filtered and made else (),
        before=whole(counts["before"]),
        repeated=whole(facts.get("repeated") or {}),
        after=whole(counts["after"]),
        log=log,
        facts={**told, **digests},
        notes=[*remarks, *([f"Share of synthetic images: {share}."] if share else ())],
        unmeasured=[
            (
                "Whether these images help a classifier, how like real ones they are, and what they give away of patients, judged on patients held out",
                f"medgan evaluate scans/ --synthetic {short_name(folder)} --out {short_name(folder, '-evaluation')}",
            )
        ]
        if made
        else (),
        stand_ins=STAND_INS.format(f"`{short_name(folder)}`"),
    )


def of_run(folder: Path, facts: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> Story:
    """The story of a training run."""
    plan, model = facts["plan"], object_in(folder, MODEL)
    guards = model.get("guards") or {}
    notes = [*guards.get("alarms", ()), *filter(None, [guards.get("stopped")])]
    if not model:
        notes = [
            "This training is not finished: repeat its command, and it goes on.",
            *((log[-1].get("alarms") or ()) if log else ()),
        ]
    counts = whole(model.get("counts") or {})
    name = short_name(folder)
    return Story(
        title="Training run",
        before=counts,
        after=counts,
        log=log,
        grids=grids(folder, {row.get("images_shown"): row for row in log}),
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
                "Whether its images help a classifier, how like real ones they are, and what they give away of patients",
                f"medgan evaluate scans/ --model {name} --out {short_name(folder, '-evaluation')}",
            ),
        ],
        stand_ins=STAND_INS.format(f"`{name}`"),
    )


def whole(counts: Mapping[str, Any]) -> dict[str, int]:
    """Counts of a stored file; TypeError, ValueError or AttributeError where they are none."""
    return {str(label): int(count) for label, count in counts.items()}


def short_name(folder: Path, ending: str = "") -> str:
    """The folder by its last name, as it is typed beside it: where it lies is nobody's business but the user's."""
    return shlex.quote(folder.resolve().name + ending)


# --- what lies there ---


def bytes_of(folder: Path, name: str) -> bytes:
    """A file of the folder; empty where it is absent, no file, or leads elsewhere."""
    try:
        return files.read_inside(folder, name)
    except (OSError, DatasetError):
        return b""


def object_in(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object in a file of the folder; empty where there is none that can be read."""
    try:
        return files.read_object(files.resolve_inside(folder, name))
    except (OSError, ValueError, DatasetError):
        return {}


def lines_of(folder: Path) -> Lines:
    """The lines of manifest.csv; none where it is absent or damaged."""
    try:
        with files.resolve_inside(folder, MANIFEST).open(encoding="utf-8", newline="") as stream:
            whole = (
                line for line in csv.DictReader(stream) if None not in line and None not in line.values()
            )
            return [unescape_row(line) for line in whole if line.get("path") and "label" in line]
    except (OSError, ValueError, csv.Error, DatasetError):
        return []


def form_of(facts: Mapping[str, Any]) -> OutputFormat | None:
    """The form of the images; None where run.json tells none."""
    try:
        return parse_output_format(facts["form"])
    except (KeyError, ValueError):
        return None


def image_of(folder: Path, line: Mapping[str, str], form: OutputFormat) -> Pixels | None:
    """The image (C, H, W) of a line; None where it cannot be read, for one bad file spoils no page."""
    try:
        image = formats.read_output(files.resolve_inside(folder, line["path"]), form)
    except (MedganError, OSError, ValueError):
        return None
    return np.moveaxis(image, -1, 0) if image.ndim > 2 else image[None]


def galleries(folder: Path, lines: Lines, form: OutputFormat) -> Iterator[ClassGallery]:
    """Some images of every class, each with the name of its file."""
    halls: dict[str, tuple[list[Mapping[str, str]], list[Mapping[str, str]]]] = {}
    for line in lines:
        halls.setdefault(line["label"], ([], []))[line.get("origin") == "synthetic"].append(line)
    wanted = images_per_class(len(halls))
    for label in sorted(halls)[:MOST_CLASSES]:
        sides = []
        for hall in halls[label]:
            own = [
                hall[place]
                for place in choose_spread([line.get("patient") or line["path"] for line in hall], wanted)
            ]
            seen = [
                (image, line)
                for line in own
                if (line.get("low") or line.get("origin") == "synthetic")
                and (image := image_of(folder, line, form)) is not None
            ]
            sides.append(alike(seen))
        (real, real_names), (made, made_names) = sides
        if real is not None or made is not None:
            counts = len(halls[label][0]), len(halls[label][1])
            yield ClassGallery(
                label=label,
                real=real,
                synthetic=made,
                names=(real_names, made_names),
                counts=counts,
                absent="none needed",
            )


def alike(seen: Sequence[tuple[Pixels, Mapping[str, str]]]) -> tuple[Pixels | None, list[str]]:
    """Those images that are of the first one's shape, stacked, and the names of their files."""
    same = [(image, line) for image, line in seen if image.shape == seen[0][0].shape]
    names = [line["path"].rpartition("/")[2] for _, line in same]
    return (np.stack([image for image, _ in same]) if same else None), names


def nearest_pairs(folder: Path, lines: Lines, form: OutputFormat) -> Iterator[NearestPair]:
    """The synthetic images that lie nearest to a training image, with it where it is in the folder, too."""
    real = {Path(line["path"]).name.partition(".")[0]: line for line in lines if line.get("origin") == "real"}
    scored = [
        (float(line["nearest_distance"]), line) for line in lines if _is_number(line.get("nearest_distance"))
    ]
    scored.sort(key=lambda one: (one[0], one[1]["path"]))
    for distance, line in scored[:PAIRS]:
        ours = image_of(folder, line, form)
        beside = real.get(line.get("nearest_real") or "")
        theirs = image_of(folder, beside, form) if beside is not None and beside.get("low") else None
        if ours is None:
            continue
        name = beside["path"].rpartition("/")[2] if beside is not None else line.get("nearest_real") or ""
        words = f"{line['path'].rpartition('/')[2]} and {name}: distance {distance:.3f} (1 - correlation; 0 is the very image)."
        if theirs is None:
            words += " The real one is not in this folder in the same form."
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


def grids(folder: Path, rows: Mapping[Any, Mapping[str, Any]]) -> list[tuple[str, bytes]]:
    """The first, the middle and the last picture of what the generator drew."""
    place = folder / GRIDS
    names = (
        sorted(path.name for path in place.glob("*.png") if path.stem.isdecimal()) if place.is_dir() else []
    )
    wanted = list(dict.fromkeys(names[where] for where in (0, len(names) // 2, -1))) if names else []
    found = []
    for name in wanted:
        data = bytes_of(folder, f"{GRIDS}/{name}")
        if data.startswith(b"\x89PNG"):
            shown = int(name.partition(".")[0])
            after = f", {format_duration(rows[shown]['seconds'])} of training" if shown in rows else ""
            found.append((f"After {shown:,} images shown{after}", data))
    return found
