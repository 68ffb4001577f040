"""The DCGAN of 2015, kept unchanged as the baseline.

A. Radford, L. Metz, S. Chintala, arXiv 1511.06434: strided and transposed 4 x 4 convolutions, BatchNorm in
both networks except at the image, ReLU in the generator, LeakyReLU 0.2 in the discriminator, tanh, weights
drawn from N(0, 0.02). The class enters as a one-hot vector beside the latent and as one-hot planes beside the
image (arXiv 1411.1784), the plainest way there is.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.learners.gan.layers import resample
from medgan.plan import Plan


def _init_weights(module: nn.Module) -> None:
    """Initialise weights as in the paper: N(0, 0.02), BatchNorm gains N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class DcganGenerator(nn.Module):
    """Images (N, C, H, W) in [-1, 1] from latents (N, latent) and classes (N,)."""

    def __init__(self, plan: Plan) -> None:
        """Build a transposed convolution to the base, and one per doubling after it.

        The last one gives the image.
        """
        super().__init__()
        frame, recipe = plan.frame, plan.recipe
        self.size = frame.size
        self.classes = len(frame.labels)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(
                recipe.latent + self.classes,
                recipe.widths[0],
                recipe.base,  # type: ignore[arg-type]
                bias=False,
            ),
            nn.BatchNorm2d(recipe.widths[0]),
            nn.ReLU(inplace=True),
        ]
        for before, after in zip(recipe.widths[:-2], recipe.widths[1:-1], strict=True):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [
            nn.ConvTranspose2d(recipe.widths[-2], frame.channels, 4, stride=2, padding=1),
            nn.Tanh(),
        ]
        self.layers = nn.Sequential(*layers).apply(_init_weights)

    def forward(self, z: Tensor, labels: Tensor, share: float | Tensor = 1.0) -> Tensor:
        """Generate images.

        `labels` are numbers of classes (N,), or weights by which classes are mixed (N, classes). `share` has
        no effect, because the class conditions them fully from the start.
        """
        del share
        y = (labels if labels.is_floating_point() else F.one_hot(labels, self.classes)).to(z.dtype)
        images: Tensor = self.layers(torch.cat([z, y], dim=1)[:, :, None, None])
        return resample(images, self.size)


class DcganDiscriminator(nn.Module):
    """Logits (N, 1) of images (N, C, H, W) and classes (N,)."""

    def __init__(self, plan: Plan) -> None:
        """Mirror the generator."""
        super().__init__()
        frame, recipe = plan.frame, plan.recipe
        self.grid = recipe.grid
        self.classes = len(frame.labels)
        widths = tuple(reversed(recipe.widths[:-1]))
        layers: list[nn.Module] = [
            nn.Conv2d(frame.channels + self.classes, widths[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(nn.Conv2d(widths[-1], 1, recipe.base))  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers).apply(_init_weights)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Compute the logits."""
        images = resample(images, self.grid)
        planes = F.one_hot(labels, self.classes).to(images.dtype)[:, :, None, None]
        planes = planes.expand(-1, -1, *images.shape[2:])
        logits: Tensor = self.layers(torch.cat([images, planes], dim=1))
        return logits.flatten(1)
