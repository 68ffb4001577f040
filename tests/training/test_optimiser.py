from __future__ import annotations

import pytest
import torch

from medgan.training.optimiser import clip_updates

RATE = 1e-3


def moved(gradients, stride):
    """Where a weight that begins at 0 is after each of the gradients, in learning rates."""
    weight = torch.nn.Parameter(torch.zeros(2))
    adam = torch.optim.Adam([weight], lr=RATE, betas=(0.0, 0.99), fused=True)
    if stride:
        assert clip_updates(adam, stride) is adam
    places = []
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        adam.step()
        places.append(weight.detach() / RATE)
    return torch.stack(places)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_weight_that_lay_still_does_not_leap(sign):
    gradients = [[1e-3, 1e-3]] * 300 + [[1e-3, sign]]
    (_, leap), (still, step) = (moved(gradients, stride).diff(dim=0)[-1].tolist() for stride in (0, 2.0))
    assert leap * -sign > 9.5  # 1 / sqrt(1 - 0.99) at most
    assert step * -sign == pytest.approx(2 / (0.99 + 4 * 0.01) ** 0.5, rel=1e-3)
    assert still == pytest.approx(-1, rel=1e-3)  # its neighbour goes on


def test_gradients_of_the_usual_length_are_left_alone():
    chance = torch.Generator().manual_seed(0)
    gradients = ((torch.rand(200, 2, generator=chance) - 0.5).sign() * 0.3).tolist()
    assert torch.equal(moved(gradients, 2.0), moved(gradients, 0))


def test_a_weight_that_never_had_a_gradient_moves_at_its_first():
    gradients = [[0.0, 0.5]] * 40 + [[0.5, 0.5]]
    assert torch.equal(moved(gradients, 2.0), moved(gradients, 0))


def test_a_weight_whose_gradients_have_grown_goes_at_its_rate_again():
    steps = moved([[1e-2, 1e-2]] * 100 + [[1.0, 1.0]] * 600, 2.0).diff(dim=0)
    assert (steps[100:] < -0.9).all()
    assert steps[-1, 0] == pytest.approx(-1, rel=0.05)
