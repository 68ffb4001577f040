"""Draw synthetic images; each depends on its seed, class and model only."""

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
from medgan.learners.gan.latents import latent_of
from medgan.learners.gan.model import Model
from medgan.learners.gan.tone_curves import apply_curves
from medgan.plan import Plan
from medgan.scans.scan import OutputFormat
from medgan.training.runtime import choose_device

_GRID_COLUMNS = 8
BATCH = 16
"""Number of images drawn at a time, by every process on every machine. It is not a setting, because it
affects the images."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One synthetic image, which can be drawn again from its own fields."""

    pixels: NDArray[np.float32]
    """(C, H, W) in [0, 1]: 0 is the low and 1 the high end of the plan's intensity range."""
    label: str
    seed: int
    model: str
    """Digest of the model that drew it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledImages:
    """Synthetic images of one class; iterate over them to get a `Sample` per image."""

    pixels: NDArray[np.float32]
    """(N, C, H, W) in [0, 1]: 0 is the low and 1 the high end of the range of `form`."""
    label: str
    seeds: tuple[int, ...]
    model: str
    """Digest of the model that drew them."""
    form: OutputFormat
    """What their values mean, and how they are written to files."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.seeds)

    def __iter__(self) -> Iterator[Sample]:
        """Each image with its own seed."""
        for seed, pixels in zip(self.seeds, self.pixels, strict=True):
            yield Sample(pixels=pixels, label=self.label, seed=seed, model=self.model)


def draw_together(model: Model, label: str, seeds: Sequence[int], *, device: str = "auto") -> SampledImages:
    """Draw one image per seed, all of them in memory."""
    drawn = [one.pixels for one in draw(model, label, seeds, device=device)]
    return SampledImages(
        pixels=np.stack(drawn),
        label=label,
        seeds=tuple(seeds),
        model=model.digest,
        form=model.plan.frame.form,
    )


def draw(model: Model, label: str, seeds: Sequence[int], *, device: str = "auto") -> Iterator[Sample]:
    """Draw one image per seed, lazily, always in batches of `BATCH`.

    In a batch of another size, sums might be rounded differently. An image is the same at every place of a
    batch and whatever is drawn beside it, so the last batch is filled up with repetitions of its first image.
    The next batch is drawn while the caller works with this one, for example writes it.

    Raises:
        ModelError: the model does not have the class, or cannot draw it.
    """
    if label not in model.labels:
        raise ModelError(
            f"the model has no class {label!r}", hint=f"Its classes are: {', '.join(model.labels)}."
        )
    place = torch.device(choose_device(device))
    network = model.network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    which = torch.full((BATCH,), model.labels.index(label), device=place)

    def draw_batch(wanted: Sequence[int]) -> NDArray[np.float32]:
        latents = [latent_of(model.plan, seed) for seed in wanted]
        latents += latents[:1] * (BATCH - len(wanted))
        z = torch.cat(latents).to(which.device)  # the current GPU may differ between threads
        images = _draw_pixels(network, model.plan, z, which, tones=model.tones.get(label))
        require_numbers(model, images, f"class {label!r}")
        return images[: len(wanted)]

    # The next batch is drawn by another thread while the caller works with this one.
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    with ThreadPoolExecutor(1) as executor:
        coming = executor.submit(draw_batch, batches[0]) if batches else None
        for wanted, following in zip_longest(batches, batches[1:]):
            assert coming is not None
            images = coming.result()
            coming = executor.submit(draw_batch, following) if following else None
            for seed, pixels in zip(wanted, images, strict=True):
                yield Sample(pixels=pixels, label=label, seed=seed, model=model.digest)


def require_numbers(model: Model, pixels: NDArray[np.float32], what: str) -> None:
    """Raise ModelError for pixels that are not numbers; `what` says in the message what they show."""
    if not np.isfinite(pixels).all():  # the weights are finite, but so large that their sums are not
        raise ModelError(
            f"{model.folder}: this model cannot draw {what}: its pixels are not numbers",
            hint="Copy the model again, or train it again with another --seed.",
        )


@torch.inference_mode()
def _draw_pixels(
    network: nn.Module,
    plan: Plan,
    z: Tensor,
    labels: Tensor,
    share: float = 1.0,
    tones: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Images (N, C, H, W) in [0, 1] over the form's range, in fp32.

    `share` is the weight of the class conditioning, and `tones` are the tone curves of the class, if it has
    any.
    """
    images = network(z, labels, share).float().cpu()
    if tones is not None:
        images = torch.from_numpy(apply_curves(images.numpy(), tones))
    return to_pixels(images, plan)


def to_pixels(images: Tensor, plan: Plan) -> NDArray[np.float32]:
    """Convert images as the network draws them to [0, 1] over the form's range."""
    low, high = plan.frame.span
    pixels: NDArray[np.float32] = (low + (images + 1) / 2 * (high - low)).clamp(0, 1).numpy()
    return pixels


@torch.inference_mode()
def draw_class(network: nn.Module, plan: Plan, number: int, count: int, share: float = 1.0) -> Tensor:
    """The images (count, C, H, W) of the first seeds of class `number`, on the CPU.

    They are in fp32, as the network draws them.
    """
    place, parts = next(network.parameters()).device, []
    for start in range(0, count, BATCH):
        z = torch.cat([latent_of(plan, seed) for seed in range(start, min(start + BATCH, count))])
        parts.append(network(z.to(place), torch.full((len(z),), number, device=place), share))
    return torch.cat(parts).float().cpu()


def draw_grid(network: nn.Module, plan: Plan, *, share: float = 1.0) -> NDArray[np.float32]:
    """A grid of images (H, W) or (H, W, 3) in [0, 1], with a row per class.

    Every row, and every tick, has the same eight seeds.
    """
    device = next(network.parameters()).device
    z = torch.cat([latent_of(plan, seed) for seed in range(_GRID_COLUMNS)]).to(device)
    rows = []
    for number in range(len(plan.frame.labels)):
        images = _draw_pixels(network, plan, z, torch.full((_GRID_COLUMNS,), number, device=device), share)
        rows.append(np.concatenate(list(images), axis=2))  # (C, H, 8 W)
    sheet = np.concatenate(rows, axis=1).transpose(1, 2, 0)
    return sheet[:, :, 0] if plan.frame.channels == 1 else sheet
