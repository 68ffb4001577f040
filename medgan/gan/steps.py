"""One batch -> one update of each network; what is measured on the way is a Step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.gan import dcgan, losses, networks
from medgan.gan.augment import augment
from medgan.gan.matching import Matcher, OfClass
from medgan.learn.runtime import Runtime, per_image
from medgan.plan import Plan

GENERATORS: dict[str, Any] = {"repaired": networks.Generator, "dcgan": dcgan.Generator}
DISCRIMINATORS: dict[str, Any] = {"repaired": networks.Discriminator, "dcgan": dcgan.Discriminator}


@dataclass(frozen=True, slots=True)
class Step:
    """What one update showed; None for what had no part in it."""

    generator_loss: float
    critic_loss: float | None = None
    told_apart: float | None = None
    """Share of pairs in which the discriminator rates the real image above the synthetic one: 0.5 is blind, 1 sees all."""
    distance: float | None = None
    """Energy distance of synthetic and real images in frozen features: 0 where nothing tells them apart."""


class Learners:
    """The two networks, the averaged generator and the optimisers of a run (mutable, unlike our nouns)."""

    def __init__(self, plan: Plan, runtime: Runtime, known: OfClass) -> None:
        """Fresh networks, of which those that can begin with what is `known` of each class do; chance must have been seeded."""
        self.plan, self.runtime, self.known = plan, runtime, known
        generator, critic = GENERATORS[plan.arch](plan), DISCRIMINATORS[plan.arch](plan)
        if isinstance(generator, networks.Generator):
            generator.begin(known)
        self.matcher = Matcher(plan, known, runtime.fabric.device) if plan.matching else None
        self.average = runtime.place(GENERATORS[plan.arch](plan))
        self.average.load_state_dict(generator.state_dict())
        self.average.eval().requires_grad_(False)
        self.generator, self.critic = generator, critic
        self.to_generator, self.generator_adam = runtime.setup(generator, self.adam(generator))
        self.to_critic, self.critic_adam = runtime.setup(critic, self.adam(critic))
        self.strength = plan.augment
        """Strength of augmentation in force: guards may raise it above the plan's."""
        self.pace = 1.0
        """Factor on the plan's learning rate: halved after losses that were no numbers."""

    def adam(self, network: nn.Module) -> Optimizer:
        """The optimiser of the plan."""
        return torch.optim.Adam(network.parameters(), lr=self.plan.rate, betas=self.plan.betas, fused=True)  # type: ignore[arg-type]

    def parts(self) -> dict[str, Any]:
        """What a checkpoint must hold, by name."""
        return {
            "generator": self.generator,
            "critic": self.critic,
            "average": self.average,
            "generator_adam": self.generator_adam,
            "critic_adam": self.critic_adam,
        }


def cosine(start: float, end: float, done: float) -> float:
    """From `start` to `end` along half a cosine as `done` goes from 0 to 1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


def faded_in(plan: Plan, images_shown: int) -> float:
    """How far the class condition has come, 0 to 1 (arXiv 2201.06578: first learn what all classes share)."""
    start, whole = (share * plan.images_shown for share in plan.condition)
    return min(max((images_shown - start) / (whole - start), 0.0), 1.0) if whole > start else 1.0


def joined(plan: Plan, images_shown: int) -> bool:
    """Whether the discriminator has a say."""
    return plan.adversary > 0 and images_shown >= plan.joins * plan.images_shown


def judge(learners: Learners, real: Tensor, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of real and fake images, in fp32. Batch norm must see them apart; without it one pass is quicker."""
    if learners.plan.arch == "dcgan":
        return learners.to_critic(real, labels).float(), learners.to_critic(fake, labels).float()
    both = learners.to_critic(torch.cat([real, fake]), torch.cat([labels, labels])).float()
    return both[: len(real)], both[len(real) :]


def latents(plan: Plan, count: int, device: torch.device) -> Tensor:
    """Latent vectors (count, latent) from torch's own generator."""
    if plan.noise == "uniform":
        return per_image(lambda n: torch.rand(n, plan.latent, device=device), count) * 2 - 1
    return per_image(lambda n: torch.randn(n, plan.latent, device=device), count)


def update(learners: Learners, real: Tensor, labels: Tensor, images_shown: int) -> Step:
    """Train both networks on one batch: images (N, C, H, W) in [-1, 1], classes (N,).

    Of several processes each brings its share of the batch; gradients and figures are means over the whole of it.
    """
    plan, share = learners.plan, faded_in(learners.plan, images_shown)
    done = images_shown / plan.images_shown
    for adam in (learners.generator_adam, learners.critic_adam):
        for group in adam.param_groups:
            group["lr"] = cosine(plan.rate, plan.rate_end, done) * learners.pace
    fake = learners.to_generator(latents(plan, len(real), real.device), labels, share).float()
    shown = {}
    if joined(plan, images_shown):
        critic_loss, on_real, on_fake = update_critic(learners, real, fake.detach(), labels, images_shown)
        told_apart = (on_real[:, 0] > on_fake[:, 0]).float().mean()
        shown = {"critic_loss": critic_loss, "told_apart": told_apart}
    shown |= update_generator(learners, real, fake, labels, images_shown)
    update_average(learners, images_shown + plan.batch, plan.batch)
    numbers = learners.runtime.mean(torch.stack(list(shown.values()))).tolist()
    return Step(**dict(zip(shown, numbers, strict=True)))


def update_critic(
    learners: Learners, real: Tensor, fake: Tensor, labels: Tensor, images_shown: int
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the discriminator; its loss without the penalty, and its logits on real and fake."""
    plan, weights = learners.plan, (1.0, faded_in(learners.plan, images_shown))
    with torch.no_grad():
        real, fake = augment(real, learners.strength), augment(fake, learners.strength)
    on_real, on_fake = judge(learners, real, fake, labels)
    loss = losses.CRITIC[plan.loss](on_real, on_fake, weights)
    total = loss
    if plan.penalty_every and images_shown // plan.batch % plan.penalty_every == 0:
        gamma = cosine(plan.penalty, plan.penalty_end, images_shown / plan.images_shown)
        both, twice = torch.cat([real, fake]), torch.cat([labels, labels])
        # Mean over real and fake together is half of R1 + R2; the lazy factor keeps the mean strength. The penalty goes past DDP's
        # wrapper, but back through the very parameters of `loss` in one pass: DDP averages what each parameter has got in the end.
        total = loss + plan.penalty_every * gamma * losses.gradient_penalty(
            learners.critic, both, twice, weights
        )
    learners.critic_adam.zero_grad()
    learners.runtime.backward(total)
    learners.critic_adam.step()
    return loss.detach(), on_real.detach(), on_fake.detach()


def update_generator(
    learners: Learners, real: Tensor, fake: Tensor, labels: Tensor, images_shown: int
) -> dict[str, Tensor]:
    """One step of the generator on the fakes just drawn: its loss, and the distance in features where that is part of it."""
    plan, total, shown = learners.plan, fake.new_zeros(()), {}
    if joined(plan, images_shown):
        total = total + plan.adversary * against_critic(learners, real, fake, labels, images_shown)
    if learners.matcher is not None:
        distance = learners.matcher.distance(fake, labels, (plan.seed, images_shown))
        total = total + plan.matching * distance
        shown["distance"] = distance.detach()
    learners.generator_adam.zero_grad()
    learners.runtime.backward(total)
    learners.generator_adam.step()
    learners.critic.requires_grad_(True)
    return {**shown, "generator_loss": total.detach()}


def against_critic(
    learners: Learners, real: Tensor, fake: Tensor, labels: Tensor, images_shown: int
) -> Tensor:
    """The generator's loss by the discriminator, whose own parameters get no gradient from it."""
    plan, share = learners.plan, faded_in(learners.plan, images_shown)
    learners.critic.requires_grad_(False)
    with learners.runtime.alone(learners.to_critic):  # it gets no gradient that processes would have to share
        on_fake = learners.to_critic(augment(fake, learners.strength), labels).float()
    on_real = on_fake  # of no account in a loss that does not pair fakes with reals
    if plan.loss == "relativistic":
        with torch.no_grad():
            on_real = learners.to_critic(augment(real, learners.strength), labels).float()
    return losses.GENERATOR[plan.loss](on_real, on_fake, (1.0, share))


@torch.no_grad()
def update_average(learners: Learners, images_shown: int, batch: int) -> None:
    """Move the averaged generator; its half-life never exceeds a twentieth of the images seen so far."""
    half_life = min(learners.plan.ema, 0.05 * images_shown)
    keep = 0.5 ** (batch / half_life) if half_life > 0 else 0.0
    torch._foreach_lerp_(list(learners.average.parameters()), list(learners.generator.parameters()), 1 - keep)
    for mine, theirs in zip(learners.average.buffers(), learners.generator.buffers(), strict=True):
        mine.copy_(theirs)
