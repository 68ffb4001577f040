"""Adam, and how far a step may move a weight -> Adam that moves none farther.

Adam (arXiv 1412.6980) divides a gradient by the root v of the mean of its squares. Over a hundred steps (beta2 0.99) that mean is out of date
for a weight whose gradients were small and are no longer: it may move by ten learning rates at once, 1 / sqrt(1 - beta2). Adafactor
(arXiv 1804.04235 section 6) clips the update of such a tensor as a whole; here each weight's gradient is clipped by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

_HUGE = 1e30
"""Its reciprocal is next to nothing beside any v that Adam, whose eps is 1e-8, would heed."""


def clip_updates(adam: Adam, stride: float) -> Adam:
    """The same optimiser, its gradients clipped to `stride` times v before every step; v is that of the steps before."""

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
                torch._foreach_mul_(most, stride)
                torch._foreach_minimum_(slopes, most)
                torch._foreach_neg_(most)
                torch._foreach_maximum_(slopes, most)

    adam.register_step_pre_hook(clip)
    return adam


def _gradient_scales(states: Sequence[Mapping[str, Tensor]], beta2: float) -> list[Tensor]:
    """The v of every weight by what Adam remembers of it; where one never had a gradient any is usual: infinity.

    All weights at once: on a GPU a kernel for each step of the formula and each weight costs more than what it computes.
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
