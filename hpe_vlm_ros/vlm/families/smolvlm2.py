# SPDX-License-Identifier: Apache-2.0
"""SmolVLM2 (arXiv 2504.05299): 256M, 500M and 2.2B in one class; Apache-2.0.

A picture is cut into tiles of the size of the vision tower's input, row by row, and its whole at
that size follows; tiles are a little stretched to fill it. Positions are 0, 1, 2, ... The published
models name no places: boxes must be taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .family import ChatFamily, Picture

IMAGE_TOKEN, AROUND, WHOLE = "<image>", "<fake_token_around_image>", "<global-img>"

LONGEST = 2048  # pixels of the longer side, as the published models of 500M and more are used


@dataclass(frozen=True, kw_only=True)
class SmolVLMFamily(ChatFamily):
    """See the top of this file."""

    def side(self, longest: int | None) -> int:
        return longest or LONGEST

    def before(self, picture: Picture, config: Mapping[str, Any]) -> str:
        """The tiles with their names, row by row, then the whole picture, as transformers'
        processor has it."""
        vision = config["vision_config"]
        side = int(vision["image_size"]) // int(vision["patch_size"]) // int(config["scale_factor"])
        tokens = IMAGE_TOKEN * (side * side)
        rows, columns = (int(picture[name].ravel()[0]) for name in ("rows", "cols"))
        tiles = ""
        for row in range(1, rows + 1):
            names = [f"<row_{row}_col_{column}>" for column in range(1, columns + 1)]
            tiles += "".join(f"{AROUND}{name}{tokens}" for name in names) + "\n"
        gap = "\n" if tiles else ""
        return f"<|im_start|>User:{tiles}{gap}{AROUND}{WHOLE}{tokens}{AROUND}"

    def stacked(self, pictures: Sequence[Picture]) -> Picture:
        """With tiles of zeros, which the model leaves out, where a picture has fewer."""
        most = max(picture["pixel_values"].shape[1] for picture in pictures)

        def filled(values: NDArray[Any]) -> NDArray[Any]:
            room = [(0, 0), (0, most - values.shape[1])] + [(0, 0)] * (values.ndim - 2)
            return np.pad(values, room)

        names = ("pixel_values", "pixel_attention_mask")
        return {n: np.concatenate([filled(picture[n]) for picture in pictures]) for n in names}

    def seen(self, width: int, height: int, processor: Any) -> tuple[int, int]:
        """The tiles beside each other, which the picture is stretched to fill."""
        tile = processor.max_image_size["longest_edge"]
        _, rows, columns = processor.get_number_of_image_patches(height, width)
        return max(rows, 1) * tile, max(columns, 1) * tile


SMOLVLM2 = SmolVLMFamily(
    name="SmolVLM2",
    model_types=("smolvlm",),
    grid="none: boxes must be taught",
    order="x0, y0, x1, y1, as taught",
    model_class="SmolVLMForConditionalGeneration",
    image_processor="SmolVLMImageProcessorPil",
    after="<end_of_utterance>\nAssistant:",
    end="<end_of_utterance>",
    lead=" ",
    special=("<|im_start|>", "<end_of_utterance>", IMAGE_TOKEN, AROUND, WHOLE),
    adapted=(
        r"model\.vision_model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])"
        r"|model\.text_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
    ),
)
