# SPDX-License-Identifier: Apache-2.0
"""A convolutional stem for small models: EfficientNet-Lite0 at stride 16, norms folded away.

Architecture: Tan & Le, "EfficientNet" (2019), in the Lite variant of the TensorFlow TPU models
(no squeeze-and-excitation, ReLU6). Batch norms are constants at inference, so every convolution
here simply carries a bias; `training.model.pretrained_stem` folds ImageNet weights into this form.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

STEM_CHANNELS = 32
# (expansion, channels, kernel, stride, repeats) of the stages
STAGES = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),  # the last at stride 16
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
)
FINE_BLOCKS = sum(stage[-1] for stage in STAGES[:5])
FINE_CHANNELS = STAGES[4][1]


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, whose odd pixel goes right and below."""

    def _one_side(self, size: int) -> tuple[int, int]:
        stride, kernel = self.stride[0], self.kernel_size[0]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        top, bottom = self._one_side(x.shape[-2])
        left, right = self._one_side(x.shape[-1])
        if (top, left) == (bottom, right):  # let the convolution pad, which is faster
            return F.conv2d(
                x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups
            )
        return super().forward(F.pad(x, (left, right, top, bottom)))


class InvertedBottleneck(nn.Module):
    """Widen (1x1), look around (depthwise), narrow (1x1); with a shortcut where shapes allow."""

    def __init__(self, width_in: int, width_out: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        width = width_in * expansion
        self.expand = SameConv2d(width_in, width, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(width, width, kernel, stride, groups=width)
        self.project = SameConv2d(width, width_out, 1)
        self.shortcut = stride == 1 and width_in == width_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class EfficientNetLite0Stem(nn.Module):
    """(B, 3, S, S) pictures to (B, width, S/16, S/16) features.

    Fine features at stride 16 plus deep ones at stride 32, enlarged: one level of a feature pyramid
    (Lin et al. 2017). What ImageNet taught the deep blocks need not be learnt anew on little data.
    """

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.stem = SameConv2d(in_channels, STEM_CHANNELS, 3, 2)
        blocks, channels = [], STEM_CHANNELS
        for expansion, out, kernel, stride, repeats in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                blocks.append(InvertedBottleneck(channels, out, expansion, kernel, step))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv2d(FINE_CHANNELS, width, 1)
        self.deep_head = SameConv2d(channels, width, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # depthwise convolutions in bfloat16 are ten times slower than in float32 on a CPU
            with torch.autocast("cpu", enabled=False):
                return self._features(images.float())
        return self._features(images)

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        # channels last: depthwise convolutions run about twice as fast on a CPU
        x = F.relu6(self.stem(images.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks[:FINE_BLOCKS]:
            x = block(x)
        fine = self.head(x)
        for block in self.blocks[FINE_BLOCKS:]:
            x = block(x)
        deep = F.interpolate(self.deep_head(x), size=fine.shape[-2:], mode="bilinear")
        return fine + deep
