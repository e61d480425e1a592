# SPDX-License-Identifier: Apache-2.0
"""The convolutional stem: TensorFlow's padding, shapes, precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem, SameConv2d


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (1, 1)])
@pytest.mark.parametrize("size", [7, 8])
def test_same_padding_puts_the_odd_pixel_last(kernel: int, stride: int, size: int) -> None:
    conv = SameConv2d(1, 1, kernel, stride)
    x = torch.randn(1, 1, size, size)
    with torch.no_grad():
        y = conv(x)[0, 0].numpy()
    out = -(-size // stride)
    before = max((out - 1) * stride + kernel - size, 0) // 2  # TensorFlow: the smaller half first
    padded = np.zeros((size + 2 * kernel, size + 2 * kernel))
    padded[before : before + size, before : before + size] = x[0, 0]
    weight, bias = conv.weight[0, 0].detach().numpy(), conv.bias.item()
    for i in range(out):
        for j in range(out):
            top, left = i * stride, j * stride
            window = padded[top : top + kernel, left : left + kernel]
            assert y[i, j] == pytest.approx((window * weight).sum() + bias, abs=1e-5)


def test_stem_has_stride_16_and_stays_in_float32_under_cpu_autocast() -> None:
    stem = EfficientNetLite0Stem(3, 20)
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        plain = stem(images)
        with torch.autocast("cpu", torch.bfloat16):
            cast = stem(images)
    assert plain.shape == (2, 20, 4, 3)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain)
