from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medgan.learners.gan import losses

REAL, FAKE = torch.tensor([[2.0, 1.0]]), torch.tensor([[-1.0, 3.0]])


def test_relativistic_loss_is_softplus_of_the_paired_difference():
    expected = math.log1p(math.exp(-3.0)) + 0.5 * math.log1p(math.exp(2.0))
    assert losses._relativistic_discriminator(REAL, FAKE, (1.0, 0.5)).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_relativistic_generator_is_the_critic_with_the_roles_swapped():
    weights = (1.0, 0.3)
    assert losses._relativistic_generator(REAL, FAKE, weights) == losses._relativistic_discriminator(
        FAKE, REAL, weights
    )


def test_bce_losses_equal_torch_binary_cross_entropy():
    real, fake = torch.tensor([[0.3], [-2.0]]), torch.tensor([[1.2], [0.1]])
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    expected = F.binary_cross_entropy_with_logits(real, ones) + F.binary_cross_entropy_with_logits(
        fake, zeros
    )
    assert losses._bce_discriminator(real, fake, (1.0, 1.0)).item() == pytest.approx(
        expected.item(), rel=1e-6
    )
    expected = F.binary_cross_entropy_with_logits(fake, ones)
    assert losses._bce_generator(real, fake, (1.0, 1.0)).item() == pytest.approx(expected.item(), rel=1e-6)


class Linear(nn.Module):
    """A critic whose gradient is known: logits are sums of pixels times 3 and times 4."""

    def forward(self, images, labels):
        total = images.flatten(1).sum(dim=1, keepdim=True)
        return torch.cat([3 * total, 4 * total], dim=1)


@pytest.mark.parametrize(("weights", "slope"), [((1.0, 0.0), 3.0), ((1.0, 1.0), 7.0), ((1.0, 0.5), 5.0)])
def test_gradient_penalty_is_the_squared_norm_of_the_weighted_gradient(weights, slope):
    images = torch.randn(5, 1, 2, 3)
    penalty = losses.gradient_penalty(Linear(), images, torch.zeros(5, dtype=torch.long), weights)
    assert penalty.item() == pytest.approx(6 * slope**2)


def test_gradient_penalty_reaches_the_weights():
    critic = nn.Linear(4, 1)

    class Wrapped(nn.Module):
        def forward(self, images, labels):
            return critic(images.flatten(1)) ** 2

    losses.gradient_penalty(Wrapped(), torch.randn(3, 1, 2, 2), torch.zeros(3), (1.0, 0.0)).backward()
    assert critic.weight.grad is not None
    assert critic.weight.grad.abs().sum() > 0
