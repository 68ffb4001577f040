"""A folder that medgan wrote -> report.html in it: of an evaluation, of a balanced folder, or of a training run."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan import __version__, files
from medgan.commands import exhibits
from medgan.commands.catalogue import SHEET
from medgan.commands.gather import Gathered
from medgan.errors import DatasetError
from medgan.learn.runtime import once
from medgan.quality.images import Images
from medgan.quality.predictions import Predictions
from medgan.report.page import Pair, Story, page

PAGE, RESULT, LOG, RUN = "report.html", "evaluation.json", "log.jsonl", "run.json"
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
    if (folder / RESULT).is_file():
        story = of_evaluation(folder)
    elif (folder / RUN).is_file():
        story = of_run(folder, read(folder / RUN))
    else:
        raise DatasetError(
            f"{folder} holds nothing to report on",
            hint="Name a folder that `medgan evaluate`, `medgan balance` or `medgan train` wrote.",
        )
    files.write_text(folder / PAGE, page(story))
    return Rendered(page=folder / PAGE)


def of_evaluation(folder: Path) -> Story:
    """The story of an evaluation."""
    told = read(folder / RESULT)
    kept = exhibits.read(folder)
    shown = {"walls": [], "pairs": [], "log": [], **kept.facts}
    train, made = told["counts"]["train"], told["counts"]["synthetic"]
    return Story(
        title="Are the synthetic images useful, realistic and private?",
        evaluation=told,
        galleries=[(wall["label"], kept.images(wall["real"]), kept.images(wall["synthetic"])) for wall in shown["walls"]],
        pairs=[
            Pair(label=pair["label"], words=pair["words"], synthetic=synthetic, real=real)
            for pair in shown["pairs"]
            for synthetic, real in [kept.images(pair["rows"])]
        ],
        before=train,
        after={label: have + made.get(label, 0) for label, have in train.items()},
        log=shown["log"],
        facts={"command": told["command"], **{name: str(value) for name, value in told["settings"].items() if name != "data"}, **{f"digest: {name}": value for name, value in told["sources"].items()}, "generator and test patients": told["unseen"], **versions()},
        notes=told["notes"],
    )  # fmt: skip


def of_run(folder: Path, facts: Mapping[str, Any]) -> Story:
    """The story of a balanced or sampled folder, or of a training run."""
    if "plan" in facts:
        plan = facts["plan"]
        return Story(
            title="Training run",
            log=log_of(folder),
            facts={
                "command": "medgan train SOURCE --out RUN",
                "size": " x ".join(map(str, plan["size"])),
                "images shown": str(plan["images_shown"]),
                "seed": str(plan["seed"]),
                "digest: data": facts["data_digest"],
                **versions(),
            },
        )
    counts = facts.get("counts") or {"before": {}, "after": {}}
    sheet = folder / SHEET
    settings = {
        name: str(value)
        for name, value in facts["settings"].items()
        if isinstance(value, str | int | float) and value != ""
    }
    digests = {f"digest: {name}": facts[name] for name in ("data", "model") if facts.get(name)}
    return Story(
        title=f"What medgan {facts['settings']['command']} wrote",
        sheet=sheet.read_bytes() if sheet.is_file() else b"",
        before=counts["before"],
        after=counts["after"],
        log=log_of(folder.resolve().with_name(folder.resolve().name + ".run")),
        facts={**settings, **digests, **versions()},
        notes=[
            "Whether these images help has not been measured on held-out patients: `medgan evaluate` does."
        ],
    )


def versions() -> dict[str, str]:
    """{"version: library": version} of what takes part in figures."""
    found = {"version: medgan": __version__, "version: Python": platform.python_version()}
    for name in LIBRARIES:
        found[f"version: {name}"] = metadata.version(name)
    return found


def log_of(run: Path | None) -> list[dict[str, Any]]:
    """The lines of a run's log.jsonl; none where there is no such file."""
    if run is None or not (run / LOG).is_file():
        return []
    try:
        return [json.loads(line) for line in (run / LOG).read_text(encoding="utf-8").splitlines()]
    except ValueError:  # a line that a killed run has not finished
        return []


def read(path: Path) -> dict[str, Any]:
    """A JSON object; DatasetError when it is damaged."""
    try:
        value: dict[str, Any] = files.read_json(path)
        _ = value.keys()
    except (OSError, ValueError, AttributeError) as error:
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
