"""Logits -> losses, each with its equation; D returns (N, 1) or (N, 2) logits, the second one conditional."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_Weights = tuple[float, float]
"""Weight of the unconditional and of the conditional logit."""


def _weigh(losses: Tensor, weights: _Weights) -> Tensor:
    """Mean over the batch of a (N, 1) or (N, 2) table of losses, its columns weighted."""
    return (losses * losses.new_tensor(weights[: losses.shape[1]])).sum(dim=1).mean()


def _relativistic_discriminator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """E[softplus(-(D(x) - D(G(z))))]: each real image paired with one fake (arXiv 1807.00734, 2501.05441 eq. 1)."""
    return _weigh(F.softplus(-(real - fake)), weights)


def _relativistic_generator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """E[softplus(-(D(G(z)) - D(x)))]."""
    return _weigh(F.softplus(-(fake - real)), weights)


def _bce_discriminator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] with D = sigmoid(logit) (arXiv 1406.2661 eq. 1)."""
    return _weigh(F.softplus(-real) + F.softplus(fake), weights)


def _bce_generator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """-E[log D(G(z))]: the non-saturating form (arXiv 1406.2661 section 3)."""
    del real
    return _weigh(F.softplus(-fake), weights)


_Loss = Callable[[Tensor, Tensor, _Weights], Tensor]
DISCRIMINATOR_LOSSES: dict[str, _Loss] = {
    "relativistic": _relativistic_discriminator,
    "bce": _bce_discriminator,
}
GENERATOR_LOSSES: dict[str, _Loss] = {"relativistic": _relativistic_generator, "bce": _bce_generator}


def gradient_penalty(critic: nn.Module, images: Tensor, labels: Tensor, weights: _Weights) -> Tensor:
    """E[||grad_x D(x)||^2]: R1 on real images, R2 on fakes (arXiv 1801.04406 eq. 9); call it in fp32.

    Rounding in bf16 logits would drown the gradient, so `critic` must be the network itself, not one that runs in bf16.
    """
    images = images.detach().float().requires_grad_(True)
    logits = critic(images, labels)
    weighted = (logits * logits.new_tensor(weights[: logits.shape[1]])).sum()
    (slope,) = torch.autograd.grad(weighted, images, create_graph=True)
    return slope.square().flatten(1).sum(dim=1).mean()
