# SPDX-License-Identifier: Apache-2.0
"""The refiner's network: EfficientNet-Lite0 down to stride 32, and one hidden layer behind it.

It begins as the refiner that a model folder has, or as the stem of its embedded model, which knows
heads at many sizes.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx.numpy_helper import to_array
from safetensors.torch import load_file
from torch import Tensor, nn

from hpe_vlm_ros.refinement import OUTPUTS, SIDE
from hpe_vlm_ros.vlm.experts import FOLDER
from hpe_vlm_ros.vlm.onnxruntime.files import HALVED
from hpe_vlm_ros.vlm.pytorch.checkpoint import load_model
from hpe_vlm_ros.vlm.pytorch.stem import STAGES, EfficientNetLite0Stem, SameConv2d
from hpe_vlm_ros.vlm.refiner import GRAPH, NAME

EXPORTED = "refiner."  # before names of weights in the exported graph
BLOCKS = sum(stage[-1] for stage in STAGES[:6])  # the last stage widens most and adds little
CHANNELS = STAGES[5][1]
PLACES = 48  # channels that keep where in the square something is
WIDTH = 256
CELLS = -(-SIDE // 32)  # along each side of the last map
MEAN, STD = 127.0, 128.0  # of pixels, 0..255, as the stem was taught on ImageNet


class Trunk(EfficientNetLite0Stem):
    """(N, 3, S, S) normalised pixels to (N, CHANNELS, S/32, S/32): the stem without its last stage
    and without the heads that join two levels."""

    def __init__(self) -> None:
        super().__init__(3, 1)
        del self.blocks[BLOCKS:], self.head, self.deep_head

    def _features(self, images: Tensor) -> Tensor:
        x = F.relu6(self.stem(images.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        return x


class Refiner(nn.Module):
    """Squares (N, 3, SIDE, SIDE), uint8 or float in 0..255, to outputs (N, OUTPUTS)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Trunk()
        self.places = SameConv2d(CHANNELS, PLACES, 1)
        self.hidden = nn.Linear(CHANNELS + PLACES * CELLS**2, WIDTH)
        self.output = nn.Linear(WIDTH, OUTPUTS)
        # It begins with what is usual: the box that the square was cut for (1 / MARGIN is
        # exp(-0.56)), a head that faces the camera, and 0.22 rad (exp(-1.5)) of doubt an axis.
        start = torch.zeros(OUTPUTS)
        start[3:5], start[5], start[9], start[11:] = -0.56, 1.0, 1.0, -1.5
        with torch.no_grad():
            self.output.weight.mul_(0.1)
            self.output.bias.copy_(start)

    def forward(self, squares: Tensor) -> Tensor:
        """Outputs are laid out as in `hpe_vlm_ros.refinement`: presence, box, rotation,
        deviations."""
        x = self.stem((squares.float() - MEAN) / STD)
        features = torch.cat((x.mean((2, 3)), F.relu(self.places(x)).flatten(1)), dim=1)
        return self.output(F.relu(self.hidden(features)))


def read_weights(file: Path) -> Refiner:
    """A refiner with the weights that training wrote, or with those of an exported graph (.onnx),
    which keep their names there."""
    named = _of_graph(file) if file.suffix == ".onnx" else load_file(file)
    refiner = Refiner()
    refiner.load_state_dict({name: part.float() for name, part in named.items()})
    return refiner


def _of_graph(file: Path) -> dict[str, Tensor]:
    """Weights of a graph that `training.release.refiner` exported; some are kept in 16 bits."""
    return {
        part.name.removeprefix(EXPORTED).removesuffix(HALVED): torch.tensor(to_array(part))
        for part in onnx.load(file).graph.initializer
        if part.name.startswith(EXPORTED)
    }


def trained_in(folder: Path) -> Path | None:
    """The refiner's graph of a model folder, None where it has none."""
    file = folder / FOLDER / NAME / GRAPH
    return file if file.is_file() else None


def from_embedded(folder: Path) -> Refiner:
    """An untrained refiner with the stem of a model folder."""
    refiner = Refiner()
    stem = load_model(folder, "cpu", torch.float32).model.vision.patch_embedding.proj
    assert isinstance(stem, EfficientNetLite0Stem)
    refiner.stem.stem.load_state_dict(stem.stem.state_dict())
    for mine, theirs in zip(refiner.stem.blocks, stem.blocks, strict=False):
        mine.load_state_dict(theirs.state_dict())
    return refiner
