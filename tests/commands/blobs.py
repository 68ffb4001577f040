"""Small data sets of blurred discs, and untrained generators, to test sampling and balancing with."""

import csv
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.manifest import Holdout
from medgan.dataset.source import Source
from medgan.dataset.split import hold_out
from medgan.learners.gan.model import Model
from medgan.learners.gan.steps import GENERATORS
from medgan.plan import Overrides, decide

LAYOUT = {
    "images",
    "manifest.csv",
    "rejected.csv",
    "datalist.json",
    "metadata.csv",
    "run.json",
    "README.md",
    "SHA256SUMS",
    "contact-sheet.png",
}
"""What lies in an output folder of sample and balance whose images are PNG, and nothing else."""

SMALL = Overrides(effort="smoke", size=(16, 24))


def discs(root, *, shape=(16, 24), split="", **counts):
    """A folder per class with `counts` noisy 8-bit PNGs, each class with its disc elsewhere; returns the
    Source."""
    chance = np.random.default_rng(len(split))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for place, (label, count) in enumerate(sorted(counts.items())):
        folder = root / split / label
        folder.mkdir(parents=True)
        distance = (rows - shape[0] / 2) ** 2 + (columns - shape[1] / 3 - 4 * place) ** 2
        for number in range(count):
            image = 120 * np.exp(-distance / 20) + chance.normal(60, 8, shape)
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"scan{number}.png")
    return Source(path=root)


def untrained(folder, source, *, form=None, seed=1, holdout=0.0, training_seed=0):
    """A model folder for `source`, part of it held out, whose generator is as it was born."""
    manifest = hold_out(index(source), Holdout(share=holdout), training_seed)
    plan = decide(measure(manifest), replace(SMALL, seed=training_seed))
    plan = plan.replace(form=form) if form else plan
    torch.manual_seed(seed)
    network = GENERATORS[plan.recipe.arch](plan)
    with torch.no_grad():  # at birth images are nearly flat; louder weights make them differ
        for weights in network.parameters():
            weights.mul_(1.5)
    about = {"data_digest": manifest.digest, "counts": {}, "images_shown": 0}
    Model.save(folder, network, plan, about)
    return folder


def tree(folder):
    """{relative path: bytes} of every file, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(out):
    """The lines of an output folder's manifest."""
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
