# SPDX-License-Identifier: Apache-2.0
"""Rounded weights: which ones, how far from the true ones, and that the model still answers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from public_folder import make_public_folder
from torch import nn

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.quantization import Quantizer, bytes_per_weight

# sides that 4-bit blocks of 64 divide
SIZES = {4096: 128, 12288: 384, 11008: 192, 1792: 96, 5376: 288, 15360: 128}
EXPERT = "model.layers.1.mlp.vision_mlp.down_proj"
TOWER = "model.vision.transformer.layers.0.mlp.fc1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return make_public_folder(tmp_path_factory.mktemp("quantised") / "cogvlm", SIZES, image_size=56)


@pytest.mark.parametrize(
    ("quantization", "kinds"),
    [("int8", (torch.int8, torch.int8)), ("int4", (torch.uint8, torch.int8))],
)
def test_linear_layers_are_rounded_and_nothing_else(
    folder: Path, quantization: str, kinds: tuple[torch.dtype, torch.dtype]
) -> None:
    model = checkpoint.load_model(folder, quantization=quantization)
    plain = checkpoint.load_model(folder)
    rounded = {n for n, p in model.named_parameters() if not p.dtype.is_floating_point}
    linear = {f"{n}.weight" for n, m in plain.named_modules() if isinstance(m, nn.Linear)}
    assert rounded == linear - {"lm_head.weight"}
    assert model.get_submodule(EXPERT).weight.dtype == kinds[0]
    assert model.get_submodule(TOWER).weight.dtype == kinds[1]
    for name, parameter in plain.named_parameters():
        if name not in rounded:
            assert torch.equal(model.get_parameter(name), parameter), name


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_a_rounded_model_answers(
    folder: Path, quantization: str, picture: NDArray[np.uint8]
) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu", max_heads=2, quantization=quantization)
    (head,) = perceiver.poses(picture, [(5, 5, 30, 30)])
    assert np.isfinite(head.rotation).all()


def rounded(quantization: str, name: str, weight: torch.Tensor) -> nn.Module:
    """The layer called `name` of a model that has no other, loaded with this weight."""
    root = nn.Module()
    path = name.split(".")
    place = root
    for part in path[:-1]:
        place.add_module(part, nn.Module())
        place = place.get_submodule(part)
    with torch.device("meta"):
        place.add_module(path[-1], nn.Linear(*weight.shape[::-1], bias=False))
    quantizer = Quantizer(quantization, "cpu", torch.float32)
    quantizer.swap(root)
    layer = root.get_submodule(name)
    assert quantizer.place(layer, "weight", weight)
    return layer.eval()


def true_weight(layer: nn.Module, width: int) -> torch.Tensor:
    """What the layer really multiplies with, found by feeding it the unit vectors."""
    with torch.inference_mode():
        return layer(torch.eye(width)).T.float()


def test_eight_bits_are_within_half_a_step() -> None:
    weight = torch.randn(96, 128)
    error = (true_weight(rounded("int8", EXPERT, weight), 128) - weight).abs()
    step = weight.abs().amax(1, keepdim=True) / 127
    assert (error <= 0.5 * step + 2e-3 * weight.abs()).all()  # and half precision's own rounding
    assert error.max() > 0


def test_four_bits_are_within_half_the_widest_gap() -> None:
    weight = torch.randn(96, 128)
    found = true_weight(rounded("int4", EXPERT, weight), 128)
    largest = weight.flatten().unflatten(0, (-1, 64)).abs().amax(1)
    bound = largest.repeat_interleave(64).view(96, 128)
    # the widest gap of NF4's sixteen levels lies between -1 and -0.6962; scales are rounded too
    error = (found - weight).abs()
    assert (error <= (0.5 * (1 - 0.6962) + 0.03) * bound).all()
    per_block = found.flatten().unflatten(0, (-1, 64))
    assert max(len(block.unique()) for block in per_block) <= 16


def test_counted_bytes_are_those_stored() -> None:
    weight = torch.randn(512, 1024)
    counted = weight.numel() * bytes_per_weight(f"{EXPERT}.weight", weight, torch.bfloat16, "int4")
    layer = rounded("int4", EXPERT, weight)
    state = layer.weight.quant_state
    stored = sum(
        t.numel() * t.element_size() for t in (layer.weight, state.absmax, state.state2.absmax)
    )
    assert stored == counted
    layer = rounded("int8", EXPERT, weight)
    counted = weight.numel() * bytes_per_weight(f"{EXPERT}.weight", weight, torch.bfloat16, "int8")
    assert layer.weight.CB.numel() + 4 * layer.weight.SCB.numel() == counted


def test_unknown_and_missing_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match='quantization is "int3": .*none, int8, int4'):
        checkpoint.load_model(folder, quantization="int3")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(CheckpointError, match="pip install 'bitsandbytes"):
        checkpoint.load_model(folder, quantization="int8")
