"""Draw the frames of a film: a walk through latents, or from class to class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.learners.gan.latents import latent_of
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import BATCH, require_numbers, to_pixels
from medgan.learners.gan.tone_curves import mix_curves
from medgan.plan import Plan
from medgan.training.runtime import choose_device

_Pixels = NDArray[np.float32]


def draw_walk(
    model: Model, label: str, seeds: Sequence[int], steps: int, device: str = "auto"
) -> Iterator[_Pixels]:
    """Draw a closed walk through the images of some seeds, with `steps` images from one to the next."""
    latents = walk_latents(model.plan, seeds, steps)
    return draw_frames(model, latents, class_weights(model.plan, (label,), len(latents)), device)


def draw_change(
    model: Model, labels: Sequence[str], seeds: Sequence[int], steps: int, device: str = "auto"
) -> Iterator[tuple[dict[str, float], list[_Pixels]]]:
    """Draw some seeds while the class changes from label to label, and back to the first.

    Yields ({label: its share}, an image of every seed), `steps` times for each label.
    """
    weights = class_weights(model.plan, labels, steps)
    keys = torch.cat([latent_of(model.plan, seed) for seed in seeds])
    every = weights.repeat_interleave(len(keys), dim=0)
    images = draw_frames(model, keys.repeat(len(weights), 1), every, device)
    for row in weights.tolist():
        shares = {label: share for label, share in zip(model.labels, row, strict=True) if share > 0}
        yield shares, [next(images) for _ in seeds]


def walk_latents(plan: Plan, seeds: Sequence[int], steps: int) -> Tensor:
    """Latents (seeds x steps, numbers) of a smooth closed walk that passes through those of the seeds.

    The numbers of a layout and those of the noise of its texture walk on a sphere each.
    """
    keys = torch.cat([latent_of(plan, seed) for seed in seeds])
    parts = keys[:, : plan.recipe.latent], keys[:, plan.recipe.latent :]
    return torch.cat([_walk_sphere(part, steps) for part in parts if part.shape[1]], dim=1)


def _walk_sphere(keys: Tensor, steps: int) -> Tensor:
    """Points (keys x steps, numbers) of the closed spline of Catmull and Rom (1974) through the keys.

    A spline cuts corners, where vectors would be shorter than any that the generator knows. So each point is
    moved to the distance from the centre that lies between those of its two keys.
    """
    t = torch.arange(steps, dtype=keys.dtype)[None, :, None] / steps
    weights = (
        (-(t**3) + 2 * t**2 - t) / 2,
        (3 * t**3 - 5 * t**2 + 2) / 2,
        (-3 * t**3 + 4 * t**2 + t) / 2,
        (t**3 - t**2) / 2,
    )
    following = [keys.roll(shift, 0)[:, None] for shift in (1, 0, -1, -2)]
    points: Tensor = torch.stack([weight * key for weight, key in zip(weights, following, strict=True)]).sum(
        dim=0
    )
    here, there = (key.norm(dim=2, keepdim=True) for key in following[1:3])
    points = points * ((1 - t) * here + t * there) / points.norm(dim=2, keepdim=True)
    points[:, 0] = keys
    return points.reshape(-1, keys.shape[1])


def class_weights(plan: Plan, labels: Sequence[str], steps: int) -> Tensor:
    """Weights (labels x steps, classes) that change evenly from label to label, and back at the end."""
    known = plan.frame.labels
    pure = torch.eye(len(known))[[known.index(label) for label in labels]]
    t = torch.arange(steps)[None, :, None] / steps
    return torch.lerp(pure[:, None], pure.roll(-1, 0)[:, None], t).flatten(0, 1)


@torch.inference_mode()
def draw_frames(model: Model, latents: Tensor, weights: Tensor, device: str = "auto") -> Iterator[_Pixels]:
    """Draw an image (C, H, W) in [0, 1] from every latent and its weights of the classes.

    The network draws every image anew from a mixture of what it knows of the classes, their means, roots and
    embeddings; no image is a blend of two pictures.

    Args:
        model: Draws the images.
        latents: (N, numbers).
        weights: (N, classes), which add up to 1.
        device: Where to draw.

    Raises:
        ModelError: the model draws pixels that are not numbers.
    """
    place = torch.device(choose_device(device))
    network = model.network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    curves = [model.tones[label] for label in model.labels] if model.tones else []
    for start in range(0, len(latents), BATCH):
        z, mixture = (numbers[start : start + BATCH] for numbers in (latents, weights))
        images = network(z.to(place), mixture.to(place)).float().cpu()
        if curves:
            images = torch.from_numpy(mix_curves(images.numpy(), curves, mixture.numpy()))
        pixels = to_pixels(images, model.plan)
        require_numbers(model, pixels, "a film")
        yield from pixels
