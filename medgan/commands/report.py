"""A folder that medgan wrote -> report.html in it: of an evaluation, of a balanced folder, or of a training run."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from medgan import __version__
from medgan.base import files
from medgan.base.errors import DatasetError
from medgan.reports import evaluation_file, exhibits, stories
from medgan.reports.evaluation_file import RESULT
from medgan.reports.page import ClassGallery, ImageRow, NearestPair, Story, page
from medgan.training.run_log import read_log, valid_rows
from medgan.training.runtime import once

PAGE, RUN = "report.html", "run.json"
LIBRARIES = ("numpy", "torch", "scikit-learn", "scikit-image", "torchmetrics")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Where the report lies."""

    page: Path

    def report(self) -> dict[str, Any]:
        """The documented JSON."""
        return {"report": str(self.page)}


def report(folder: Path) -> Rendered:
    """`render`; under torchrun every process calls this alike, and the first one does it."""
    return once(lambda: render(folder), "cpu")


def render(folder: Path) -> Rendered:
    """Write report.html into `folder`, of whatever medgan left there; DatasetError when that is nothing."""
    if (folder / RESULT).exists():
        story = of_evaluation(folder)
    elif (folder / RUN).exists():
        story = of_folder(folder, read(folder, RUN))
    else:
        raise DatasetError(
            f"{folder} holds nothing to report on",
            hint="Name a folder that `medgan evaluate`, `medgan balance` or `medgan train` wrote.",
        )
    files.write_text(folder / PAGE, page(story))
    return Rendered(page=folder / PAGE)


def of_evaluation(folder: Path) -> Story:
    """The story of an evaluation."""
    told = evaluation_file.read_evaluation(files.resolve_inside(folder, RESULT))
    kept = exhibits.read_exhibits(folder)
    shown = {"walls": [], "pairs": [], "ranked": [], "log": [], **kept.facts}
    made = told["counts"]["synthetic"]
    return Story(
        title="Are the synthetic images useful, realistic and private?",
        evaluation=told,
        galleries=[gallery(wall, kept, made) for wall in shown["walls"]],
        pairs=[
            NearestPair(label=pair["label"], words=pair["words"], synthetic=synthetic, real=real)
            for pair in shown["pairs"]
            for synthetic, real in [kept.images(pair["rows"])]
        ],
        ranked=[(one["label"], [row_of(row, kept) for row in one["rows"]]) for one in shown["ranked"]],
        log=valid_rows(shown["log"]),
        predictions=kept.predictions,
        facts={"command": told["command"], **{name: str(value) for name, value in told["settings"].items() if name != "data"}, **{f"digest: {name}": value for name, value in told["sources"].items()}, "generator and test patients": told["unseen"], **versions()},
        notes=told["notes"],
        unmeasured=list_missing(told, folder),
        stand_ins=stories.STAND_INS.format(f"`{stories.short_name(folder)}`"),
    )  # fmt: skip


def gallery(wall: Mapping[str, Any], kept: exhibits.Exhibits, made: Mapping[str, int]) -> ClassGallery:
    """A class's images; of real ones nothing is said, for names of files may name a person."""
    names = tuple(wall.get("names") or ())
    total = made.get(wall["label"], len(wall["synthetic"]))
    return ClassGallery(label=wall["label"], real=kept.images(wall["real"]), synthetic=kept.images(wall["synthetic"]), names=((), names), counts=(len(wall["real"]), total))  # fmt: skip


def row_of(row: Mapping[str, Any], kept: exhibits.Exhibits) -> ImageRow:
    """A row of images by what the filter thought of them."""
    return ImageRow(title=row["title"], images=kept.images(row["rows"]), captions=tuple(row["captions"]))


QUESTIONS = {
    "usefulness": "Whether they help a classifier",
    "scores": "How like real images they are",
    "giveaways": "Whether picture shape, brightness or the scanner alone gives the classes away",
    "shortcut": "Whether a classifier can tell that an image is synthetic, and uses it",
    "privacy": "Whether they show a patient",
}
"""{key of evaluation.json: what it answers}."""
PLACES = {
    "SOURCE": "scans/",
    "LABELS": "labels.csv",
    "RUN": "run/",
    "FOLDER": "synthetic/",
    "EXTERNAL": "elsewhere/",
}
"""{stand-in of a stored command: a folder as the documents call it}."""


def list_missing(told: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """What was not measured, and the command that measures it into the same folder."""
    words = shlex.split(str(told["command"]))
    if "--only" in words:
        place = words.index("--only")
        del words[place : place + 2]
    places = {**PLACES, "EVALUATION": folder.resolve().name}
    found = []
    for key, question in QUESTIONS.items():
        if not told.get(key):
            part = "fidelity" if key == "scores" else key
            command = [places.get(word, word) for word in words]
            command[-2:-2] = ["--only", part] if command[-2:-1] == ["--out"] else []
            found.append((question, shlex.join(command)))
    return found


def of_folder(folder: Path, facts: dict[str, Any]) -> Story:
    """The story of a balanced or sampled folder, or of a training run; DatasetError where run.json lacks what it must tell."""
    try:
        if "plan" in facts:
            story = stories.of_run(folder, facts, read_log(folder))
        else:
            beside = folder.resolve()
            run = beside.with_name(beside.name + stories.SUFFIX)
            story = stories.of_folder(folder, facts, read_log(run))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"{folder / RUN} is damaged, or not written by medgan ({type(error).__name__}: {error})",
            hint="Repeat the command that wrote it.",
        ) from error
    return replace(story, facts={**story.facts, **versions()})


def versions() -> dict[str, str]:
    """{"version: library": version} of what takes part in figures."""
    found = {"version: medgan": __version__, "version: Python": platform.python_version()}
    for name in LIBRARIES:
        found[f"version: {name}"] = metadata.version(name)
    return found


def read(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object in a file of the folder; DatasetError when it is damaged, or a link that leads elsewhere."""
    path = files.resolve_inside(folder, name)
    try:
        return files.read_object(path)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error})", hint="Repeat the command that wrote it."
        ) from error
