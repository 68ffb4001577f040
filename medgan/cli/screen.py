"""Show results as tables or JSON on stdout."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from medgan.base.progress import format_duration
from medgan.cli.errors import show_hint
from medgan.cli.tables import format_words, write_facts, write_line, write_table
from medgan.cli.terminal import put

_KILO = 1000
"""Factor between decimal units of size."""

_REGION_FACTS = {
    "scans": "scans", "images": "images", "objects": "objects",
    "median_px": "median pixels", "median_px_trained": "at training size",
}  # fmt: skip
"""{key of a region in the JSON: head of its column}."""
_MEASUREMENTS = {
    "formats": "file formats",
    "modalities": "modalities",
    "meanings": "meaning of a pixel",
    "bits": "bits per pixel",
    "channels": "colour",
    "rows": "rows",
    "columns": "columns",
    "spacing_mm": "spacing in mm (z, y, x)",
    "levels": "intensity (lowest, 0.5 %, median, 99.5 %, highest)",
    "duplicates": "duplicates",
    "leaks": "set aside, being also in val or test",
}
"""{what was measured: words for it}."""

_MAIN_DECISIONS = (
    ("size", "size in pixels", "--size, --effort"),
    ("geometry", "geometry", ""),
    ("mm_per_pixel", "mm per pixel", ""),
    ("form", "values and form", "--window"),
    ("images_shown", "images shown", "--images, --effort"),
    ("minutes", "minutes", "--minutes"),
    ("batch", "images per step", "--batch"),
    ("features", "guiding network", "--features"),
    ("device", "device", "--device"),
    ("seed", "seed", "--seed"),
)
"""(decision, words for it, options that change it) of the decisions shown by default."""
_OPEN: Mapping[str, Mapping[Any, str]] = {
    "precision": {"auto": "timed when training begins"},
    "graphed": {None: "timed when training begins"},
    "threads": {None: "as many as torch takes"},
    "minutes": {None: "no limit"},
}
"""{decision: {value of an open decision: words for it}}."""

_COLOURS = {"1": "gray", "3": "colour"}

_VERDICTS = {
    "helps": ("Helps", "green"),
    "no-difference": ("No difference", "yellow"),
    "harms": ("Harms", "red"),
    "cannot-tell": ("Cannot tell", "bright_black"),
}
"""{verdict of an evaluation: its words and colour}."""
_TONES = {"good": "green", "even": "yellow", "bad": "red", "none": "bright_black"}
_MARKS = {"good": "+", "even": "~", "bad": "x", "none": "?"}
_QUESTIONS = {"distance": "as a whole", "realism": "each by itself", "variety": "as varied"}
"""{question about a class: heading of its column}."""

_Facts = Mapping[str, Any]
"""Plain data as in the documented JSON."""


def show_json(value: object) -> None:
    """Write JSON to stdout, in ASCII so that any locale and any file name work."""
    put(json.dumps(value, indent=2) + "\n")


def show_inspection(report: _Facts, *, everything: bool = False) -> None:
    """Show what `inspect` found: warnings, classes, measurements, verdicts on files, and the plan."""
    _warnings(report["warnings"])
    write_table("Classes", ("split", "class", "scans", "images", "patients", "missing"), _classes(report))
    regions = ((name, *map(of.get, _REGION_FACTS)) for name, of in report.get("regions", {}).items())
    write_table("Regions in train", ("region", *_REGION_FACTS.values()), regions)
    write_table(
        "Masks", ("", ""), [(name.replace("_", " "), n) for name, n in report.get("pairs", {}).items()]
    )
    write_table("Measured in train", ("", ""), _measured_facts(report["measured"], report["told_apart"]))
    write_table("Files", ("", ""), report["verdicts"].items())
    for entry in report.get("files", ()):
        write_line(f"  {entry['verdict']:24} {entry['split']:6} {entry['path']}  {entry['reason']}".rstrip())
    _plan(report["plan"] or {}, everything=everything)


def _warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        write_line(f"warning: {warning}", style="yellow")


def show_training(report: _Facts, *, everything: bool = False) -> None:
    """Show the result of `train`, or of its dry run the plan and the estimated time."""
    if not report["model_digest"]:
        _warnings(report["warnings"])
        _plan(report["plan"], everything=everything)
        write_facts({"time it would take": f"about {format_duration(report['estimate_seconds'])}"})
        return
    write_facts(
        {
            "run": report["run"],
            "images shown": f"{report['images_shown']:,}",
            "time": format_duration(report["seconds"]),
            "model digest": report["model_digest"],
        }
    )
    _warnings(report["warnings"])
    show_hint(f"medgan sample {shlex.quote(report['run'])} --out {_free('synthetic')}/")


def _free(name: str) -> str:
    """The name, or the first of name-2, name-3, ... that does not exist, so that a hint works as it is."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(one for one in names if not Path(one).exists())


def show_foreseen(report: _Facts) -> None:
    """Show what `balance` would write, by which plan, and how long its training would take."""
    _plan(report["plan"])
    parts = report["before"], report["repeated"], report["missing"]
    _mixture("What would be written", report["real"], parts, ", at most" if report["at_most"] else "")
    for note in report["notes"]:
        write_line(f"note: {note}", style="yellow")
    write_line("")
    if report["trains"]:
        write_facts(
            {"time to train": f"about {format_duration(report['estimate_seconds'])}; drawing comes on top"}
        )
    write_line("Nothing was written.")


def show_output(report: _Facts) -> None:
    """Show where images were written, and what each class is made up of."""
    _mixture(
        "Training images", report["real"], (report["counts"]["before"], report["repeated"], report["written"])
    )
    _show_filter(report["filter"])
    for note in report["notes"]:
        write_line(f"note: {note}", style="yellow")
    write_line(report["share"]["sentence"])
    write_facts({name: report[name] for name in ("out", "manifest")})
    for film in report.get("films", ()):
        write_line(f"film      {film}")
    show_hint(f"look at {Path(report['out']) / 'contact-sheet.png'}")


def _mixture(title: str, real: str, parts: Sequence[_Facts], most: str = "") -> None:
    """Show real, repeated and synthetic images per class with their share, or only synthetic ones."""
    counts = {label: [part.get(label, 0) for part in parts] for label in parts[0]}
    if real == "none":
        write_table(
            "Synthetic images",
            ("class", f"images{most}"),
            ((label, own[-1]) for label, own in counts.items() if own[-1]),
        )
    else:
        head = ("class", "real", "repeated", f"synthetic{most}", f"share{most}", "together")
        write_table(
            title,
            head,
            ((label, *own, f"{own[-1] / max(sum(own), 1):.0%}", sum(own)) for label, own in counts.items()),
        )


def _show_filter(filtered: _Facts) -> None:
    """Show the outcomes of the filter, and a warning if near copies were not checked."""
    head = ("class", "drawn", "near copies", "class unsure", "unrealistic", "not needed", "kept", "in doubt")
    names = ("drawn", "copy", "class", "realism", "surplus", "kept", "kept_in_doubt")
    write_table(
        "Filter", head, [(label, *map(counts.get, names)) for label, counts in filtered["counts"].items()]
    )
    if "copy" not in filtered["checks"] and (filtered["counts"] or not filtered["on"]):
        write_line("Near copies of training images were not checked.", style="yellow")
    _warnings(filtered["class_check"]["sentences"])


def show_evaluation(report: _Facts, *, every: bool = False) -> None:
    """Show the verdict, the answers and a line per class; with `every` also all arms and scores."""
    word, colour = _VERDICTS.get(report["verdict"], ("Not tested", "bright_black"))
    write_line(word, style=f"bold {colour}")
    bare, room = "Whether these images help a classifier was not measured.", report["headroom"] or {}
    for words in filter(None, (report["sentence"] or bare, room.get("sentence"), every and report["care"])):
        write_line(words)
    if report["answers"]:
        write_line("")
    for answer in report["answers"]:
        write_line(f"{answer['question']} {answer['sentence']}", style=_TONES[answer["tone"]])
    rows = [
        (line["label"], line["n"], line["n_real"], *(_MARKS[line[kind] or "none"] for kind in _QUESTIONS))
        for line in report["classes"]
    ]
    write_table("Classes", ("class", "synthetic", "real", *_QUESTIONS.values()), rows)
    if rows:
        write_line(
            " + as good as other real images   ~ in part, or too few to conclude   x not as good", style="dim"
        )
    if every:
        _every_figure(report)
    write_line("")
    if report["filter"]:
        write_line(report["filter"]["sentence"])
    for note in report["notes"]:
        write_line(f"note: {note}", style="yellow")
    hint = "" if every else " (it has every figure; --all shows them here)"
    show_hint(f"open {Path(report['out']) / 'report.html'}{hint}")
    _show_quiz(report)


def _show_quiz(report: _Facts) -> None:
    """Show where the quiz of an evaluation was written, if there is one."""
    if quiz := report.get("quiz"):
        show_hint(f"tell real from synthetic yourself: open {Path(report['out']) / quiz['page']}")
        write_line("The quiz holds real scans and must not leave the house.", style="yellow")


def _every_figure(report: _Facts) -> None:
    """Show all arms, signs and scores."""
    tried = ("name", "judge", "role", "auprc", "low", "high", "sensitivity", "auroc")
    head = ("trained with", "judge", "role", "AUPRC", "from", "to", "sensitivity", "AUROC")
    beyond = ((report["usefulness"] or {}).get("external") or {}).get("arms", ())
    for whose, arms in (("held-out patients", report["arms"]), ("patients of another hospital", beyond)):
        best = sorted(arms, key=lambda arm: -arm["auprc"])
        rows = ([_figure(arm[name]) for name in tried] for arm in best)
        write_table(f"Classifiers on {whose} (no role: exploration)", head, rows)
    heads, told = ("sign", "class", "AUROC", "from", "to"), ("label", "auroc", "low", "high")
    giveaways = report["giveaways"] or {}
    for title, found in (
        ("Signs alone", giveaways),
        ("Signs alone, at another hospital", giveaways.get("external")),
    ):
        pairs = ((sign["sign"], one) for sign in (found or {}).get("signs", ()) for one in sign["classes"])
        write_table(title, heads, ([sign, *(_figure(one[name]) for name in told)] for sign, one in pairs))
    compared = ("name", "space", "value", "low", "high", "floor", "at_floor", "n")
    columns = ("class", "score", "compared by", "value", "from", "to", "real images", "as good", "n")
    rows = ([one["label"] or "all", *(_figure(one[name]) for name in compared)] for one in report["scores"])
    write_table("Scores", columns, rows)


def _figure(value: object) -> str:
    """Format a value as short text."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return {"None": "-", "True": "yes", "False": "no", "": "-"}.get(str(value), str(value))


def show_report(report: _Facts) -> None:
    """Show where the report was written."""
    write_facts(report)


def show_cache(report: _Facts) -> None:
    """Show what the cache holds, what was removed from it, and what to do next."""
    head = ("stack", "images", "size", "prepared", "last used")
    write_table("Prepared images", head, map(_cache_row, report["stacks"]))
    write_table(
        "Index of files",
        ("file", "entries", "size", "changed", "last used"),
        map(_cache_row, report["index"]),
    )
    write_table("Not of medgan, never removed", ("",), ([name] for name in report["unknown"]))
    write_line("")
    facts = {"cache": report["cache"], "size": _size(report["bytes"])}
    cleared = report["freed_bytes"] is not None
    if cleared:
        facts["removed"] = _size(report["freed_bytes"])
    write_facts(facts)
    if report["stacks"]:
        write_line("Prepared images are pixels of patients.", style="yellow")
        show_hint(
            "what another process uses was kept: repeat the command when that has ended"
            if cleared
            else "medgan cache --clear"
        )


def _cache_row(kept: _Facts) -> Sequence[object]:
    times = (datetime.fromisoformat(kept[name]).astimezone() for name in ("changed", "used"))
    return kept["name"], kept["entries"], _size(kept["bytes"]), *(f"{time:%Y-%m-%d %H:%M}" for time in times)


def _size(count: int) -> str:
    """Format a size in decimal units."""
    size, units = float(count), iter(("bytes", "kB", "MB", "GB"))
    unit = next(units)
    for larger in units:
        if size < _KILO:
            break
        size, unit = size / _KILO, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def _plan(plan: _Facts, *, everything: bool = False) -> None:
    """Show the main decisions of a plan with the options that change them, or every one by its JSON name."""
    if everything:
        rows = (
            (field, _decision_text(field, decision["value"]), decision["why"])
            for field, decision in plan.items()
        )
        write_table("Plan", ("decision", "value", "why"), rows)
    elif plan:
        write_table("Plan", ("decision", "value", "option", "why"), _actionable(plan))
        write_line("  --all shows every decision.", style="dim")


def _actionable(plan: _Facts) -> Iterator[Sequence[str]]:
    for field, words, option in _MAIN_DECISIONS:
        if field not in plan or (field == "mm_per_pixel" and plan[field]["value"] is None):
            continue
        value = _decision_text(field, plan[field]["value"])
        why = plan[field]["why"].partition(": ")[2]
        without_window = field == "form" and plan[field]["value"]["unit"] != "HU"
        yield words, value, "" if without_window else option, "" if why == value else why


def _decision_text(field: str, value: Any) -> str:
    """Format the value of a decision as short text."""
    words = "unknown" if value is None else format_words(value)
    if field in _OPEN:
        words = _OPEN[field].get(value, words)
    elif field in {"size", "base"}:
        words = " x ".join(map(str, value))
    elif field == "labels":
        words = ", ".join(value)
    elif field == "form":
        kind = f"dicom ({value['dicom_class']})" if value["format"] == "dicom" else value["format"]
        words = f"{kind}, {value['low']:g} to {value['high']:g} {value['unit']}, {value['bits']} bits"
    elif isinstance(value, bool):
        words = "yes" if value else "no"
    return words


def _classes(report: _Facts) -> Iterator[Sequence[object]]:
    for split, counts in report["counts"].items():
        for label, scans in counts.items():
            images, patients = report["images"][split][label], report["patients"][split][label]
            missing = report["rare"].get(label, 0) if split == "train" else ""
            yield split, label, scans, images, patients, missing


def _measured_facts(measured: _Facts, classes: _Facts) -> Iterator[tuple[str, str]]:
    for name, words in _MEASUREMENTS.items():
        value = measured[name]
        if name in {"rows", "columns"} and value:
            told = f"{value[0]}" if len(set(value)) == 1 else "{} to {}, median {}".format(*_ends(value))
            yield words, told
        elif name == "channels" and value:
            yield words, format_words({_COLOURS.get(channels, channels): n for channels, n in value.items()})
        elif value and not (isinstance(value, Mapping) and set(value) == {""}):
            yield words, format_words(value)
    yield "classes", classes["sentence"]


def _ends(spread: Sequence[int]) -> tuple[int, int, int]:
    least, median, most = spread
    return least, most, median
