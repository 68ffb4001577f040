"""A trained generator on disk: model.json, generator.safetensors and card.md.

The folder holds no code, no path and no patient.
"""

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
from medgan.learners.gan.steps import build_generator
from medgan.learners.kinds import GAN, require_kind
from medgan.plan import Plan
from medgan.plan.flat import flatten
from medgan.plan.stored import parse_plan

if TYPE_CHECKING:
    from medgan.learners.gan.sample import SampledImages

_VERSION = 1
_WEIGHTS, _RECORD, CARD = "generator.safetensors", "model.json", "card.md"
_TONES = "tones"
"""Name of the tensor of all tone curves, among the weights."""
_DTYPES = {"F32": "torch.float32", "I64": "torch.int64"}
"""{type of a tensor in a safetensors file: torch's name for it}, of those that generators have."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A generator that is ready to draw, with the facts one needs about it."""

    folder: Path
    plan: Plan
    digest: str
    """SHA-256 of the weights file, as `sha256sum` prints it."""
    data_digest: str
    """Digest of the images, labels and slices that it was trained on."""
    counts: Mapping[str, int]
    """{label: number of training images}."""
    images_shown: int
    holdout: Holdout | None
    """Which patients of its data set were held out of its training; None for a model of an older version,
    which does not record it."""
    network: nn.Module
    tones: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """{label: tone curves (C, 2, knots) of its channels}; empty where images are written as the network draws
    them."""
    warnings: tuple[str, ...] = ()
    """What the guards found wrong with it, or during its training."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it can draw."""
        return self.plan.frame.labels

    def sample(self, label: str, count: int = 1, seed: int = 0, *, device: str = "auto") -> SampledImages:
        """Draw images of one class in memory, unfiltered, with the seeds from `seed` on.

        Each image is the one that `medgan sample` writes for the same model, class and seed, whatever is
        drawn beside it.
        """
        from medgan.learners.gan.sample import draw_together  # noqa: PLC0415  # which draws with models

        if count < 1 or seed < 0:
            raise PlanError(
                f"cannot sample {count} images from seed {seed} on",
                hint="Use a count of at least 1, and a seed of at least 0.",
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
        """Write the three files of the model, and load it.

        model.json is written last, so that the model is complete once it is there. An existing card stays if
        it describes these very weights, with the evaluation and the notes that people have added.

        Args:
            folder: the model folder.
            network: the generator.
            plan: the plan of its training.
            about: further facts for model.json.
            tones: (classes, C, 2, knots) tone curves, stored among the weights because they decide what is
                drawn.
        """
        # Weights, with the tone curves among them.
        tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        if tones is not None:
            tensors[_TONES] = torch.from_numpy(tones)
        try:
            _refuse_non_finite(tensors)
        except ValueError as error:
            raise ModelError(
                f"{folder}: the trained generator cannot be used ({error})",
                hint="Train again into another --out, with another --seed or with --precision fp32.",
            ) from error
        write_bytes(folder / _WEIGHTS, save(tensors))
        # Card and facts.
        facts = {
            "version": _VERSION,
            "medgan": medgan.__version__,
            "digest": digest_file(folder / _WEIGHTS),
            **about,
            "plan": flatten(plan),
        }
        if not is_card_of(read_card(folder) or "", facts["digest"]):
            write_text(folder / CARD, model_card_text(plan, facts))
        write_json(folder / _RECORD, facts)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Read a model folder, or the `model` folder of a run.

        The folder may come from others. It cannot make medgan use more memory than the weights file has
        bytes: the sizes in `model.json` must be those of its tensors.

        Raises:
            ModelError: what is wrong, and what to do.
        """
        folder = Path(folder)
        place = model_folder(folder)
        facts, plan = read_record(place, folder)
        try:
            if digest_file(place / _WEIGHTS) != facts.digest:
                raise ModelError(
                    f"{folder}: the weights do not match the digest in {_RECORD}",
                    hint="Copy the whole model folder again.",
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
            tones=dict(zip(plan.frame.labels, curves, strict=False)),
            warnings=facts.warnings,
        )


_GUARD_KEYS = {"alarms": tuple[str, ...], "stopped": str}
"""What the guards reported about the generator that was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelRecord:
    """The facts in `model.json` that are read, apart from the plan."""

    version: int
    digest: str
    data_digest: str
    counts: Mapping[str, int]
    images_shown: int
    guards: Mapping[str, Any] | None = None
    """Of `_GUARD_KEYS`."""
    holdout: Holdout | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for a person from the guards' report, if there is one."""
        alarms = () if self.guards is None else self.guards["alarms"]
        return (*alarms, *filter(None, [self.stopped]))

    @property
    def stopped(self) -> str:
        """Why the guards ended its training early, or ""."""
        return "" if self.guards is None else str(self.guards["stopped"])


def _build_empty(plan: Plan, weights: Path) -> nn.Module:
    """Build the generator of a plan without memory for its weights.

    Raises:
        ValueError: the tensors in the file `weights` have other shapes.
    """
    with torch.device("meta"):
        network = build_generator(plan)
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
            ("torch.float32", (len(plan.frame.labels), plan.frame.channels, 2, *knots)),
            curves,
        )
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) != there.get(name):
            found, needed = (
                f"{one[0]} {list(one[1])}" if one else "absent" for one in (there.get(name), wanted.get(name))
            )
            raise ValueError(f"{name} is {found} in {weights.name}, but the plan needs {needed}")
    return network


def _refuse_non_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError for weights that are infinite or not a number.

    They would only give black images.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds a weight that is infinite or not a number")


def _damage_error(folder: Path, error: Exception) -> ModelError:
    """The error for a model that cannot be used."""
    return ModelError(f"{folder}: this model is damaged ({error})", hint="Copy it again, or train it again.")


def model_folder(folder: Path) -> Path:
    """The model folder, given that folder or the run that contains it."""
    return folder / "model" if (folder / "model" / _RECORD).exists() else folder


def read_card(place: Path) -> str | None:
    """Read the model card with its line ends as they are, or None where that fails."""
    try:
        return (place / CARD).read_bytes().decode()
    except (OSError, ValueError):
        return None


def read_record(place: Path, asked: Path) -> tuple[_ModelRecord, Plan]:
    """Read and check `model.json`.

    Args:
        place: the model folder.
        asked: the folder that the user named, for messages.

    Raises:
        ModelError: the file is missing, damaged, or of a newer version.
    """
    try:
        record = read_object(place / _RECORD)
        require_kind(record, GAN, asked)
        version = from_json(int, record.get("version"), "version")
        if version > _VERSION:
            raise ModelError(
                f"{asked}: this model was written by a newer medgan "
                f"({record.get('medgan', 'unknown')}, format {version})",
                hint=f"Update medgan (this is {medgan.__version__}): run `git pull` and `pip install .` in "
                "your clone.",
            )
        if isinstance(record.get("guards"), dict):
            record["guards"] = to_json(from_known_json(_GUARD_KEYS, record["guards"], "guards"))
        return from_known_json(_ModelRecord, record, _RECORD), parse_plan(record.get("plan"))
    except FileNotFoundError as error:
        unfinished = (asked / "state.pt").exists()
        raise ModelError(
            f"{asked}: {'this run is not finished' if unfinished else f'no model here (no {_RECORD})'}",
            hint="Repeat the train command: it continues."
            if unfinished
            else "Name the folder that `medgan train` wrote.",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{asked}: {_RECORD} cannot be read ({error})",
            hint="Copy the model folder again, or train the model again.",
        ) from error
