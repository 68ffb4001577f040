"""Settings of each network and its training."""

from __future__ import annotations

from collections.abc import Callable

from medgan.base.errors import PlanError
from medgan.plan.canvas import layout_doublings
from medgan.plan.plan import Choices, choose

_WIDTHS = (16, 64, 64, 64, 128, 128, 128, 128)
"""Channels of the repaired networks from the image inward: few where a channel costs most, and even numbers,
which processors prefer."""
_DCGAN_BASE = 64
"""Channels next to the image of the 2015 DCGAN, doubled at every stage inward, as in its authors' code."""
_LATENT = 256
"""Latent numbers of the repaired networks. With fewer, outlines vary in their first directions only
(docs/log.md)."""
_OUTLINE_DOUBLINGS = 3
"""Doublings from the base to the blurred image that the generator starts from: 24 to 48 pixels along a side,
where the image is larger than that."""
_LEARNING_RATE = 5e-4
"""Learning rate where distributions are matched in features."""
_DETAIL_WIDTHS = (32, 24, 16, 16)
"""Channels of the detail stage, from the layout outward; the last one for every further doubling."""
_DETAIL_NOISE = 8
"""Maps of noise of the detail stage."""
_DETAIL_PATCH = 64
"""Side of its patches in pixels."""
_DETAIL_PENALTY = 0.05
"""gamma of the penalties of its discriminator."""
_ADVERSARY = 0.1
"""Weight of the discriminator of places where distributions are matched."""
_PLACE_WIDTHS = (32, 64)
"""Channels of that discriminator: two halvings, so that a place is judged by 18 pixels around it."""
_CONSTANT_RATE_IMAGES = 25_000
"""Images for which that rate may be kept. A run of twice as many ends at half the rate, and so on
(docs/log.md)."""


def _repaired_recipe(
    base: tuple[int, int], doublings: int, shown: int, features: str, adversary: float | None
) -> Choices:
    """Settings of the repaired networks.

    docs/concepts/training.md says what each of them is worth.
    """
    matched, layout = features != "none", layout_doublings(base, doublings)
    doublings, detail = layout, doublings - layout
    return {
        "latent": (_LATENT, "fixed: with fewer, images of a class vary less than real ones do"),
        "gaussian_level": (
            min(_OUTLINE_DOUBLINGS, doublings - 1),
            "rule: the generator begins with an image of 24 to 48 pixels, at most half the size",
        ),
        "widths": (tuple(reversed(_WIDTHS[: doublings + 1])), "rule: few at the image, more inward"),
        "ema": (min(2_000.0, 0.05 * shown), "rule: 2,000 images, at most a twentieth of the run"),
        "toned": (True, "fixed: a curve per class gives images the intensities of the real ones"),
        "guarded": (True, "fixed: overfitting, collapse and copies are watched for and acted upon"),
        **(_matching_recipe(shown, adversary) if matched else _adversarial_recipe(adversary)),
        **_detail_recipe(detail),
    }


def _detail_recipe(doublings: int) -> Choices:
    """Settings of a detail stage that doubles the layout this often, none where it need not."""
    if not doublings:
        return {}
    widths = (*_DETAIL_WIDTHS, *_DETAIL_WIDTHS[-1:] * doublings)[: doublings + 1]
    return {
        "detail_widths": (
            widths,
            "rule: of images above 64 pixels, texture is learned from patches of all classes",
        ),
        "detail_noise": (_DETAIL_NOISE, "fixed: half as many numbers as an area of 4 x 4 pixels has"),
        "detail_patch": (_DETAIL_PATCH, "fixed: wide enough for a rib, and many of them in an image"),
        "detail_penalty": (_DETAIL_PENALTY, "fixed: R1 and R2"),
        "penalty_every": (8, "fixed: lazy regularisation"),
    }


def _matching_recipe(shown: int, adversary: float | None) -> Choices:
    """Settings for matching distributions in the features of a frozen network.

    A discriminator of places teaches beside it, unless its weight is 0.
    """
    reason = "rule: beside the matching, which decides what an image shows, it sharpens every place"
    weight = choose(adversary, _ADVERSARY, reason)
    return {
        "matching": (
            1.0,
            "rule: where features are installed: it leaves no mode out, however few the images",
        ),
        "adversary": weight,
        **(_place_recipe() if weight[0] else _no_discriminator_recipe()),
        "betas": ((0.0, 0.99), "fixed: no momentum"),
        "stride": (2.0, "fixed: a weight that lay still would leap, and the generator leave the real images"),
        "evenness": (1.0, "fixed: a rare class is matched as often as a large one"),
        "rate": (
            _LEARNING_RATE,
            "fixed: at twice as much, some runs lose the variety of their outlines at the start",
        ),
        "rate_end": (
            _LEARNING_RATE * min(1.0, _CONSTANT_RATE_IMAGES / shown),
            f"rule: along a cosine; the same rate up to {_CONSTANT_RATE_IMAGES:,} images, "
            "less the longer a run is",
        ),
        "condition": ((0.0, 0.0), "fixed: classes are apart from the start"),
    }


def _place_recipe() -> Choices:
    """Settings of a discriminator that judges every place of an image by itself."""
    return {
        "discriminator_widths": (_PLACE_WIDTHS, "fixed: every place is judged by the 18 pixels around it"),
        "discriminator_start": (0.1, "fixed: before that, images do not resemble scans"),
        "loss": ("relativistic", "fixed: each real image is paired with a fake, which covers modes"),
        "penalty": (0.2, "fixed: R1 and R2, of a place"),
        "penalty_end": (0.2, "fixed: as at the start"),
        "penalty_every": (8, "fixed: lazy regularisation"),
        "augment": (0.25, "fixed: shift, cutout, brightness and contrast at a quarter; never a flip"),
    }


def _no_discriminator_recipe() -> Choices:
    """Settings that only a discriminator needs, where there is none."""
    alone = "fixed: not used, for this recipe has no discriminator"
    return {
        "discriminator_start": (0.0, alone),
        "loss": ("none", alone),
        "penalty": (0.0, alone),
        "penalty_end": (0.0, alone),
        "penalty_every": (0, alone),
        "augment": (0.0, alone),
    }


def _adversarial_recipe(adversary: float | None) -> Choices:
    """Settings for training by a discriminator alone."""
    if adversary == 0:
        raise PlanError(
            "--adversary 0 leaves no teacher where there is no pretrained network",
            hint="Remove --adversary, or give --features lite0.",
        )
    return {
        "matching": (0.0, "rule: needs features, and there are none"),
        "adversary": choose(adversary, 1.0, "rule: the discriminator is the only teacher"),
        "discriminator_start": (0.0, "fixed"),
        "loss": ("relativistic", "fixed: each real image is paired with a fake, which covers modes"),
        "penalty": (1.0, "fixed: R1 and R2"),
        "penalty_end": (0.1, "fixed: a cosine from the start to the end of the run"),
        "penalty_every": (8, "fixed: lazy regularisation"),
        "betas": ((0.0, 0.99), "fixed: no momentum"),
        "stride": (0.0, "fixed: as far as Adam goes"),
        "augment": (0.5, "fixed: shift, cutout, brightness and contrast at half strength; never a flip"),
        "evenness": (0.5, "fixed: rare classes oftener, but never as often as large ones"),
        "rate": (1e-3, "fixed"),
        "rate_end": (2.5e-4, "fixed: a cosine from the start to the end of the run"),
        "condition": ((0.3, 0.55), "fixed: learn all classes together first, then apart"),
    }


def _dcgan_recipe(
    base: tuple[int, int], doublings: int, shown: int, features: str, adversary: float | None
) -> Choices:
    """Settings of the 2015 paper (arXiv 1511.06434, section 4)."""
    del base, shown, features
    if adversary is not None:
        raise PlanError(
            "--arch dcgan, the baseline of 2015, has no --adversary to choose", hint="Remove --adversary."
        )
    # All settings have the same source.
    paper = "fixed: as published in 2015"
    widths = (*(_DCGAN_BASE << stage for stage in reversed(range(doublings))), 1)
    return {
        "latent": (100, paper),
        "gaussian_level": (0, paper),
        "widths": (widths, paper),
        "loss": ("bce", paper),
        "rate": (2e-4, paper),
        "rate_end": (2e-4, paper),
        "betas": ((0.5, 0.999), paper),
        "stride": (0.0, paper),
        "penalty": (0.0, paper),
        "penalty_end": (0.0, paper),
        "penalty_every": (0, paper),
        "ema": (0.0, paper),
        "augment": (0.0, paper),
        "guarded": (False, paper),
        "toned": (False, paper),
        "matching": (0.0, paper),
        "adversary": (1.0, paper),
        "discriminator_start": (0.0, paper),
        "evenness": (0.5, "fixed: the same images as the repaired networks see without features"),
        "condition": ((0.0, 0.0), paper),
    }


RECIPES: dict[str, Callable[[tuple[int, int], int, int, str, float | None], Choices]] = {
    "repaired": _repaired_recipe,
    "dcgan": _dcgan_recipe,
}
