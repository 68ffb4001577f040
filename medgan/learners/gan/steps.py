"""One batch -> one update of each network; what is measured on the way is a Step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.learners.gan import dcgan, losses, networks
from medgan.learners.gan.augment import augment
from medgan.learners.gan.feature_matching import ClassImages, FeatureMatcher
from medgan.plan import Plan
from medgan.training.optimiser import clip_updates
from medgan.training.runtime import Runtime, random_per_image

GENERATORS: dict[str, Any] = {"repaired": networks.Generator, "dcgan": dcgan.DcganGenerator}
_DISCRIMINATORS: dict[str, Any] = {"repaired": networks.Discriminator, "dcgan": dcgan.DcganDiscriminator}


@dataclass(frozen=True, slots=True)
class Step:
    """What one update showed; None for what had no part in it."""

    generator_loss: float
    critic_loss: float | None = None
    told_apart: float | None = None
    """Share of pairs in which the discriminator rates the real image above the synthetic one: 0.5 is blind, 1 sees all."""
    distance: float | None = None
    """Energy distance of synthetic and real images in frozen features: 0 where nothing tells them apart."""


@dataclass(frozen=True, slots=True, eq=False)
class DiscriminatorState:
    """The discriminator of a run, and what it learns by."""

    network: nn.Module
    wrapped: nn.Module
    """The same network in the precision and the company of the run."""
    adam: Optimizer


class GanState:
    """The generator, its average and, where the plan gives it a part, the discriminator of a run (mutable, unlike our nouns)."""

    def __init__(self, plan: Plan, runtime: Runtime, known: ClassImages) -> None:
        """Fresh networks, of which those that can begin with what is `known` of each class do; chance must have been seeded."""
        self.plan, self.runtime, self.known = plan, runtime, known
        generator = GENERATORS[plan.arch](plan)
        critic = _DISCRIMINATORS[plan.arch](plan) if plan.adversary else None
        if isinstance(generator, networks.Generator):
            generator.begin(known)
        self.matcher = FeatureMatcher(plan, known, runtime.fabric.device) if plan.matching else None
        self.look = None if self.matcher is None else runtime.graphed(self.matcher.features)
        self.average = runtime.place(GENERATORS[plan.arch](plan))
        self.average.load_state_dict(generator.state_dict())
        self.average.eval().requires_grad_(False)
        self.generator = generator
        self.to_generator, self.generator_adam = runtime.setup(generator, self.adam(generator))
        self.critic = (
            None if critic is None else DiscriminatorState(critic, *runtime.setup(critic, self.adam(critic)))
        )
        self.strength = plan.augment
        """Strength of augmentation in force: guards may raise it above the plan's."""
        self.start = 0
        """Images shown when the learning rate set out: those of a shorter run that is gone on with."""
        self.pace = 1.0
        """Factor on the plan's learning rate: halved whenever the run is set back."""

    def adam(self, network: nn.Module) -> Optimizer:
        """The optimiser of the plan."""
        plan = self.plan
        adam = torch.optim.Adam(network.parameters(), lr=plan.rate, betas=plan.betas, fused=True)  # type: ignore[arg-type]
        return clip_updates(adam, plan.stride) if plan.stride else adam

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All there are, by name."""
        critic = {} if self.critic is None else {"critic": self.critic.network}
        return {"generator": self.generator, **critic, "average": self.average}

    @property
    def adams(self) -> dict[str, Optimizer]:
        """The optimisers there are, by name."""
        critic = {} if self.critic is None else {"critic_adam": self.critic.adam}
        return {"generator_adam": self.generator_adam, **critic}

    def parts(self) -> dict[str, Any]:
        """What a checkpoint must hold, by name."""
        return {**self.networks, **self.adams}


def _cosine(start: float, end: float, done: float) -> float:
    """From `start` to `end` along half a cosine as `done` goes from 0 to 1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


def conditioning_weight(plan: Plan, images_shown: int) -> float:
    """How far the class condition has come, 0 to 1 (arXiv 2201.06578: first learn what all classes share)."""
    start, whole = (share * plan.images_shown for share in plan.condition)
    return min(max((images_shown - start) / (whole - start), 0.0), 1.0) if whole > start else 1.0


def active_discriminator(learners: GanState, images_shown: int) -> DiscriminatorState | None:
    """The discriminator, where there is one and once it has a say."""
    plan = learners.plan
    return learners.critic if images_shown >= plan.joins * plan.images_shown else None


def _paired_logits(
    plan: Plan, critic: DiscriminatorState, real: Tensor, fake: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits of real and fake images, in fp32. Batch norm must see them apart; without it one pass is quicker."""
    if plan.arch == "dcgan":
        return critic.wrapped(real, labels).float(), critic.wrapped(fake, labels).float()
    both = critic.wrapped(torch.cat([real, fake]), torch.cat([labels, labels])).float()
    return both[: len(real)], both[len(real) :]


def draw_latents(plan: Plan, count: int, device: torch.device) -> Tensor:
    """Latent vectors (count, latent) from torch's own generator."""
    if plan.noise == "uniform":
        return random_per_image(lambda n: torch.rand(n, plan.latent, device=device), count) * 2 - 1
    return random_per_image(lambda n: torch.randn(n, plan.latent, device=device), count)


def update(learners: GanState, real: Tensor, labels: Tensor, images_shown: int) -> Step:
    """Train the networks on one batch: images (N, C, H, W) in [-1, 1], classes (N,).

    Of several processes each brings its share of the batch; gradients and figures are means over the whole of it.
    """
    plan, share = learners.plan, conditioning_weight(learners.plan, images_shown)
    done = (images_shown - learners.start) / (plan.images_shown - learners.start)
    for adam in learners.adams.values():
        for group in adam.param_groups:
            group["lr"] = _cosine(plan.rate, plan.rate_end, done) * learners.pace
    learners.runtime.begin_step()
    z = draw_latents(plan, len(real), real.device)
    fake = learners.to_generator(z, labels, learners.runtime.number(share)).float()
    critic, shown = active_discriminator(learners, images_shown), {}
    if critic is not None:
        critic_loss, on_real, on_fake = _update_discriminator(
            learners, critic, (real, fake.detach()), labels, images_shown
        )
        told_apart = (on_real[:, 0] > on_fake[:, 0]).float().mean()
        shown = {"critic_loss": critic_loss, "told_apart": told_apart}
    shown |= _update_generator(learners, critic, (real, fake), labels, images_shown)
    _update_average(learners, images_shown + plan.batch, plan.batch)
    numbers = learners.runtime.mean(torch.stack(list(shown.values()))).tolist()
    return Step(**dict(zip(shown, numbers, strict=True)))


def _update_discriminator(
    learners: GanState,
    critic: DiscriminatorState,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the discriminator on a `pair` of real and fake; its loss without the penalty, and its logits on both."""
    plan, weights = learners.plan, (1.0, conditioning_weight(learners.plan, images_shown))
    with torch.no_grad():
        real, fake = (augment(images, learners.strength) for images in pair)
    on_real, on_fake = _paired_logits(plan, critic, real, fake, labels)
    loss = losses.DISCRIMINATOR_LOSSES[plan.loss](on_real, on_fake, weights)
    total = loss
    if plan.penalty_every and images_shown // plan.batch % plan.penalty_every == 0:
        gamma = _cosine(plan.penalty, plan.penalty_end, images_shown / plan.images_shown)
        both, twice = torch.cat([real, fake]), torch.cat([labels, labels])
        # Mean over real and fake together is half of R1 + R2; the lazy factor keeps the mean strength. The penalty goes past DDP's
        # wrapper, but back through the very parameters of `loss` in one pass: DDP averages what each parameter has got in the end.
        total = loss + plan.penalty_every * gamma * losses.gradient_penalty(
            critic.network, both, twice, weights
        )
    critic.adam.zero_grad()
    learners.runtime.backward(total)
    critic.adam.step()
    return loss.detach(), on_real.detach(), on_fake.detach()


def _update_generator(
    learners: GanState,
    critic: DiscriminatorState | None,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> dict[str, Tensor]:
    """One step of the generator on a `pair` of real and the fake just drawn: its loss, and the distance where features teach."""
    plan, fake = learners.plan, pair[1]
    total, shown = fake.new_zeros(()), {}
    if critic is not None:
        total = total + plan.adversary * _adversarial_loss(learners, critic, pair, labels, images_shown)
    if learners.matcher is not None:
        distance = learners.matcher.distance(fake, labels, (plan.seed, images_shown), learners.look)
        total = total + plan.matching * distance
        shown["distance"] = distance.detach()
    learners.generator_adam.zero_grad()
    learners.runtime.backward(total)
    learners.generator_adam.step()
    return {**shown, "generator_loss": total.detach()}


def _adversarial_loss(
    learners: GanState,
    critic: DiscriminatorState,
    pair: tuple[Tensor, Tensor],
    labels: Tensor,
    images_shown: int,
) -> Tensor:
    """The generator's loss by the discriminator, whose own parameters get no gradient from it."""
    plan, share, (real, fake) = learners.plan, conditioning_weight(learners.plan, images_shown), pair
    critic.network.requires_grad_(False)
    with learners.runtime.alone(critic.wrapped):  # it gets no gradient that processes would have to share
        on_fake = critic.wrapped(augment(fake, learners.strength), labels).float()
    critic.network.requires_grad_(True)
    on_real = on_fake  # of no account in a loss that does not pair fakes with reals
    if plan.loss == "relativistic":
        with torch.no_grad():
            on_real = critic.wrapped(augment(real, learners.strength), labels).float()
    return losses.GENERATOR_LOSSES[plan.loss](on_real, on_fake, (1.0, share))


@torch.no_grad()
def _update_average(learners: GanState, images_shown: int, batch: int) -> None:
    """Move the averaged generator; its half-life never exceeds a twentieth of the images seen so far."""
    half_life = min(learners.plan.ema, 0.05 * images_shown)
    keep = 0.5 ** (batch / half_life) if half_life > 0 else 0.0
    torch._foreach_lerp_(list(learners.average.parameters()), list(learners.generator.parameters()), 1 - keep)
    for mine, theirs in zip(learners.average.buffers(), learners.generator.buffers(), strict=True):
        mine.copy_(theirs)
