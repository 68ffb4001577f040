"""A model of normal scans: how it scores others, and its files.

These are model.json, memory.safetensors, calibration.json and card.md. They hold no code, no path and no name
of a patient. Unlike a generator's, their tensors come straight from patients: features of their images, and
means over areas of 7 pixels; they are to be kept as the scans are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

import medgan
from medgan.base.errors import ModelError
from medgan.base.files import (
    digest_file,
    from_json,
    from_known_json,
    read_object,
    write_bytes,
    write_json,
    write_text,
)
from medgan.dataset.manifest import Holdout
from medgan.learners.anomaly.calibration import PARTS, PlaceScale
from medgan.learners.anomaly.gaussian import Gaussian, shrink_images
from medgan.learners.anomaly.memory import CellFeatures, Distances, Memory, image_scores
from medgan.learners.kinds import ANOMALY, require_kind
from medgan.scans.scan import Pixels

VERSION = 1
RECORD, CALIBRATION = "model.json", "calibration.json"
_WEIGHTS, _CARD = "memory.safetensors", "card.md"

SHORTCUTS = ("mean image", "PCA")
"""Plain scores that the parts are compared with, where classes are known."""
_COMPONENTS = 40
"""Principal components of the shortcut `PCA`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyFacts:
    """What model.json says."""

    version: int
    kind: str
    medgan: str
    digest: str
    """SHA-256 of memory.safetensors."""
    calibration_digest: str
    """SHA-256 of calibration.json."""
    data_digest: str
    """Digest of the images, labels and slices of the train split."""
    normal: str
    """The class that is normal."""
    images: int
    """Normal images that were learned from."""
    patients: int
    calibration_patients: int
    meaning: str
    """What the numbers of the scans mean: "HU", "stored", "display" or "raw"."""
    window: tuple[float, ...] | None
    """Hounsfield units that become black and white."""
    holdout: Holdout
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageScores:
    """What a model says of the images of one scan."""

    parts: Mapping[str, NDArray[np.float64]]
    """{part: score of each image}."""
    distances: Distances
    shortcuts: Mapping[str, NDArray[np.float64]]
    """{shortcut: score of each image}."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnomalyModel:
    """Memory, Gaussian and calibration of one class of normal scans."""

    folder: Path
    facts: AnomalyFacts
    memory: Memory
    gaussian: Gaussian
    scale: PlaceScale
    whole: torch.Tensor
    """(n, 152): mean features of whole normal images."""
    calibration: Mapping[str, NDArray[np.float64]]
    """{part: score of each calibration patient}, in the same order in every part."""

    def score(self, squares: Pixels, features: CellFeatures) -> ImageScores:
        """Score square images (n, side, side) of one scan."""
        cells, small = features(squares), shrink_images(squares)
        distances = self.memory.distances(cells)
        whole = (cells.mean(dim=(1, 2)) - self.memory.mean) / self.memory.scale
        nearest = torch.cdist(whole, self.whole).amin(dim=1)
        return ImageScores(
            parts={
                "memory": image_scores(distances),
                "whole": np.asarray(nearest.numpy(), np.float64),
                "gaussian": self.gaussian.scores(small),
            },
            distances=distances,
            shortcuts={
                "mean image": self.gaussian.residuals(small, 0),
                "PCA": self.gaussian.residuals(small, _COMPONENTS),
            },
        )

    def save(self) -> AnomalyModel:
        """Write the files of the model, model.json last, and load it."""
        tensors = {
            **self.memory.tensors(),
            **self.gaussian.tensors(),
            "quantiles": torch.from_numpy(self.scale.quantiles),
            "whole": self.whole.contiguous(),
        }
        write_bytes(self.folder / _WEIGHTS, save(tensors))
        # The order of the patients is that of their scores, so that it says nothing about who they are.
        order = np.lexsort([self.calibration[part] for part in PARTS])
        scores = {part: self.calibration[part][order].tolist() for part in PARTS}
        write_json(self.folder / CALIBRATION, {"version": VERSION, "scores": scores})
        facts = {
            **{name: getattr(self.facts, name) for name in AnomalyFacts.__slots__},
            "digest": digest_file(self.folder / _WEIGHTS),
            "calibration_digest": digest_file(self.folder / CALIBRATION),
        }
        write_text(self.folder / _CARD, _card_text(self.facts))
        write_json(self.folder / RECORD, facts)
        return self.load(self.folder)

    @classmethod
    def load(cls, folder: Path) -> AnomalyModel:
        """Read a model folder, or the `model` folder of a run.

        Raises:
            ModelError: what is wrong, and what to do.
        """
        place = folder / "model" if (folder / "model" / RECORD).exists() else folder
        facts = read_facts(place, folder)
        try:
            return _read_model(place, facts)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder}: this model is damaged ({error})", hint="Copy it again, or train it again."
            ) from error


def _read_model(place: Path, facts: AnomalyFacts) -> AnomalyModel:
    """Read tensors and calibration.

    Raises:
        ValueError: a file is not the one that model.json describes, or holds what cannot be used.
    """
    for name, wanted in ((_WEIGHTS, facts.digest), (CALIBRATION, facts.calibration_digest)):
        if digest_file(place / name) != wanted:
            raise ValueError(f"{name} does not match the digest in {RECORD}")
    tensors = load_file(place / _WEIGHTS)
    if not all(bool(torch.isfinite(one).all()) for one in tensors.values()):
        raise ValueError("a tensor holds a number that is not finite")
    form = {"version": int, "scores": dict.fromkeys(PARTS, tuple[float, ...])}
    told = from_json(form, read_object(place / CALIBRATION), CALIBRATION)
    scores = {part: np.array(told["scores"][part], np.float64) for part in PARTS}
    if {len(own) for own in scores.values()} != {facts.calibration_patients}:
        raise ValueError(f"{CALIBRATION} has another number of patients")
    return AnomalyModel(
        folder=place,
        facts=facts,
        memory=Memory(tensors),
        gaussian=Gaussian(tensors),
        scale=PlaceScale(np.asarray(tensors["quantiles"].numpy(), np.float32)),
        whole=tensors["whole"],
        calibration=scores,
    )


def read_facts(place: Path, asked: Path) -> AnomalyFacts:
    """Read and check model.json.

    Args:
        place: The model folder.
        asked: The folder that the user named, for messages.
    """
    try:
        record = read_object(place / RECORD)
        require_kind(record, ANOMALY, asked)
        if from_json(int, record.get("version"), "version") > VERSION:
            raise ModelError(f"{asked}: this model was written by a newer medgan", hint="Update medgan.")
        facts: AnomalyFacts = from_known_json(AnomalyFacts, record, RECORD)
    except FileNotFoundError as error:
        raise ModelError(
            f"{asked}: no model here (no {RECORD})",
            hint="Name the folder that training with --for anomaly wrote.",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{asked}: {RECORD} cannot be read ({error})",
            hint="Copy the model folder again, or train the model again.",
        ) from error
    return facts


def _card_text(facts: AnomalyFacts) -> str:
    """The text of card.md."""
    return f"""# A model of normal scans

Not for clinical use. For research only.

Written by medgan {medgan.__version__}.

- Learned from {facts.images} normal images; {facts.patients} normal patients in all, of whom
  {facts.calibration_patients} calibrate and were not learned from.
- It says how unlike these normal scans another scan is, and where. It knows no disease.
- At most a share of your choice (`--alarms`) of *new normal patients of the same population* alarms, on
  average. Scans of another scanner, another age or another projection may all alarm.
- Nothing promises that a sick patient alarms.
- It looks at the centre square of an image only, at 224 pixels.
- `memory.safetensors` holds features and small pictures of patients: keep it as you keep the scans.
"""
