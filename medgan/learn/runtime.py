"""Plan -> where and how training runs: device, precision, chance by position, checkpoints, journal; the only home of Fabric."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from medgan.errors import ModelError, PlanError
from medgan.files import atomic, digest, refusal, write_text

PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def choose_device(wanted: str) -> str:
    """The best device there is for "auto"; PlanError when the one asked for is absent."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there.get(wanted, False):
        known = ", ".join(name for name, present in there.items() if present)
        raise PlanError(f"there is no device {wanted!r} on this machine", hint=f"Devices here: {known}.")
    return wanted


def reseed(seed: int, position: int) -> None:
    """Make all of torch's chance depend on (seed, position) alone, so that a resumed run equals a straight one."""
    torch.manual_seed(int(digest(f"{seed}", f"{position}")[:15], 16))


class Runtime:
    """Device, precision and files of one training run."""

    def __init__(self, device: str, precision: str) -> None:
        """`precision` is "fp32" or "bf16" (bf16 in the passes, fp32 in weights and penalties)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from lightning_fabric import Fabric  # noqa: PLC0415  # as slow to load as torch, and drawing needs none of it

            self.fabric = Fabric(accelerator=choose_device(device), devices=1, precision=PRECISION[precision])

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, channels last (the layout convolutions are fastest in)."""
        return network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def setup(self, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Wrap a pair for this device and precision."""
        wrapped, stepped = self.fabric.setup(self.place(network), optimizer)
        return wrapped, stepped

    def tensor(self, array: Any) -> torch.Tensor:
        """A numpy array on the device; images channels last."""
        there = torch.as_tensor(array, device=self.fabric.device)
        return there.contiguous(memory_format=torch.channels_last) if there.dim() == 4 else there


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and text atomically."""
    with atomic(path) as partial, partial.open("wb") as stream:
        torch.save(
            state, stream
        )  # into a stream: given a path, a full disk would not be told from a broken program


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read it back, weights only: a checkpoint can hold no code."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path}: this training state cannot be read ({type(error).__name__})",
            hint="Delete it to start the run anew, or choose another --out.",
        ) from error
    return state


class Journal:
    """`log.jsonl`: one JSON object per tick, in step with the checkpoint."""

    def __init__(self, path: Path) -> None:
        """The file need not exist yet."""
        self.path = path

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines."""
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue  # a line cut short by a power failure
        return rows

    def rewind(self, images_shown: int) -> None:
        """Drop what was written after the checkpoint at `images_shown`."""
        kept = [row for row in self.lines() if row["images_shown"] <= images_shown]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def add(self, row: dict[str, Any]) -> None:
        """Append one tick."""
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise refusal(self.path, error) from error
