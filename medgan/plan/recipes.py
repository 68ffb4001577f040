"""Doublings + images shown -> the settings of each network and its training."""

from __future__ import annotations

from collections.abc import Callable

from medgan.plan.plan import Choices

WIDTHS = (32, 48, 64, 64, 96, 96, 128, 128)
"""Channels of the repaired networks from the image inward: even and narrow, as processors like them."""
DCGAN_BASE = 64
"""Channels beside the image of the 2015 DCGAN, doubled at every stage inward, as in its authors' own code."""


def repaired_recipe(doublings: int, shown: int) -> Choices:
    """Fixed settings of the repaired networks (what each is worth: docs/concepts.md)."""
    widths = tuple(reversed(WIDTHS[: doublings + 1]))
    return {
        "latent": (64, "fixed"),
        "widths": (widths, "rule: narrow at the image, wider inward"),
        "loss": ("relativistic", "fixed: each real image is paired with a fake, which covers modes"),
        "rate": (1e-3, "fixed"),
        "rate_end": (2.5e-4, "fixed: a cosine from the start to the end of the run"),
        "betas": ((0.0, 0.99), "fixed: no momentum"),
        "penalty": (1.0, "fixed: R1 and R2"),
        "penalty_end": (0.1, "fixed: a cosine from the start to the end of the run"),
        "penalty_every": (8, "fixed: lazy regularisation"),
        "ema": (min(2_000.0, 0.05 * shown), "rule: 2,000 images, at most a twentieth of the run"),
        "augment": (0.5, "fixed: shift, cutout, brightness and contrast at half strength; never a flip"),
        "guarded": (True, "fixed: overfitting, collapse and copies are watched for and acted upon"),
        "condition": ((0.3, 0.55), "fixed: learn all classes together first, then apart"),
    }


def dcgan_recipe(doublings: int, shown: int) -> Choices:
    """Settings of the 2015 paper (arXiv 1511.06434 section 4)."""
    del shown
    paper = "fixed: as published in 2015"
    widths = (*(DCGAN_BASE << stage for stage in reversed(range(doublings))), 1)
    return {
        "latent": (100, paper),
        "widths": (widths, paper),
        "loss": ("bce", paper),
        "rate": (2e-4, paper),
        "rate_end": (2e-4, paper),
        "betas": ((0.5, 0.999), paper),
        "penalty": (0.0, paper),
        "penalty_end": (0.0, paper),
        "penalty_every": (0, paper),
        "ema": (0.0, paper),
        "augment": (0.0, paper),
        "guarded": (False, paper),
        "condition": ((0.0, 0.0), paper),
    }


RECIPES: dict[str, Callable[[int, int], Choices]] = {"repaired": repaired_recipe, "dcgan": dcgan_recipe}
