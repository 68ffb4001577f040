"""Losses of the GAN from the logits of the discriminator, with their equations.

A discriminator D returns logits (N, 1) or (N, 2), the second of them conditional on the class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_Weights = tuple[float, float]
"""Weights of the unconditional and of the conditional logit."""


def _weigh(losses: Tensor, weights: _Weights) -> Tensor:
    """Weight the columns of losses (N, 1) or (N, 2), and average over the batch."""
    return (losses * losses.new_tensor(weights[: losses.shape[1]])).sum(dim=1).mean()


def _relativistic_discriminator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """E[softplus(-(D(x) - D(G(z))))], each real image paired with one fake.

    arXiv 1807.00734 and 2501.05441, eq. 1.
    """
    return _weigh(F.softplus(-(real - fake)), weights)


def _relativistic_generator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """E[softplus(-(D(G(z)) - D(x)))]."""
    return _weigh(F.softplus(-(fake - real)), weights)


def _bce_discriminator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] with D = sigmoid(logit).

    arXiv 1406.2661, eq. 1.
    """
    return _weigh(F.softplus(-real) + F.softplus(fake), weights)


def _bce_generator(real: Tensor, fake: Tensor, weights: _Weights) -> Tensor:
    """-E[log D(G(z))], the non-saturating form (arXiv 1406.2661, section 3)."""
    del real
    return _weigh(F.softplus(-fake), weights)


_Loss = Callable[[Tensor, Tensor, _Weights], Tensor]
DISCRIMINATOR_LOSSES: dict[str, _Loss] = {
    "relativistic": _relativistic_discriminator,
    "bce": _bce_discriminator,
}
GENERATOR_LOSSES: dict[str, _Loss] = {"relativistic": _relativistic_generator, "bce": _bce_generator}


def gradient_penalty(discriminator: nn.Module, images: Tensor, labels: Tensor, weights: _Weights) -> Tensor:
    """E[||grad_x D(x)||^2]: R1 on real images, R2 on fakes (arXiv 1801.04406, eq. 9).

    Call it in fp32, with the network itself and not a wrapper that runs in bf16: rounding of the logits would
    drown the gradient.
    """
    images = images.detach().float().requires_grad_(True)
    logits = discriminator(images, labels)
    weighted = (logits * logits.new_tensor(weights[: logits.shape[1]])).sum()
    (slope,) = torch.autograd.grad(weighted, images, create_graph=True)
    return slope.square().flatten(1).sum(dim=1).mean()
