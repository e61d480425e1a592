# SPDX-License-Identifier: Apache-2.0
"""Qwen3.5 and Qwen3.6, dense: 0.8B to 27B in one class.

Pictures and chat are Qwen3-VL's. Three layers of four are gated delta nets, which carry a state
from token to token: questions are a batch, never one row, and no draft is taken back. The chat
template's empty thoughts turn thinking off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .family import Rows
from .qwen import ATTENTION, BUDGET, MLP, VISION, QwenFamily

RECURRENT = r"linear_attn\.(in_proj_(qkv|z|b|a)|out_proj)"


@dataclass(frozen=True, kw_only=True)
class Qwen35Family(QwenFamily):
    """See the top of this file."""

    def fused(self, layer: str, config: Mapping[str, Any]) -> Rows | None:
        """As of Qwen3-VL, and the delta nets' queries, keys and values, which are of two widths."""
        if not layer.endswith(".linear_attn.in_proj_qkv"):
            return super().fused(layer, config)
        text = config["text_config"]
        keys = int(text["linear_num_key_heads"]) * int(text["linear_key_head_dim"])
        values = int(text["linear_num_value_heads"]) * int(text["linear_value_head_dim"])
        return {"q": keys, "k": keys, "v": values}


QWEN3_5 = Qwen35Family(
    name="Qwen3.5",
    model_types=("qwen3_5",),
    model_class="Qwen3_5ForConditionalGeneration",
    after="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    adapted=rf"{VISION}|model\.language_model\.layers\.\d+\.({ATTENTION}|{MLP}|{RECURRENT})",
    recurrent=True,
    size={"longest_edge": BUDGET},
)
