"""A trained generator <-> a folder: `model.json`, `generator.safetensors` and `card.md`; no code, no path, no patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

import medgan
from medgan.errors import ModelError
from medgan.files import digest_file, plain, read_json, revive, write_bytes, write_json, write_text
from medgan.gan.card import card, speaks_of
from medgan.gan.steps import GENERATORS
from medgan.plan import Plan

VERSION = 1
WEIGHTS, FACTS, CARD = "generator.safetensors", "model.json", "card.md"
TONES = "tones"
"""The tensor of all tone curves, among the weights."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A generator ready to draw, with what one must know about it."""

    folder: Path
    plan: Plan
    digest: str
    """SHA-256 of the weights file, as `sha256sum` prints it."""
    data_digest: str
    """Digest of the images, labels and slices it was trained on."""
    counts: Mapping[str, int]
    """{label: training images}."""
    images_shown: int
    network: nn.Module
    tones: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """{label: tone curves (C, 2, knots) of its channels}; empty where images are written as the network draws them."""
    warnings: tuple[str, ...] = ()
    """What guards found amiss in it, or while it was trained."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it can draw."""
        return self.plan.labels

    @classmethod
    def save(
        cls,
        folder: Path,
        network: nn.Module,
        plan: Plan,
        about: Mapping[str, Any],
        tones: NDArray[np.float32] | None = None,
    ) -> Model:
        """Write the three files (the JSON last: with it the model is whole) and give the model back.

        The tone curves `tones` (classes, C, 2, knots) lie among the weights, for they decide what is drawn, too. A card of these very
        weights stands, with the evaluation and the words of people in it.
        """
        tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        if tones is not None:
            tensors[TONES] = torch.from_numpy(tones)
        write_bytes(folder / WEIGHTS, save(tensors))
        facts = {
            "version": VERSION,
            "medgan": medgan.__version__,
            "digest": digest_file(folder / WEIGHTS),
            **about,
            "plan": plain(plan),
        }
        if not speaks_of(read_card(folder) or "", facts["digest"]):
            write_text(folder / CARD, card(plan, facts))
        write_json(folder / FACTS, facts)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model folder, or the `model` folder of a run; ModelError says what is wrong and what to do."""
        place = place_of(folder)
        facts = read_facts(place, folder)
        try:
            plan = revive(Plan, facts["plan"])
            network = GENERATORS[plan.arch](plan)
            digest = digest_file(place / WEIGHTS)
            tensors = load_file(place / WEIGHTS)
            curves = tensors.pop(TONES).numpy() if TONES in tensors else ()
            network.load_state_dict(tensors)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder}: this model is damaged ({type(error).__name__}: {error})",
                hint="Train it again, or copy it anew.",
            ) from error
        if digest != facts["digest"]:
            raise ModelError(
                f"{folder}: the weights are not those that {FACTS} speaks of",
                hint="Copy the model folder anew, whole.",
            )
        return cls(
            folder=place,
            plan=plan,
            digest=digest,
            data_digest=facts["data_digest"],
            counts=facts["counts"],
            images_shown=facts["images_shown"],
            network=network.eval().requires_grad_(False),
            tones=dict(zip(plan.labels, curves, strict=False)),
            warnings=warnings_of(facts.get("guards")),
        )


def place_of(folder: Path) -> Path:
    """Where the model lies of which `folder` is the folder or the run."""
    return folder / "model" if (folder / "model" / FACTS).exists() else folder


def read_card(place: Path) -> str | None:
    """The model card, its line ends as they are; None where there is none that can be read."""
    try:
        return (place / CARD).read_bytes().decode()
    except (OSError, ValueError):
        return None


def warnings_of(guards: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Sentences for a person from what guards saw of a generator, if they saw it."""
    return () if guards is None else (*guards["alarms"], *filter(None, [guards["stopped"]]))


def read_facts(place: Path, asked: Path) -> dict[str, Any]:
    """`model.json`; ModelError when it is absent, no JSON, or of a newer version."""
    try:
        facts: dict[str, Any] = read_json(place / FACTS)
        version = int(facts["version"])
    except FileNotFoundError as error:
        unfinished = (asked / "state.pt").exists()
        raise ModelError(
            f"{asked}: {'this run is not finished' if unfinished else f'no model here (no {FACTS})'}",
            hint="Repeat the train command: it goes on."
            if unfinished
            else "Name the folder that `medgan train` wrote.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{asked}: {FACTS} cannot be read ({error})", hint="Copy the model folder anew."
        ) from error
    if version > VERSION:
        raise ModelError(
            f"{asked}: this model was written by a newer medgan ({facts.get('medgan', 'unknown')}, format {version})",
            hint=f"Update medgan (this is {medgan.__version__}): git pull in your clone, then pip install . there.",
        )
    return facts
