# SPDX-License-Identifier: Apache-2.0
"""CogVLM, the paper's model, in this package's own classes: the public 17B and the embedded size.

Visual experts in every layer see the picture's tokens only, so LoRA on the language experts leaves
them alone. All patches share one position.
"""

from __future__ import annotations

from .family import Family

COGVLM = Family(
    name="CogVLM",
    model_types=("cogvlm",),
    grid="cells 000..999 of the picture's sides",
    order="x0, y0, x1, y1",
    adapted=(
        r"model\.layers\.\d+\.self_attn\.language_expert_(query_key_value|dense)"
        r"|model\.vision\.transformer\.layers\.\d+\.attention\.(query_key_value|dense)"
    ),
)
