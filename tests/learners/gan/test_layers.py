"""The quick forms give the numbers of the plain forms, up to rounding, and their derivatives too."""

import pytest
import torch
from torch.nn import functional as F

from medgan.learners.gan.layers import _FOLD_FROM, _SLOPE, convolution, double, halve, leaky_relu
from medgan.learners.gan.losses import gradient_penalty


def images(*shape):
    torch.manual_seed(0)
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("shape", [(2, 3, 2 * _FOLD_FROM, _FOLD_FROM), (2, 3, 6, 8)])
def test_a_folded_convolution_is_a_convolution_and_then_a_mean(shape):
    x = images(*shape)
    layer = convolution(3, 5, 3).double()
    torch.nn.init.normal_(layer.bias)
    plain, folded = F.avg_pool2d(layer(x), 2), halve(x, layer)
    torch.testing.assert_close(folded, plain)
    weights = torch.randn_like(plain)
    parts = (x, layer.weight, layer.bias)
    for ours, theirs in zip(
        torch.autograd.grad(folded, parts, weights), torch.autograd.grad(plain, parts, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_what_is_affine_per_channel_commutes_with_doubling():
    x, gain, bias = images(2, 3, 5, 4), torch.randn(2, 3, 1, 1).double(), torch.randn(2, 3, 1, 1).double()
    torch.testing.assert_close(double(x * gain + bias), double(x) * gain + bias)


def test_leak_has_the_values_and_derivatives_of_leaky_relu():
    x = images(4, 6)
    assert torch.equal(leaky_relu(x), F.leaky_relu(x, _SLOPE))
    assert torch.autograd.gradcheck(leaky_relu, (x,))
    assert torch.autograd.gradgradcheck(leaky_relu, (x,))


class Critic(torch.nn.Module):
    """Two convolutions and a leaky ReLU of the given kind."""

    def __init__(self, kink):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.kink = convolution(1, 4, 3), convolution(4, 1, 3), kink

    def forward(self, x, labels):
        return self.second(self.kink(self.first(x))).mean(dim=(2, 3)).square()


def test_a_penalty_through_leak_has_the_gradients_of_one_through_leaky_relu():
    grads = []
    for kink in (leaky_relu, lambda x: F.leaky_relu(x, _SLOPE)):
        critic = Critic(kink)
        gradient_penalty(critic, images(3, 1, 8, 8), torch.zeros(3), (1.0,)).backward()
        grads.append([part.grad for part in critic.parameters()])
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_penalty_does_not_go_back_through_what_it_does_not_depend_on():
    x = images(1, 1, 4, 4)
    hidden = x * 1.0
    (slope,) = torch.autograd.grad(leaky_relu(hidden).sum(), hidden, create_graph=True)
    assert torch.autograd.grad(slope.sum(), hidden, allow_unused=True) == (None,)
