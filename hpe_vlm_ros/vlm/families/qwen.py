# SPDX-License-Identifier: Apache-2.0
"""What Qwen3-VL and Qwen3.5 share: pictures, positions, the turns of the chat.

A picture keeps its shape: both sides are rounded to whole blocks of merge_size patches, within a
budget of pixels, and each block is one token. Text has the same position on the three axes time,
row and column; the picture's tokens have theirs, and text goes on behind the longer side
(multimodal RoPE, Qwen2-VL, arXiv 2409.12191).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .family import ChatFamily, Picture, Rows, thirds

BUDGET = 1024 * 32 * 32  # pixels: 1024 tokens of 32 x 32, such as 1344 x 768
NARROWEST = 200  # the longest side over the shortest that the published processor takes
IMAGE_TOKEN = "<|image_pad|>"
VISION = r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.linear_fc[12])"
ATTENTION = r"self_attn\.[qkvo]_proj"
MLP = r"mlp\.(gate|up|down)_proj"


@dataclass(frozen=True, kw_only=True)
class QwenFamily(ChatFamily):
    """See the top of this file."""

    image_processor: str = "Qwen2VLImageProcessorPil"
    after: str = "<|im_end|>\n<|im_start|>assistant\n"
    end: str = "<|im_end|>"
    special: tuple[str, ...] = (
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        IMAGE_TOKEN,
    )
    grid: str = "thousandths 0..1000 of the picture's sides"
    order: str = "x0, y0, x1, y1"

    def side(self, longest: int | None) -> int:
        # Qwen's processor calls its budget, a count of pixels, the longest edge
        return round((longest or BUDGET) ** 0.5)

    def before(self, picture: Picture, config: Mapping[str, Any]) -> str:
        rows, columns = _blocks(picture, config)
        tokens = IMAGE_TOKEN * (rows * columns)
        return f"<|im_start|>user\n<|vision_start|>{tokens}<|vision_end|>"

    def positions(
        self, ids: NDArray[np.int64], picture: Picture, config: Mapping[str, Any]
    ) -> NDArray[np.int64]:
        """(3, T) of time, row and column; text goes on behind the picture's longer side."""
        rows, columns = _blocks(picture, config)
        (image,) = np.nonzero(ids == config["image_token_id"])
        first, end = int(image[0]), int(image[-1]) + 1
        positions = np.tile(np.arange(len(ids)), (3, 1))
        row, column = np.divmod(np.arange(rows * columns), columns)
        positions[:, first:end] = first + np.stack([np.zeros_like(row), row, column])
        positions[:, end:] = first + max(rows, columns) + np.arange(len(ids) - end)
        return positions

    def seen(self, width: int, height: int, processor: Any) -> tuple[int, int]:
        """Both sides rounded to whole blocks within the budget of pixels, by transformers' own
        rule."""
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        if max(width, height) > NARROWEST * min(width, height):
            raise ValueError(
                f"a picture of {width} x {height} pixels is too narrow for {self.name}, which "
                f"takes sides of at most {NARROWEST} to 1: cut it, or look at parts of it"
            )
        factor, size = processor.patch_size * processor.merge_size, processor.size
        least, most = size["shortest_edge"], size["longest_edge"]
        rows, columns = smart_resize(height, width, factor, least, most)
        return int(rows), int(columns)

    def fused(self, layer: str, config: Mapping[str, Any]) -> Rows | None:
        """The tower's attention has queries, keys and values in one weight."""
        if layer.endswith(".attn.qkv"):
            return thirds(3 * int(config["vision_config"]["hidden_size"]))
        return None


def _blocks(picture: Picture, config: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of the picture's tokens."""
    merge = int(config["vision_config"].get("spatial_merge_size", 2))
    _, rows, columns = picture["image_grid_thw"][0].tolist()
    return rows // merge, columns // merge
