"""A training step of the detail stage, on a patch of every image of a batch.

Half of the patches are drawn on reduced real images, of which the true detail is known, and half on layouts
of the generator as it is, so that the stage learns to draw on what it will be given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medgan.learners.gan import losses
from medgan.learners.gan.detail import DetailStage, to_grid
from medgan.learners.gan.latents import draw_latents
from medgan.learners.gan.patch_discriminator import PatchDiscriminator
from medgan.plan import Plan
from medgan.training.optimiser import TrainedNetwork
from medgan.training.runtime import Runtime, random_per_image

DETAIL_RATES = (5e-4, 5e-5)
"""Learning rate of both networks at the start and at the end, along a cosine."""
_CRITIC_WIDTHS = (32, 64, 128)
"""Channels of the discriminator of patches."""
_CONTEXT = 4
"""Cells of the layout that the stage sees on every side of a patch."""
_LAYOUTS_FROM = 0.2
"""Share of the run after which half of the patches are drawn on layouts of the generator: before that, they
do not resemble scans."""
_TRUTH, _CONSISTENCY = 1.0, 5.0
"""Weights of the mean absolute distance to the true detail, and to the layout when reduced again."""
_NOISE, _BLUR = 0.02, 0.5
"""Most noise and blur in reduced real images, which are thereby as soft and as rough as layouts are."""


@dataclass(frozen=True, slots=True, eq=False)
class DetailState:
    """The detail stage of a run and the discriminator of its patches."""

    stage: TrainedNetwork
    critic: TrainedNetwork

    @classmethod
    def of(cls, plan: Plan, runtime: Runtime, stage: DetailStage) -> DetailState:
        """Make the optimisers and a fresh discriminator, which takes the deviation of the stage."""
        critic = PatchDiscriminator(plan, _CRITIC_WIDTHS, 1 << plan.recipe.detail_doublings)
        critic.deviation.copy_(stage.deviation)
        adams = (
            torch.optim.Adam(one.parameters(), DETAIL_RATES[0], (0.0, 0.99), fused=True)
            for one in (stage, critic)
        )
        pairs = zip((stage, critic), adams, strict=True)
        return cls(*(TrainedNetwork(network, *runtime.setup(network, adam)) for network, adam in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class _Patches:
    """Where the patches of a batch lie, in cells of the layout."""

    starts: Tensor
    """(N, 2): the first row and column of each patch."""
    shape: tuple[int, int]
    """Rows and columns of a patch."""

    @classmethod
    def at_random(cls, plan: Plan, count: int, device: torch.device) -> _Patches:
        """Choose a place for a patch in each of `count` images, all places alike."""
        cells = plan.recipe.detail_patch >> plan.recipe.detail_doublings
        rows, columns = (min(max(cells, 1), side) for side in plan.recipe.grid)
        free = torch.tensor(
            [side - own + 1 for side, own in zip(plan.recipe.grid, (rows, columns), strict=True)],
            device=device,
        )
        chance = random_per_image(lambda n: torch.rand(n, 2, device=device), count)
        return cls((chance * free).long(), (rows, columns))

    def with_context(self, plan: Plan) -> _Patches:
        """The same patches with their context, as far as the layout goes."""
        sides = plan.recipe.grid
        rows, columns = (min(own + 2 * _CONTEXT, side) for own, side in zip(self.shape, sides, strict=True))
        last = self.starts.new_tensor([sides[0] - rows, sides[1] - columns])
        return _Patches(torch.minimum((self.starts - _CONTEXT).clamp(min=0), last), (rows, columns))

    def within(self, outer: _Patches) -> _Patches:
        """The same patches, in cells of the patches `outer` that hold them."""
        return _Patches(self.starts - outer.starts, self.shape)

    def cut(self, images: Tensor, factor: int = 1) -> Tensor:
        """Cut them out of images (N, C, H, W) with `factor` pixels per cell."""
        rows, columns = (
            start[:, None] * factor + torch.arange(size * factor, device=images.device)
            for start, size in zip(self.starts.T, self.shape, strict=True)
        )
        which = torch.arange(len(images), device=images.device)[:, None, None]
        return images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def update_detail(
    detail: DetailState,
    plan: Plan,
    runtime: Runtime,
    images: tuple[Tensor, Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> dict[str, Tensor]:
    """Train the stage and its discriminator.

    Args:
        detail: both networks.
        plan: the plan of the run.
        runtime: the runtime of the run.
        images: real images (N, C, H, W) as the networks see them, their layouts (N, C, h, w), and layouts
            that the generator has drawn.
        labels: (N,) their classes.
        images_shown: the position of the step.

    Returns:
        The loss of the stage, and the share of places at which the real patch is rated above the drawn one.
    """
    done = images_shown / plan.budget.images_shown
    # A patch of every image, and a patch to draw: on the generator's layout in every second image.
    (real, known, layouts), factor = images, 1 << plan.recipe.detail_doublings
    truth = to_grid(real, plan)
    of_layout = random_per_image(lambda n: torch.arange(n, device=known.device) % 2 == 1, len(known))
    if done < _LAYOUTS_FROM:
        of_layout = torch.zeros_like(of_layout)
    choice = of_layout[:, None, None, None]
    inner = _Patches.at_random(plan, len(known), known.device)
    outer = inner.with_context(plan)
    given = outer.cut(torch.where(choice, layouts.detach(), _roughen(known)))
    judged = _Patches.at_random(plan, len(known), known.device).cut(truth, factor)
    # Draw, judge, and train both.
    numbers = plan.recipe.detail_noise * outer.shape[0] * outer.shape[1]
    noise = draw_latents(plan, len(given), given.device, numbers)
    drawn = detail.stage.wrapped(given, noise, labels).float()
    fake = inner.within(outer).cut(drawn, factor)
    told_apart = _update_critic(detail.critic, plan, runtime, (judged, fake.detach()), labels, images_shown)
    apart = (drawn - outer.cut(truth, factor)).abs().masked_fill(choice, 0.0).mean()
    changed = (F.avg_pool2d(drawn, factor) - given).abs().mean()
    loss = _adversarial_loss(detail.critic, runtime, (judged, fake), labels)
    loss = loss + _TRUTH * apart + _CONSISTENCY * changed
    runtime.descend(detail.stage, loss)
    return {"detail_loss": loss.detach(), "detail_told_apart": told_apart}


def _roughen(layouts: Tensor) -> Tensor:
    """Blur each of the reduced real images (N, C, h, w) a little, and add a little noise."""
    blur, noise = random_per_image(
        lambda n: torch.rand(n, 2, 1, 1, 1, device=layouts.device), len(layouts)
    ).unbind(dim=1)
    grain = random_per_image(
        lambda n: torch.randn(n, *layouts.shape[1:], device=layouts.device), len(layouts)
    )
    soft = F.avg_pool2d(F.pad(layouts, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return layouts + blur * _BLUR * (soft - layouts) + noise * _NOISE * grain


def _update_critic(
    critic: TrainedNetwork,
    plan: Plan,
    runtime: Runtime,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> Tensor:
    """Train the discriminator on a `pair` of real and drawn patches.

    Returns:
        The share of places at which it rates the real patch above the drawn one.
    """
    both, twice = torch.cat(pair), torch.cat([labels, labels])
    on_real, on_fake = critic.wrapped(both, twice).float().chunk(2)
    total = losses.DISCRIMINATOR_LOSSES["relativistic"](on_real, on_fake, (1.0, 1.0))
    every = plan.recipe.penalty_every
    if every and images_shown // plan.budget.batch % every == 0:
        share = len(labels) / len(
            on_real
        )  # one over the number of places, so that a penalty is of their mean
        penalty = losses.gradient_penalty(critic.network, both, twice, (share, share))
        total = total + every * plan.recipe.detail_penalty * penalty
    runtime.descend(critic, total)
    told_apart: Tensor = (on_real[:, 0] > on_fake[:, 0]).float().mean()
    return told_apart


def _adversarial_loss(
    critic: TrainedNetwork, runtime: Runtime, pair: tuple[Tensor, Tensor], labels: Tensor
) -> Tensor:
    """The stage's loss from the discriminator, which itself gets no gradient."""
    with runtime.freeze(critic):
        on_real, on_fake = critic.wrapped(torch.cat(pair), torch.cat([labels, labels])).float().chunk(2)
    return losses.GENERATOR_LOSSES["relativistic"](on_real, on_fake, (1.0, 1.0))
