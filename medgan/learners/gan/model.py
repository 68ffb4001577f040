"""A trained generator <-> a folder: `model.json`, `generator.safetensors` and `model_card_text.md`; no code, no path, no patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

import medgan
from medgan.base.errors import ModelError, PlanError
from medgan.base.files import (
    digest_file,
    from_json,
    from_known_json,
    read_object,
    to_json,
    write_bytes,
    write_json,
    write_text,
)
from medgan.dataset.manifest import Holdout
from medgan.dataset.source import normalise_label
from medgan.learners.gan.model_card import is_card_of, model_card_text
from medgan.learners.gan.steps import GENERATORS
from medgan.plan import Plan
from medgan.plan.stored import parse_plan

if TYPE_CHECKING:
    from medgan.learners.gan.sample import SampledImages

_VERSION = 1
_WEIGHTS, _RECORD, CARD = "generator.safetensors", "model.json", "card.md"
_TONES = "tones"
"""The tensor of all tone curves, among the weights."""
_DTYPES = {"F32": "torch.float32", "I64": "torch.int64"}
"""{type of a tensor in a safetensors file: what torch calls it}, of those that generators have."""


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
    holdout: Holdout | None
    """Which patients of its data set its training held out; None for a model of an older version, which does not know."""
    network: nn.Module
    tones: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """{label: tone curves (C, 2, knots) of its channels}; empty where images are written as the network draws them."""
    warnings: tuple[str, ...] = ()
    """What guards found amiss in it, or while it was trained."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it can draw."""
        return self.plan.labels

    def sample(self, label: str, count: int = 1, seed: int = 0, *, device: str = "auto") -> SampledImages:
        """Draw images of one class, of the seeds from `seed` on, in memory and unfiltered.

        An image is the one that `medgan sample` writes for the same model, class and seed, whatever is drawn beside it.
        """
        from medgan.learners.gan.sample import draw_together  # noqa: PLC0415  # which draws with models

        if count < 1 or seed < 0:
            raise PlanError(
                f"{count} images from seed {seed} on are none",
                hint="Ask for one or more, from seed 0 or more on.",
            )
        return draw_together(self, normalise_label(label), range(seed, seed + count), device=device)

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
            tensors[_TONES] = torch.from_numpy(tones)
        try:
            _refuse_non_finite(tensors)
        except ValueError as error:
            raise ModelError(
                f"{folder}: the trained generator cannot be used ({error})",
                hint="Train anew into another --out with another --seed or --precision fp32.",
            ) from error
        write_bytes(folder / _WEIGHTS, save(tensors))
        facts = {
            "version": _VERSION,
            "medgan": medgan.__version__,
            "digest": digest_file(folder / _WEIGHTS),
            **about,
            "plan": to_json(plan),
        }
        if not is_card_of(read_card(folder) or "", facts["digest"]):
            write_text(folder / CARD, model_card_text(plan, facts))
        write_json(folder / _RECORD, facts)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Read a model folder, perhaps somebody else's, or the `model` folder of a run; ModelError says what is wrong and what to do.

        Memory is taken for no more than the weights file holds: the sizes that `model.json` names must be those of its tensors.
        """
        folder = Path(folder)
        place = model_folder(folder)
        facts, plan = read_record(place, folder)
        try:
            if digest_file(place / _WEIGHTS) != facts.digest:
                raise ModelError(
                    f"{folder}: the weights are not those that {_RECORD} speaks of",
                    hint="Copy the model folder anew, whole.",
                )
            network = _build_empty(plan, place / _WEIGHTS)
            tensors = load_file(place / _WEIGHTS)
            _refuse_non_finite(tensors)
            curves = tensors.pop(_TONES).numpy() if _TONES in tensors else ()
            network.to_empty(device="cpu").load_state_dict(tensors)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise _damage_error(folder, error) from error
        return cls(
            folder=place,
            plan=plan,
            digest=facts.digest,
            data_digest=facts.data_digest,
            counts=facts.counts,
            images_shown=facts.images_shown,
            holdout=facts.holdout,
            network=network.eval().requires_grad_(False),
            tones=dict(zip(plan.labels, curves, strict=False)),
            warnings=facts.warnings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _GuardRecord:
    """What guards had to say of the generator that was kept."""

    alarms: tuple[str, ...]
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelRecord:
    """What `model.json` says beside the plan, as far as anybody needs it."""

    version: int
    digest: str
    data_digest: str
    counts: Mapping[str, int]
    images_shown: int
    guards: _GuardRecord | None = None
    holdout: Holdout | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for a person from what guards saw of the generator, if they saw it."""
        return () if self.guards is None else (*self.guards.alarms, *filter(None, [self.guards.stopped]))


def _build_empty(plan: Plan, weights: Path) -> nn.Module:
    """The generator of a plan, its weights yet without memory; ValueError where those in the file `weights` are not of the same shapes."""
    with torch.device("meta"):
        network: nn.Module = GENERATORS[plan.arch](plan)
    wanted = {name: (str(one.dtype), tuple(one.shape)) for name, one in network.state_dict().items()}
    with safe_open(weights, framework="pt") as stream:
        parts = {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118  # it is no mapping
        there = {
            name: (_DTYPES.get(part.get_dtype()), tuple(part.get_shape())) for name, part in parts.items()
        }
    curves = there.pop(_TONES, None)
    if curves is not None:
        knots = curves[1][-1:]
        wanted[_TONES], there[_TONES] = (
            ("torch.float32", (len(plan.labels), plan.channels, 2, *knots)),
            curves,
        )
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) != there.get(name):
            words = [
                f"{one[0]} {list(one[1])}" if one else "absent" for one in (there.get(name), wanted.get(name))
            ]
            raise ValueError(f"{name} is {words[0]} in {weights.name}; the plan asks for {words[1]}")
    return network


def _refuse_non_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """ValueError where a weight is infinite or no number: nothing but black images would come of it."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds a weight that is infinite or no number")


def _damage_error(folder: Path, error: Exception) -> ModelError:
    """The sentence for a model that cannot be used."""
    return ModelError(f"{folder}: this model is damaged ({error})", hint="Copy it anew, or train it again.")


def model_folder(folder: Path) -> Path:
    """Where the model lies of which `folder` is the folder or the run."""
    return folder / "model" if (folder / "model" / _RECORD).exists() else folder


def read_card(place: Path) -> str | None:
    """The model card, its line ends as they are; None where there is none that can be read."""
    try:
        return (place / CARD).read_bytes().decode()
    except (OSError, ValueError):
        return None


def read_record(place: Path, asked: Path) -> tuple[_ModelRecord, Plan]:
    """`model.json`, checked; ModelError when it is absent, damaged, or of a newer version."""
    try:
        told = read_object(place / _RECORD)
        version = from_json(int, told.get("version"), "version")
        if version > _VERSION:
            raise ModelError(
                f"{asked}: this model was written by a newer medgan ({told.get('medgan', 'unknown')}, format {version})",
                hint=f"Update medgan (this is {medgan.__version__}): git pull in your clone, then pip install . there.",
            )
        if isinstance(told.get("guards"), dict):
            seen = from_known_json(_GuardRecord, told["guards"], "guards")
            told["guards"] = to_json(seen)
        return from_known_json(_ModelRecord, told, _RECORD), parse_plan(told.get("plan"))
    except FileNotFoundError as error:
        unfinished = (asked / "state.pt").exists()
        raise ModelError(
            f"{asked}: {'this run is not finished' if unfinished else f'no model here (no {_RECORD})'}",
            hint="Repeat the train command: it goes on."
            if unfinished
            else "Name the folder that `medgan train` wrote.",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{asked}: {_RECORD} cannot be read ({error})",
            hint="Copy the model folder anew, or train it again.",
        ) from error
