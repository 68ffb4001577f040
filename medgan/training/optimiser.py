"""Adam with a limit on how far one step may move a weight.

Adam (arXiv 1412.6980) divides a gradient by v, the root of the running mean of its squares. With beta2 = 0.99
that mean spans about a hundred steps, so it is out of date for a weight whose gradients were small and
suddenly are not: one step may move such a weight by ten learning rates, 1 / sqrt(1 - beta2). Adafactor (arXiv
1804.04235, section 6) clips the update of a whole tensor; here the gradient of each weight is clipped by
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

_HUGE = 1e30
"""So large that its reciprocal is negligible beside any v that Adam (eps 1e-8) would take notice of."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedNetwork:
    """A network of a run and its optimiser."""

    network: nn.Module
    wrapped: nn.Module
    """The same network, wrapped for the precision and processes of the run."""
    optimiser: Optimizer


def clip_updates(adam: Adam, max_update: float) -> Adam:
    """Clip gradients to `max_update` times v before every step of `adam`.

    v is the root mean square gradient of the steps before, without the current one.
    """

    @torch.no_grad()
    def clip(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            known = [
                (weight.grad, optimizer.state[weight])
                for weight in group["params"]
                if weight.grad is not None and optimizer.state.get(weight)
            ]
            if known:
                slopes, states = zip(*known, strict=True)
                most = _gradient_scales(states, group["betas"][1])
                torch._foreach_mul_(most, max_update)
                torch._foreach_minimum_(slopes, most)
                torch._foreach_neg_(most)
                torch._foreach_maximum_(slopes, most)

    adam.register_step_pre_hook(clip)
    return adam


def _gradient_scales(states: Sequence[Mapping[str, Tensor]], beta2: float) -> list[Tensor]:
    """The v of every weight, computed from Adam's state.

    It is infinite for a weight that has not had a gradient yet, so nothing is clipped there. All weights are
    processed at once: on a GPU, a kernel per weight and per operation would cost more than the arithmetic.
    """
    grown = torch._foreach_pow(beta2, [state["step"] for state in states])
    torch._foreach_neg_(grown)
    torch._foreach_add_(grown, 1.0)
    roots = torch._foreach_div([state["exp_avg_sq"] for state in states], grown)
    torch._foreach_sqrt_(roots)
    never = torch._foreach_mul(roots, _HUGE)
    torch._foreach_reciprocal_(never)  # infinite for 0, and so is the sum
    torch._foreach_add_(roots, never)
    return list(roots)
