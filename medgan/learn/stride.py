"""Adam, and how far a step may move a weight -> Adam that moves none farther.

Adam (arXiv 1412.6980) divides a gradient by the root v of the mean of its squares. Over a hundred steps (beta2 0.99) that mean is out of date
for a weight whose gradients were small and are no longer: it may move by ten learning rates at once, 1 / sqrt(1 - beta2). Adafactor
(arXiv 1804.04235 section 6) clips the update of such a tensor as a whole; here each weight's gradient is clipped by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer


def shorten(adam: Adam, stride: float) -> Adam:
    """The same optimiser, its gradients clipped to `stride` times v before every step; v is that of the steps before."""

    @torch.no_grad()
    def clip(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and optimizer.state.get(weight):
                    most = usual(optimizer.state[weight], group["betas"][1]) * stride
                    weight.grad.clamp_(-most, most)

    adam.register_step_pre_hook(clip)
    return adam


def usual(state: Mapping[str, Tensor], beta2: float) -> Tensor:
    """The v of a weight by what Adam remembers of it; where it never had a gradient any is usual: infinity."""
    root = (state["exp_avg_sq"] / (1 - beta2 ** state["step"])).sqrt()
    return root.masked_fill_(root == 0, torch.inf)
