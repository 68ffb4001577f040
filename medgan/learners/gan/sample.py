"""Model + label + seeds -> Samples: an image depends on its seed, label and model, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan.base.errors import ModelError
from medgan.learners.gan.model import Model
from medgan.learners.gan.tone_curves import apply_curves
from medgan.plan import Plan
from medgan.scans.scan import OutputFormat
from medgan.training.runtime import choose_device

_GRID_COLUMNS = 8
_BATCH = 16
"""Images drawn at a time, by every process on every machine: part of what an image is, so never a setting."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One synthetic image, reproducible from its own fields."""

    pixels: NDArray[np.float32]
    """(C, H, W) in [0, 1]: 0 is the low, 1 the high end of the plan's intensity range."""
    label: str
    seed: int
    model: str
    """Digest of the model that drew it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledImages:
    """Synthetic images of one class; over them one goes image by image."""

    pixels: NDArray[np.float32]
    """(N, C, H, W) in [0, 1]: 0 is the low, 1 the high end of the range of `form`."""
    label: str
    seeds: tuple[int, ...]
    model: str
    """Digest of the model that drew them."""
    form: OutputFormat
    """What their values mean, and how they are written to files."""

    def __len__(self) -> int:
        """The number of images."""
        return len(self.seeds)

    def __iter__(self) -> Iterator[Sample]:
        """Each image with its own seed."""
        for seed, pixels in zip(self.seeds, self.pixels, strict=True):
            yield Sample(pixels=pixels, label=self.label, seed=seed, model=self.model)


def draw_together(model: Model, label: str, seeds: Sequence[int], *, device: str = "auto") -> SampledImages:
    """Draw one image per seed, all in memory."""
    drawn = [one.pixels for one in draw(model, label, seeds, device=device)]
    return SampledImages(
        pixels=np.stack(drawn), label=label, seeds=tuple(seeds), model=model.digest, form=model.plan.form
    )


def draw(model: Model, label: str, seeds: Sequence[int], *, device: str = "auto") -> Iterator[Sample]:
    """Draw one image per seed, always `_BATCH` at a time: sums in a batch of another size may be rounded differently.

    An image is the same in every place of such a batch and whatever is drawn beside it, so the last batch, or a single image, is
    filled up with repetitions of its first. The next batch is drawn while the caller is busy with this one, as with writing it.
    """
    if label not in model.labels:
        raise ModelError(
            f"the model knows no class {label!r}", hint=f"Its classes: {', '.join(model.labels)}."
        )
    place = torch.device(choose_device(device))
    network = model.network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    which = torch.full((_BATCH,), model.labels.index(label), device=place)

    def drawn(wanted: Sequence[int]) -> NDArray[np.float32]:
        latents = [_latent_of(model.plan, seed) for seed in wanted]
        latents += latents[:1] * (_BATCH - len(wanted))
        z = torch.cat(latents).to(which.device)  # another thread has another current GPU
        images = _draw_pixels(network, model.plan, z, which, tones=model.tones.get(label))
        if not np.isfinite(images).all():  # of weights that are finite, and so large that their sums are not
            raise ModelError(
                f"{model.folder}: what this model draws of class {label!r} are no images: pixels that are no numbers",
                hint="Copy it anew, or train it again with another --seed.",
            )
        return images[: len(wanted)]

    batches = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
    with ThreadPoolExecutor(1) as artist:
        coming = artist.submit(drawn, batches[0]) if batches else None
        for wanted, following in zip_longest(batches, batches[1:]):
            assert coming is not None
            images = coming.result()
            coming = artist.submit(drawn, following) if following else None
            for seed, pixels in zip(wanted, images, strict=True):
                yield Sample(pixels=pixels, label=label, seed=seed, model=model.digest)


def _latent_of(plan: Plan, seed: int) -> Tensor:
    """The latent (1, latent) of a seed, made on the CPU so that every device starts from the same numbers."""
    chance = torch.Generator().manual_seed(seed)
    if plan.noise == "uniform":
        return torch.rand(1, plan.latent, generator=chance) * 2 - 1
    return torch.randn(1, plan.latent, generator=chance)


@torch.inference_mode()
def _draw_pixels(
    network: nn.Module,
    plan: Plan,
    z: Tensor,
    labels: Tensor,
    share: float = 1.0,
    tones: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Images (N, C, H, W) in [0, 1] over the form's range, in fp32; by the tone curves of their class, where it has them."""
    images = network(z, labels, share).float().cpu()
    if tones is not None:
        images = torch.from_numpy(apply_curves(images.numpy(), tones))
    low, high = plan.span
    pixels: NDArray[np.float32] = (low + (images + 1) / 2 * (high - low)).clamp(0, 1).numpy()
    return pixels


@torch.inference_mode()
def draw_class(network: nn.Module, plan: Plan, number: int, count: int, share: float = 1.0) -> Tensor:
    """The images (count, C, H, W) of the first seeds of class `number` as the network gives them, in fp32 on the CPU."""
    place, parts = next(network.parameters()).device, []
    for start in range(0, count, _BATCH):
        z = torch.cat([_latent_of(plan, seed) for seed in range(start, min(start + _BATCH, count))])
        parts.append(network(z.to(place), torch.full((len(z),), number, device=place), share))
    return torch.cat(parts).float().cpu()


def draw_grid(network: nn.Module, plan: Plan, *, share: float = 1.0) -> NDArray[np.float32]:
    """A sheet (H, W[, 3]) in [0, 1]: one row per class, the same eight seeds in every row and at every tick."""
    device = next(network.parameters()).device
    z = torch.cat([_latent_of(plan, seed) for seed in range(_GRID_COLUMNS)]).to(device)
    rows = []
    for number in range(len(plan.labels)):
        images = _draw_pixels(network, plan, z, torch.full((_GRID_COLUMNS,), number, device=device), share)
        rows.append(np.concatenate(list(images), axis=2))  # (C, H, 8 W)
    sheet = np.concatenate(rows, axis=1).transpose(1, 2, 0)
    return sheet[:, :, 0] if plan.channels == 1 else sheet
