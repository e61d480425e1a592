# SPDX-License-Identifier: Apache-2.0
"""The same weights for pictures of another size, to be trained further there.

    python -m training.model.resize models/embedded runs/resized 288

Places of patches and image tokens are interpolated; all else stays. Answers get worse at first
(heads are missed where the decoder meets more image tokens than it knows); stage 1 mends that in
some hundred steps: give it OUT as `--base`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch.nn import functional as F

from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from ..supervision.read_outs import READ_OUTS, read_outs_of

PATCHES = "model.vision.patch_embedding.position_embedding.weight"
TOKENS = "model.vision.decoder_positions"


def resample(places: torch.Tensor, count: int) -> torch.Tensor:
    """Vectors of a square grid of places (n, C), row by row, as those of `count` places."""
    old, new = round(len(places) ** 0.5), round(count**0.5)
    grid = places.T.reshape(1, -1, old, old)
    return F.interpolate(grid, (new, new), mode="bicubic", antialias=True).reshape(-1, new * new).T


@torch.no_grad()
def resized(model: CogVLMForCausalLM, image_size: int) -> CogVLMForCausalLM:
    """A model for pictures of `image_size` pixels with a model's weights.

    Raises ValueError where patches do not fill such a picture.
    """
    settings = model.config.to_dict()
    settings["vision_config"] |= {"image_size": image_size, "num_positions": 0}
    larger = CogVLMForCausalLM(type(model.config).from_dict(settings))
    weights, places = model.state_dict(), larger.state_dict()
    known, wanted = weights[PATCHES], places[PATCHES]
    weights[PATCHES] = torch.cat((known[:1], resample(known[1:], len(wanted) - 1)))  # class first
    if TOKENS in weights:
        weights[TOKENS] = resample(weights[TOKENS][0], places[TOKENS].shape[1])[None]
    larger.load_state_dict(weights)
    return larger


def main(model: Path, out: Path, image_size: int) -> None:
    """Write a model folder for pictures of another size.

    Args:
        model: model folder of embedded size.
        out: model folder to write.
        image_size: side of the square that the new model sees, in pixels.
    """
    larger = resized(checkpoint.load_model(model, "cpu"), image_size)
    checkpoint.save(out, larger, CogVLMProcessor.embedded(larger.config))
    if (read_outs := read_outs_of(model)) is not None:
        shutil.copyfile(read_outs, out / READ_OUTS)
    print(f"{out}: {model} for pictures of {image_size} x {image_size}")


if __name__ == "__main__":
    auto_cli(main)
