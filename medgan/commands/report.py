"""A folder that medgan wrote -> report.html in it: of an evaluation, of a balanced folder, or of a training run."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan import __version__, files
from medgan.commands import exhibits, stories
from medgan.commands.gather import Gathered
from medgan.commands.log import log_of, sound
from medgan.errors import DatasetError
from medgan.learn.runtime import once
from medgan.quality.images import Images
from medgan.quality.predictions import Predictions
from medgan.report.page import Gallery, Pair, Story, page

PAGE, RESULT, RUN = "report.html", "evaluation.json", "run.json"
ON_WALL, PAIRS = 8, 3
"""Images per class and side, and pairs per class, on the page."""
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
    told = read(folder, RESULT)
    kept = exhibits.read(folder)
    shown = {"walls": [], "pairs": [], "log": [], **kept.facts}
    made = told["counts"]["synthetic"]
    return Story(
        title="Are the synthetic images useful, realistic and private?",
        evaluation=told,
        galleries=[gallery(wall, kept, made) for wall in shown["walls"]],
        pairs=[
            Pair(label=pair["label"], words=pair["words"], synthetic=synthetic, real=real)
            for pair in shown["pairs"]
            for synthetic, real in [kept.images(pair["rows"])]
        ],
        log=sound(shown["log"]),
        predictions=kept.predictions,
        facts={"command": told["command"], **{name: str(value) for name, value in told["settings"].items() if name != "data"}, **{f"digest: {name}": value for name, value in told["sources"].items()}, "generator and test patients": told["unseen"], **versions()},
        notes=told["notes"],
        unmeasured=unmeasured(told, folder),
        stand_ins=stories.STAND_INS.format(f"`{stories.named(folder)}`"),
    )  # fmt: skip


def gallery(wall: Mapping[str, Any], kept: exhibits.Exhibits, made: Mapping[str, int]) -> Gallery:
    """A class's images; of real ones nothing is said, for names of files may name a person."""
    names = tuple(wall.get("names") or ())
    total = made.get(wall["label"], len(wall["synthetic"]))
    return Gallery(label=wall["label"], real=kept.images(wall["real"]), synthetic=kept.images(wall["synthetic"]), names=((), names), counts=(len(wall["real"]), total))  # fmt: skip


QUESTIONS = {
    "usefulness": "Whether they help a classifier",
    "scores": "How like real images they are",
    "shortcut": "Whether a classifier can tell that an image is synthetic, and uses it",
    "privacy": "Whether they show a patient",
}
"""{key of evaluation.json: what it answers}."""
PLACES = {"SOURCE": "scans/", "LABELS": "labels.csv", "RUN": "run/", "FOLDER": "synthetic/"}
"""{stand-in of a stored command: a folder as the documents call it}."""


def unmeasured(told: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
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
            story = stories.of_run(folder, facts, log_of(folder))
        else:
            beside = folder.resolve()
            run = beside.with_name(beside.name + stories.SUFFIX)
            story = stories.of_folder(folder, facts, log_of(run))
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
    path = files.inside(folder, name)
    try:
        value: dict[str, Any] = files.read_json(path)
        _ = value.keys()
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error})", hint="Repeat the command that wrote it."
        ) from error
    return value


# --- what the page shows of an evaluation, kept beside it so that the page can be made again ---


def exhibit(out: Path, images: Gathered, said: Predictions | None = None) -> None:
    """Keep what the page shows in `exhibits.npz`: of each class some real and synthetic images, the nearest pairs, and what arms said."""
    hung: list[NDArray[np.float32]] = []

    def hang(pixels: NDArray[np.float32]) -> list[int]:
        hung.extend(pixels)
        return list(range(len(hung) - len(pixels), len(hung)))

    walls, pairs = [], []
    for label, count in images.synthetic.counts.items():
        real = images.held_out.of(label) if images.held_out.counts[label] else images.train.of(label)
        if not count and not len(real):
            continue
        made = images.synthetic.of(label)
        walls.append(
            {"label": label, "real": hang(spread(real).pixels), "synthetic": hang(spread(made).pixels)}
        )
        for ours, theirs, words in nearest(made, images.train.of(label)):
            pairs.append({"label": label, "words": words, "rows": [*hang(ours[None]), *hang(theirs[None])]})
    exhibits.write(out, hung, {"walls": walls, "pairs": pairs, "log": log_of(images.run)}, said)


def spread(images: Images) -> Images:
    """A few images, evenly spread: neighbours may be slices of one patient."""
    count = min(ON_WALL, len(images))
    return images.take(np.arange(count) * len(images) // max(count, 1))


def nearest(
    synthetic: Images, train: Images
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], str]]:
    """The synthetic images most like a training image, with that image: by the correlation of their pixels."""
    if not len(synthetic) or not len(train):
        return
    alike = unit(synthetic.pixels) @ unit(train.pixels).T
    best = alike.max(axis=1)
    for row in np.argsort(-best, kind="stable")[:PAIRS].tolist():
        words = f"Correlation {best[row]:.2f} ({synthetic.sources[row]})."
        yield synthetic.pixels[row], train.pixels[int(alike[row].argmax())], words


def unit(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of mean 0 and length 1."""
    rows = pixels.reshape(len(pixels), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8), np.float32)
