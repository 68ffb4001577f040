"""One training step: an update of each network from one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.learners.gan import dcgan, losses, networks
from medgan.learners.gan.augment import augment
from medgan.learners.gan.detail import CascadeGenerator, to_layout
from medgan.learners.gan.detail_steps import DETAIL_RATES, DetailState, update_detail
from medgan.learners.gan.feature_matching import ClassImages, FeatureMatcher
from medgan.learners.gan.latents import draw_latents
from medgan.learners.gan.layers import resample
from medgan.learners.gan.patch_discriminator import PatchDiscriminator, detail_deviation
from medgan.plan import Plan
from medgan.training.optimiser import TrainedNetwork, clip_updates
from medgan.training.runtime import Runtime

GENERATORS: dict[str, Any] = {"repaired": networks.Generator, "dcgan": dcgan.DcganGenerator}
_DISCRIMINATORS: dict[str, Any] = {"repaired": networks.Discriminator, "dcgan": dcgan.DcganDiscriminator}
_DETAIL_FACTOR = 2
"""How far a discriminator of places reduces an image to see its detail."""
_DETAIL_ADAMS = ("detail_adam", "detail_critic_adam")
"""Names in checkpoints of the optimisers of a detail stage and of its discriminator."""


@dataclass(frozen=True, slots=True)
class Step:
    """Measurements of one training step, None for what was not part of it."""

    generator_loss: float
    critic_loss: float | None = None
    told_apart: float | None = None
    """Share of pairs in which the discriminator rates the real image above the synthetic one: 0.5 for a
    discriminator that sees no difference, 1 for one that sees every difference."""
    distance: float | None = None
    """Energy distance of synthetic and real images in frozen features: 0 where they are indistinguishable."""
    detail_loss: float | None = None
    detail_told_apart: float | None = None
    """Share of places in patches at which the discriminator rates real detail above synthetic detail."""


def build_generator(plan: Plan) -> nn.Module:
    """A fresh generator, with a detail stage where the recipe has one."""
    if plan.recipe.detail_widths:
        return CascadeGenerator(plan)
    generator: nn.Module = GENERATORS[plan.recipe.arch](plan)
    return generator


class GanState:
    """The networks and optimisers of a run.

    They are a generator, its running average and, where the plan uses them, a discriminator, and what trains
    the detail stage. Unlike most classes here, it is mutable.
    """

    def __init__(self, plan: Plan, runtime: Runtime, class_images: ClassImages) -> None:
        """Build fresh networks, for which torch must have been seeded.

        `class_images` gives the images from which the generator and feature matching start.
        """
        self.plan, self.runtime, self.class_images = plan, runtime, class_images
        # Networks, in the order in which they draw random numbers.
        generator = build_generator(plan)
        discriminator = self._build_discriminator() if plan.recipe.adversary else None
        if isinstance(generator, networks.Generator | CascadeGenerator):
            generator.init_from_data(class_images)
        self.matcher = (
            FeatureMatcher(plan, self._layouts_of, runtime.fabric.device) if plan.recipe.matching else None
        )
        self.features = None if self.matcher is None else runtime.with_graphs(self.matcher.features)
        self.average = runtime.place(build_generator(plan))
        self.average.load_state_dict(generator.state_dict())
        self.average.eval().requires_grad_(False)
        # Their optimisers, and wrappers for this device.
        self.generator = generator
        self.detail, layout = None, generator
        if isinstance(generator, CascadeGenerator):
            self.detail, layout = DetailState.of(plan, runtime, generator.detail), generator.layout
        self.layout = self._with_adam(layout)
        """The part of the generator that the discriminator and feature matching teach: what draws the layouts
        for the detail stage, or all of it."""
        self.discriminator = None if discriminator is None else self._with_adam(discriminator)
        self.strength = plan.recipe.augment
        """Current strength of augmentation, which the guards may raise above the plan's."""
        self.start = 0
        """Images shown at which the schedule of the learning rate starts: the end of a shorter run that this
        one continues, or 0."""
        self.lr_factor = 1.0
        """Factor on the plan's learning rate, halved whenever the run is rolled back."""

    def _layouts_of(self, number: int) -> NDArray[np.float32]:
        """The images of a class that are matched: their layouts, where a detail stage follows."""
        return to_layout(torch.from_numpy(self.class_images(number)), self.plan).numpy()

    def _build_discriminator(self) -> nn.Module:
        """A fresh discriminator of whole images, or of every place in them, as the recipe says."""
        plan, widths = self.plan, self.plan.recipe.discriminator_widths
        if not widths:
            whole: nn.Module = _DISCRIMINATORS[plan.recipe.arch](plan)
            return whole
        local = PatchDiscriminator(plan, widths, _DETAIL_FACTOR, whole=plan.recipe.grid)
        classes = range(len(plan.frame.labels))
        known = (resample(torch.from_numpy(self._layouts_of(number)), plan.recipe.grid) for number in classes)
        local.deviation.copy_(detail_deviation(known, _DETAIL_FACTOR))
        return local

    def _with_adam(self, network: nn.Module) -> TrainedNetwork:
        """A network with Adam by the settings of the plan, and wrapped for the runtime."""
        recipe, weights = self.plan.recipe, network.parameters()
        betas = (recipe.betas[0], recipe.betas[1])
        adam = torch.optim.Adam(weights, lr=recipe.rate, betas=betas, fused=True)
        if recipe.stride:
            adam = clip_updates(adam, recipe.stride)
        return TrainedNetwork(network, *self.runtime.setup(network, adam))

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by their names in checkpoints."""
        others = {} if self.discriminator is None else {"critic": self.discriminator.network}
        if self.detail is not None:
            others["detail_critic"] = self.detail.critic.network
        return {"generator": self.generator, **others, "average": self.average}

    @property
    def optimisers(self) -> dict[str, Optimizer]:
        """The optimisers by their names in checkpoints."""
        others = {} if self.discriminator is None else {"critic_adam": self.discriminator.optimiser}
        if self.detail is not None:
            adams = (self.detail.stage.optimiser, self.detail.critic.optimiser)
            others |= dict(zip(_DETAIL_ADAMS, adams, strict=True))
        return {"generator_adam": self.layout.optimiser, **others}

    def set_rates(self, done: float) -> None:
        """Set the learning rates of a step when a share of the run is `done`."""
        ends = dict.fromkeys(self.optimisers, (self.plan.recipe.rate, self.plan.recipe.rate_end))
        ends |= dict.fromkeys(ends.keys() & _DETAIL_ADAMS, DETAIL_RATES)
        for name, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = _cosine(*ends[name], done) * self.lr_factor

    def parts(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold, by name."""
        return {**self.networks, **self.optimisers}


def _cosine(start: float, end: float, done: float) -> float:
    """Go from `start` to `end` along half a cosine as `done` goes from 0 to 1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


def conditioning_weight(plan: Plan, images_shown: int) -> float:
    """Weight of the class conditioning at this point of training, 0 to 1.

    Transitional conditioning: what all classes share is learned first (arXiv 2201.06578).
    """
    start, whole = (share * plan.budget.images_shown for share in plan.recipe.condition)
    return min(max((images_shown - start) / (whole - start), 0.0), 1.0) if whole > start else 1.0


def active_discriminator(gan: GanState, images_shown: int) -> TrainedNetwork | None:
    """The discriminator, or None where there is none or it has not started yet."""
    plan = gan.plan
    start = plan.recipe.discriminator_start * plan.budget.images_shown
    return gan.discriminator if images_shown >= start else None


def _paired_logits(
    plan: Plan, discriminator: TrainedNetwork, real: Tensor, fake: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits of real and fake images or of their places, in fp32.

    Batch norm must see the two apart; without it, one pass for both is faster.
    """
    if plan.recipe.arch == "dcgan":
        return discriminator.wrapped(real, labels).float(), discriminator.wrapped(fake, labels).float()
    both = discriminator.wrapped(torch.cat([real, fake]), torch.cat([labels, labels])).float()
    on_real, on_fake = both.chunk(2)
    return on_real, on_fake


def update(gan: GanState, real: Tensor, labels: Tensor, images_shown: int) -> Step:
    """Train the networks on a batch of images (N, C, H, W) in [-1, 1], classes (N,).

    Each process brings its share of the batch. Gradients and measurements are means over the whole batch.
    """
    plan, share = gan.plan, conditioning_weight(gan.plan, images_shown)
    done = (images_shown - gan.start) / (plan.budget.images_shown - gan.start)
    gan.set_rates(done)
    # Fake images, the discriminator's step where it takes part, and the generator's step.
    gan.runtime.begin_step()
    z = draw_latents(plan, len(real), real.device)
    fake = gan.layout.wrapped(z, labels, gan.runtime.number(share)).float()
    layouts = (to_layout(real, plan), fake)
    discriminator, shown = active_discriminator(gan, images_shown), {}
    if discriminator is not None:
        critic_loss, on_real, on_fake = _update_discriminator(
            gan, discriminator, (layouts[0], fake.detach()), labels, images_shown
        )
        told_apart = (on_real[:, 0] > on_fake[:, 0]).float().mean()
        shown = {"critic_loss": critic_loss, "told_apart": told_apart}
    shown |= _update_generator(gan, discriminator, layouts, labels, images_shown)
    if gan.detail is not None:
        shown |= update_detail(gan.detail, plan, gan.runtime, (real, *layouts), labels, images_shown)
    _update_average(gan, images_shown + plan.budget.batch, plan.budget.batch)
    numbers = gan.runtime.mean(torch.stack(list(shown.values()))).tolist()
    return Step(**dict(zip(shown, numbers, strict=True)))


def _update_discriminator(
    gan: GanState,
    discriminator: TrainedNetwork,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Train the discriminator on a `pair` of real and fake images.

    Returns:
        Its loss without the gradient penalty, and its logits on real and on fake images.
    """
    plan, weights = gan.plan, (1.0, conditioning_weight(gan.plan, images_shown))
    with torch.no_grad():
        real, fake = (augment(images, gan.strength) for images in pair)
    # The loss, and the gradient penalty every few steps.
    on_real, on_fake = _paired_logits(plan, discriminator, real, fake, labels)
    loss = losses.DISCRIMINATOR_LOSSES[plan.recipe.loss](on_real, on_fake, weights)
    total = loss
    if plan.recipe.penalty_every and images_shown // plan.budget.batch % plan.recipe.penalty_every == 0:
        gamma = _cosine(plan.recipe.penalty, plan.recipe.penalty_end, images_shown / plan.budget.images_shown)
        both, twice = torch.cat([real, fake]), torch.cat([labels, labels])
        # Of several places in an image, the penalty is the mean over the places.
        share = (len(real) / len(on_real)) ** 0.5
        # The mean over real and fake together is half of R1 + R2, and the factor `penalty_every` keeps its
        # mean strength. The penalty bypasses DDP's wrapper, but its gradients reach the same parameters in
        # the same backward pass as those of `loss`: DDP averages what each parameter has received in the end.
        total = loss + plan.recipe.penalty_every * gamma * losses.gradient_penalty(
            discriminator.network, both, twice, (share * weights[0], share * weights[1])
        )
    gan.runtime.descend(discriminator, total)
    return loss.detach(), on_real.detach(), on_fake.detach()


def _update_generator(
    gan: GanState,
    discriminator: TrainedNetwork | None,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> dict[str, Tensor]:
    """Train the generator on a `pair` of real images and of fakes it has just drawn.

    Returns:
        Its loss and, with feature matching, the distance.
    """
    plan, fake = gan.plan, pair[1]
    total, shown = fake.new_zeros(()), {}
    if discriminator is not None:
        total = total + plan.recipe.adversary * _adversarial_loss(
            gan, discriminator, pair, labels, images_shown
        )
    if gan.matcher is not None:
        distance = gan.matcher.distance(fake, labels, (plan.budget.seed, images_shown), gan.features)
        total = total + plan.recipe.matching * distance
        shown["distance"] = distance.detach()
    gan.runtime.descend(gan.layout, total)
    return {**shown, "generator_loss": total.detach()}


def _adversarial_loss(
    gan: GanState,
    discriminator: TrainedNetwork,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> Tensor:
    """The generator's loss from the discriminator, which itself gets no gradient."""
    plan, share, (real, fake) = gan.plan, conditioning_weight(gan.plan, images_shown), pair
    with gan.runtime.freeze(discriminator):
        on_fake = discriminator.wrapped(augment(fake, gan.strength), labels).float()
    on_real = on_fake  # ignored by a loss that does not pair fakes with reals
    if plan.recipe.loss == "relativistic":
        with torch.no_grad():
            on_real = discriminator.wrapped(augment(real, gan.strength), labels).float()
    return losses.GENERATOR_LOSSES[plan.recipe.loss](on_real, on_fake, (1.0, share))


@torch.no_grad()
def _update_average(gan: GanState, images_shown: int, batch: int) -> None:
    """Move the running average of the generator towards it.

    The half-life of the average never exceeds a twentieth of the images shown so far.
    """
    half_life = min(gan.plan.recipe.ema, 0.05 * images_shown)
    keep = 0.5 ** (batch / half_life) if half_life > 0 else 0.0
    torch._foreach_lerp_(list(gan.average.parameters()), list(gan.generator.parameters()), 1 - keep)
    for mine, theirs in zip(gan.average.buffers(), gan.generator.buffers(), strict=True):
        mine.copy_(theirs)
