# SPDX-License-Identifier: Apache-2.0
"""Folding batch norms into the stem, against the convolutions and norms left apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpe_vlm_ros.vlm.pytorch.stem import FINE_BLOCKS, STAGES, EfficientNetLite0Stem
from training.model.pretrained_stem import BN_EPSILON, load_into


class Reference:
    """EfficientNet-Lite0 up to stride 16 with its norms, as a bag of random weights."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def layer(self, conv: str, norm: str, shape: tuple[int, ...], stride: int) -> nn.Module:
        groups = shape[0] if shape[1] == 1 else 1
        module = nn.Conv2d(shape[1] * groups, shape[0], shape[2], stride, groups=groups, bias=False)
        bn = nn.BatchNorm2d(shape[0], eps=BN_EPSILON).eval()
        with torch.no_grad():
            bn.weight.uniform_(0.5, 1.5)
            bn.bias.normal_()
            assert bn.running_mean is not None and bn.running_var is not None
            bn.running_mean.normal_()
            bn.running_var.uniform_(0.2, 3.0)
        self.weights[f"{conv}.weight"] = module.weight.detach()
        self.weights |= {f"{norm}.{name}": value for name, value in bn.state_dict().items()}
        return nn.Sequential(Pad(shape[2], stride), module, bn)


class Pad(nn.Module):
    def __init__(self, kernel: int, stride: int):
        super().__init__()
        total = kernel - stride if kernel > stride else 0  # for sizes that the stride divides
        self.sides = (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.sides)


def test_folded_stem_equals_convolutions_with_norms() -> None:
    torch.manual_seed(0)
    reference = Reference()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        y = F.relu6(reference.layer("_conv_stem", "_bn0", (32, 3, 3, 3), 2)(x))
        index, width_in, fine = 0, 32, y
        for expansion, width, kernel, stride, repeats in STAGES:
            for repeat in range(repeats):
                name, wide = f"_blocks.{index}", width_in * expansion
                z = y
                if expansion > 1:
                    shape = (wide, width_in, 1, 1)
                    expand = reference.layer(f"{name}._expand_conv", f"{name}._bn0", shape, 1)
                    z = F.relu6(expand(z))
                shape = (wide, 1, kernel, kernel)
                step = 1 if repeat else stride
                depthwise = reference.layer(f"{name}._depthwise_conv", f"{name}._bn1", shape, step)
                project = reference.layer(
                    f"{name}._project_conv", f"{name}._bn2", (width, wide, 1, 1), 1
                )
                z = project(F.relu6(depthwise(z)))
                y = y + z if repeat else z
                index, width_in = index + 1, width
                fine = y if index == FINE_BLOCKS else fine
        stem = EfficientNetLite0Stem(3, 8)
        load_into(stem, reference.weights)
        deep = F.interpolate(stem.deep_head(y), scale_factor=2, mode="bilinear")
        expected = stem.head(fine) + deep
        torch.testing.assert_close(stem(x), expected, atol=1e-3, rtol=1e-4)
