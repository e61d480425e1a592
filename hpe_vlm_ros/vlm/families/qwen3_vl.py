# SPDX-License-Identifier: Apache-2.0
"""Qwen3-VL (arXiv 2511.21631), dense: 2B, 4B, 8B and 32B in one class.

Pure attention, so questions share a row and drafts can be taken back. Features of several depths
of the vision tower enter the first layers of the decoder (DeepStack); their mergers are not
adapted, as little as the merger before the decoder: like CogVLM's adapter they stay the base's.
"""

from __future__ import annotations

from .qwen import ATTENTION, BUDGET, MLP, VISION, QwenFamily

QWEN3_VL = QwenFamily(
    name="Qwen3-VL",
    model_types=("qwen3_vl",),
    model_class="Qwen3VLForConditionalGeneration",
    adapted=rf"{VISION}|model\.language_model\.layers\.\d+\.({ATTENTION}|{MLP})",
    size={"longest_edge": BUDGET},
)
