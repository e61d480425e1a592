# SPDX-License-Identifier: Apache-2.0
"""What asking questions takes to know of a model, read from config.json without transformers.

A subset of `configuration.CogVLMConfig`, which runtimes without PyTorch do without; names, defaults
and meaning are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

TAUGHT = ("heads", "pose", "referring")  # names of tasks that every model here has learnt
NUMBER_DECODINGS = ("most_likely", "expected")
# how the public checkpoints wrap a question, by config.template_version
TEMPLATES = {
    "base": "{}",
    "vqa": "Question: {} Short answer:",
    "chat": "Question: {} Answer:",
}
EMBEDDED_SIZE = 320  # pixels, side of the square that the embedded model sees


@dataclass(frozen=True)
class ModelFacts:
    """Facts of one checkpoint; `image_size` and `patch_size` are pixels, `tasks` the names of those
    of `hpe_vlm_ros.tasks` that it has learnt."""

    vocab_size: int = 32000
    bos_token_id: int | None = 1
    template_version: str = "base"
    head_shape: Mapping[str, Any] | None = None
    min_score: float = 0.0
    number_decoding: str = "most_likely"
    mirror: bool = False
    score_weights: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    tasks: Sequence[str] = TAUGHT
    image_size: int = 490
    patch_size: int = 14
    merge_size: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        if self.template_version not in TEMPLATES:
            raise ValueError(
                f"template_version is {self.template_version!r}; it must be one of "
                f"{', '.join(TEMPLATES)}: that of cogvlm-grounding-generalist is base"
            )
        if self.number_decoding not in NUMBER_DECODINGS:
            raise ValueError(
                f"number_decoding is {self.number_decoding!r}; it must be one of {NUMBER_DECODINGS}"
            )
        if not isinstance(self.mirror, bool):
            raise ValueError(f"mirror is {self.mirror!r}; it must be true or false")

    @classmethod
    def of(cls, config: Any) -> ModelFacts:
        """The facts in a CogVLMConfig."""
        return cls(**{name: getattr(_part(config, name), name) for name in _NAMES})

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> ModelFacts:
        """The facts in a config.json; ValueError if they cannot be."""
        flat = {**content, **(content.get("vision_config") or {})}
        return cls(**{name: flat[name] for name in _NAMES if name in flat})

    @property
    def num_image_tokens(self) -> int:
        """Slots an image takes in the token sequence: begin, one per patch, end."""
        return (self.image_size // self.patch_size // self.merge_size) ** 2 + 2


_NAMES = tuple(field.name for field in fields(ModelFacts))
_VISION = ("image_size", "patch_size", "merge_size")


def _part(config: Any, name: str) -> Any:
    return config.vision_config if name in _VISION else config
