"""Write report.html for an evaluation, a folder of images, or a training run."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from medgan import __version__
from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.base.results import ReportResult
from medgan.base.run_folder import RECORD
from medgan.commands.job import join_job
from medgan.pictures.display import ClassGallery
from medgan.reports import evaluation_file, exhibits, folder_reports
from medgan.reports.evaluation_file import RESULT
from medgan.reports.page import ImageRow, NearestPair, ReportData, render_page
from medgan.reports.run_log import read_log, valid_rows

PAGE = "report.html"
"""The report, in the folder that it reports on."""
_LIBRARIES = ("numpy", "torch", "scikit-learn", "scikit-image", "torchmetrics")
"""Libraries whose versions the report names."""


def report(folder: Path) -> ReportResult:
    """Write the report of a folder; under torchrun the first process does it."""
    return join_job("cpu").first(lambda: render(folder))


def render(folder: Path) -> ReportResult:
    """Write report.html into a folder that medgan wrote.

    Raises:
        DatasetError: medgan wrote nothing there, or what it wrote is damaged.
    """
    if (folder / RESULT).exists():
        shown = _evaluation_data(folder)
    elif (folder / RECORD).exists():
        shown = _folder_data(folder, _read_object(folder, RECORD))
    else:
        raise DatasetError(
            f"{folder} holds nothing to report on",
            hint="Name a folder that `medgan evaluate`, `medgan balance` or `medgan train` wrote.",
        )
    files.write_text(folder / PAGE, render_page(shown))
    return ReportResult(report=folder / PAGE)


def _evaluation_data(folder: Path) -> ReportData:
    """Collect what the report of an evaluation shows."""
    result = evaluation_file.read_evaluation(files.resolve_inside(folder, RESULT))
    kept = exhibits.read_exhibits(folder)
    shown = {"walls": [], "pairs": [], "ranked": [], "log": [], **kept.facts}
    made = result["counts"]["synthetic"]
    return ReportData(
        title="Are the synthetic images useful, realistic and private?",
        evaluation=result,
        galleries=[_class_gallery(wall, kept, made) for wall in shown["walls"]],
        pairs=[
            NearestPair(label=pair["label"], words=pair["words"], synthetic=synthetic, real=real)
            for pair in shown["pairs"]
            for synthetic, real in [kept.images(pair["rows"])]
        ],
        ranked=[(one["label"], [_image_row(row, kept) for row in one["rows"]]) for one in shown["ranked"]],
        log=valid_rows(shown["log"]),
        predictions=kept.predictions,
        facts={
            "command": result["command"],
            **{name: str(value) for name, value in result["settings"].items() if name != "data"},
            **{f"digest: {name}": value for name, value in result["sources"].items()},
            "generator and test patients": result["unseen"],
            **_versions(),
        },
        notes=result["notes"],
        unmeasured=_list_missing(result, folder),
        stand_ins=folder_reports.STAND_INS.format(f"`{folder_reports.short_name(folder)}`"),
    )


def _class_gallery(wall: Mapping[str, Any], kept: exhibits.Exhibits, made: Mapping[str, int]) -> ClassGallery:
    """The images of a class; real ones get no captions, because file names may name a person."""
    names = tuple(wall.get("names") or ())
    total = made.get(wall["label"], len(wall["synthetic"]))
    return ClassGallery(
        label=wall["label"],
        real=kept.images(wall["real"]),
        synthetic=kept.images(wall["synthetic"]),
        names=((), names),
        counts=(len(wall["real"]), total),
    )


def _image_row(row: Mapping[str, Any], kept: exhibits.Exhibits) -> ImageRow:
    """A row of images ranked by the filter's score."""
    return ImageRow(title=row["title"], images=kept.images(row["rows"]), captions=tuple(row["captions"]))


_QUESTIONS = {
    "usefulness": "Whether they help a classifier",
    "scores": "How like real images they are",
    "giveaways": "Whether picture shape, brightness or the scanner alone gives the classes away",
    "shortcut": "Whether a classifier can tell that an image is synthetic, and uses it",
    "privacy": "Whether they show a patient",
}
"""{key of evaluation.json: the question that it answers}."""
_PLACES = {
    "SOURCE": "scans/",
    "LABELS": "labels.csv",
    "RUN": "run/",
    "FOLDER": "synthetic/",
    "EXTERNAL": "elsewhere/",
}
"""{stand-in in the stored command: a folder name as the documentation uses it}."""


def _list_missing(result: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """(question, command that measures it) of every part that was not measured."""
    words = shlex.split(str(result["command"]))
    if "--only" in words:
        place = words.index("--only")
        del words[place : place + 2]
    places = {**_PLACES, "EVALUATION": folder.resolve().name}
    found = []
    for key, question in _QUESTIONS.items():
        if not result.get(key):
            part = "fidelity" if key == "scores" else key
            command = [places.get(word, word) for word in words]
            command[-2:-2] = ["--only", part] if command[-2:-1] == ["--out"] else []
            found.append((question, shlex.join(command)))
    return found


def _folder_data(folder: Path, facts: dict[str, Any]) -> ReportData:
    """Collect what the report of a folder of images or of a training run shows.

    Raises:
        DatasetError: run.json lacks something that the report needs.
    """
    try:
        if "plan" in facts:
            shown = folder_reports.run_report(folder, facts, read_log(folder))
        else:
            beside = folder.resolve()
            run = beside.with_name(beside.name + folder_reports.SUFFIX)
            shown = folder_reports.folder_report(folder, facts, read_log(run))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"{folder / RECORD} is damaged, or was not written by medgan ({type(error).__name__}: {error})",
            hint="Repeat the command that wrote it.",
        ) from error
    return replace(shown, facts={**shown.facts, **_versions()})


def _versions() -> dict[str, str]:
    """{"version: library": version} of the software that the figures depend on."""
    found = {"version: medgan": __version__, "version: Python": platform.python_version()}
    for name in _LIBRARIES:
        found[f"version: {name}"] = metadata.version(name)
    return found


def _read_object(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file of the folder.

    Raises:
        DatasetError: the file is damaged, or a link that leads out of the folder.
    """
    path = files.resolve_inside(folder, name)
    try:
        return files.read_object(path)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error})", hint="Repeat the command that wrote it."
        ) from error
