"""A trained generator + real images of each class -> the tone curves that its images are written by.

Images are clamped to the range of the scans before the frozen network sees them, as they are when they are written, so nothing calls
back a value that overshoots: soft tissue just below the upper end of a lung window comes out as white as bone. A curve per class and
channel lays what is drawn onto what is real, quantile upon quantile: histogram matching (Gonzalez and Woods, Digital Image
Processing, section 3.3), with one curve for all images of a class, so that bright images stay bright beside dark ones. It is monotone:
of two pixels the brighter one is never made the darker one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medgan.gan.draw import TOGETHER, latent_of
from medgan.gan.matching import OfClass
from medgan.plan import Plan

KNOTS = 257
"""Quantiles that a curve goes through, the least and the largest value included."""
DRAWN = 256
"""Synthetic images of a class that its curve is measured on."""


def tone_curves(network: nn.Module, plan: Plan, of_class: OfClass) -> NDArray[np.float32]:
    """Curves (classes, C, 2, KNOTS): quantiles of what `network` draws, and of the real images, both as the networks see them."""
    curves = []
    for number in range(len(plan.labels)):
        drawn, real = drawn_of(network, plan, number), channels(of_class(number))
        curves.append([tone_curve(before, after) for before, after in zip(drawn, real, strict=True)])
    return np.array(curves)


def tone_curve(drawn: NDArray[np.float32], real: NDArray[np.float32]) -> NDArray[np.float32]:
    """The curve (2, KNOTS) from the values `drawn` onto those of `real`, both flat and of any number.

    A value drawn often, as that of the air around a patient, has many ranks; it goes to the nearest value that they have.
    """
    before, after = quantiles(drawn), quantiles(real)
    lowest, highest = (np.searchsorted(before, before, side) for side in ("left", "right"))
    return np.stack([before, before.clip(after[lowest], after[highest - 1])])


def quantiles(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """KNOTS values, evenly spaced by rank."""
    ranks = np.linspace(0, len(values) - 1, KNOTS).round().astype(np.int64)
    return np.sort(values)[ranks]


def channels(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images (N, C, H, W) -> the values (C, N H W) of each channel."""
    return images.swapaxes(0, 1).reshape(images.shape[1], -1)


@torch.inference_mode()
def drawn_of(network: nn.Module, plan: Plan, number: int) -> NDArray[np.float32]:
    """The values (C, DRAWN H W) of each channel of images drawn of a class, as the network gives them."""
    device = next(network.parameters()).device
    which = torch.full((TOGETHER,), number, device=device)
    parts = [
        network(
            torch.cat([latent_of(plan, seed) for seed in range(start, start + TOGETHER)]).to(device),
            which,
            1.0,
        )
        for start in range(0, DRAWN, TOGETHER)
    ]
    return channels(torch.cat(parts).float().cpu().numpy())
