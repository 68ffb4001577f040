"""Folders as medgan leaves them, made without a training: what reports are made of."""

import json

import numpy as np

from medgan.base.progress import ignore
from medgan.commands.draw_into import describe_filter
from medgan.filtering.candidates import Selection
from medgan.filtering.selection import CandidateImage
from medgan.output.finalise import RunFacts, finalise
from medgan.output.folder import DatasetWriter, claim_folder, dataset_folder
from medgan.scans.scan import OutputFormat, Provenance

PNG = OutputFormat(format="png", low=0, high=255, unit="stored")


def blob(seed, side=16, bright=0.6):
    """An image (1, side, side) in [0, 1] that looks like nothing."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side - 0.5 - 0.05 * chance.normal(size=(2, 1, 1))
    image = 0.1 + bright * np.exp(-12 * (x**2 + y**2)) + 0.03 * chance.normal(size=(side, side))
    return image.clip(0, 1).astype(np.float32)[None]


def balanced(path, labels=("rare", "normal"), *, real=True, bright=0.6, filtered=True):
    """A balanced folder: 4 real and 6 synthetic images of the first class, 10 real ones of each other."""
    folders = {label: f"class{number}" for number, label in enumerate(labels)}
    account = RunFacts(
        command="balance",
        settings={"command": "balance", "target": "max"},
        before={label: 10 if number else 4 for number, label in enumerate(labels)},
        model="m" * 64,
        data="d" * 64,
        real="prepared" if real else "none",
        filter=describe_filter(choice(labels[0], folders) if filtered else None, "d" * 64),
    )
    claim_folder(dataset_folder(path, "balance"), account.settings)
    folder = DatasetWriter(path=path, form=PNG, folders=folders)
    placed = []
    for number, label in enumerate(labels):
        for index in range(1, (11 if number else 5) if real else 1):
            mark = Provenance(synthetic=False, label=label, index=index, patient=f"p{number}{index}")
            placed.append(folder.put(mark, blob(100 * number + index)))
    for seed in range(6):
        mark = Provenance(synthetic=True, label=labels[0], index=seed + 1, seed=seed, model="m" * 64)
        placed.append(folder.put(mark, blob(seed + 1, bright=bright)))
    finalise(folder, placed, account, ignore)
    return path


def choice(label, folders):
    """Twenty candidates: six are kept, two are near copies, one is of another class, one is unreal, ten
    were not needed."""
    reasons = ["copy", "copy", "class", "realism", *["surplus"] * 10]
    kept = [
        CandidateImage(seed=seed, nearest=seed % 4, distance=0.1 + seed / 100, realism=1.0, odds=0.9)
        for seed in range(6)
    ]
    lost = [
        CandidateImage(seed=seed, kept=False, reason=reason, nearest=0, distance=0.01)
        for seed, reason in enumerate(reasons, start=6)
    ]
    names = {str(row): f"{folders[label]}_real_{row + 1:06d}" for row in range(4)}
    return Selection(
        compared_with="d" * 64, checks=("copy", "class"), drawn={label: (*kept, *lost)}, names=names
    )


def run(path, labels=("rare", "normal"), ticks=3):
    """A training run, with a picture of every tick and a model's facts."""
    from medgan.pictures.grid import draw_grid, grid_title

    path.mkdir(parents=True)
    plan = {
        "size": [16, 16],
        "images_shown": 1000 * ticks,
        "seed": 0,
        "labels": list(labels),
        "device": "cpu",
    }
    (path / "run.json").write_text(json.dumps({"version": 1, "data_digest": "d" * 64, "plan": plan}), "utf-8")
    rows = [row(1000 * n, labels, last=n == ticks) for n in range(1, ticks + 1)]
    (path / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    for one in rows:
        sheet = np.concatenate([np.concatenate([blob(n)[0] for n in range(8)], axis=1) for _ in labels])
        draw_grid(
            sheet,
            labels,
            (16, 16),
            (0.0, 1.0),
            path / "grids" / f"{one['images_shown']:09d}.png",
            grid_title(one),
        )
    facts = {
        "version": 1,
        "digest": "m" * 64,
        "counts": dict(zip(labels, (4, 10, *[10] * len(labels)), strict=False)),
        "guards": {"alarms": ["rare: too alike"], "stopped": ""},
    }
    (path / "model").mkdir()
    (path / "model" / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return path


def row(shown, labels, *, last=False):
    """A line of log.jsonl."""
    guards = {
        "variety": dict.fromkeys(labels, 0.9),
        "copies": dict.fromkeys(labels, 0.0),
        "kid": dict.fromkeys(labels, 1.5),
    }
    return {
        "images_shown": shown,
        "seconds": shown / 100,
        "seconds_left": 0.0 if last else 30.0,
        "images_per_second": 100.0,
        "critic_loss": None,
        "distance": 2000 / shown,
        "generator_loss": 2000 / shown,
        "guards": guards,
        "alarms": [],
        "words": "",
    }
