# SPDX-License-Identifier: Apache-2.0
"""Families of vision-language models: what differs between them, one file a family.

All of them answer the paper's questions in the paper's formats under the same grammar, and are
trained by the same stages. To add a family, write a file like `qwen3_vl.py` with one `ChatFamily`
and name it in `FAMILIES`; `docs/families.md` says what each field means and which test covers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpe_vlm_ros.vlm import CheckpointError

from .cogvlm import COGVLM
from .family import ChatFamily, Family
from .qwen3_5 import QWEN3_5
from .qwen3_vl import QWEN3_VL
from .smolvlm2 import SMOLVLM2

__all__ = ["FAMILIES", "ChatFamily", "Family", "family_of"]

FAMILIES: tuple[Family, ...] = (COGVLM, QWEN3_VL, QWEN3_5, SMOLVLM2)


def family_of(content: Mapping[str, Any], folder: Path | str) -> Family:
    """The family of a model, from its config.json.

    CheckpointError, with the families that are known, for any other. A config.json without a
    model_type is CogVLM's: its public checkpoint has none.
    """
    kind = content.get("model_type") or COGVLM.model_types[0]
    for family in FAMILIES:
        if kind in family.model_types:
            return family
    known = ", ".join(f"{f.name} ({', '.join(f.model_types)})" for f in FAMILIES)
    raise CheckpointError(
        f"{folder} is a model of type {kind!r}, which is none of the known families: {known}. Take "
        "one of these, or add the family: a file in hpe_vlm_ros/vlm/families, see docs/families.md"
    )
