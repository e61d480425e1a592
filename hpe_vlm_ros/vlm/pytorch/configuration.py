# SPDX-License-Identifier: Apache-2.0
"""Configuration of CogVLM: one set of classes for the public 17B model and for small embedded ones.

Field names and defaults follow the public `cogvlm-grounding-generalist` checkpoint's config.json.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from hpe_vlm_ros.vlm.facts import EMBEDDED_SIZE, NUMBER_DECODINGS, TAUGHT

STEMS = (None, "efficientnet_lite0")


class CogVLMVisionConfig(PreTrainedConfig):
    """The vision tower: EVA2-CLIP's transformer, optionally behind a convolutional stem.

    `stem` None is the public model's patch convolution; "efficientnet_lite0" puts that network's
    blocks up to stride 16 in its place. `merge_size` 2 adds CogVLM2's stride-2 convolution after
    the transformer, which leaves a quarter of the image tokens. `decoder_positions` adds a learned
    vector per image token behind the adapter, so that a shallow decoder need not dig the place of a
    patch out of its features. `presence` adds a read-out of "a head is here" per patch, which the
    scores of boxes hear (`vlm.decoding.presence`); `patch_boxes` adds the box of that head.
    """

    model_type = "cogvlm_vision"
    base_config_key = "vision_config"

    hidden_size: int = 1792
    intermediate_size: int = 15360
    num_hidden_layers: int = 63
    num_heads: int = 16
    in_channels: int = 3
    image_size: int = 490
    patch_size: int = 14
    num_positions: int = 0  # 0: one per patch and one for the class token
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    dropout_prob: float = 0.0
    initializer_range: float = 0.02
    stem: str | None = None
    merge_size: int = 1
    decoder_positions: bool = False
    presence: bool = False
    patch_boxes: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.stem not in STEMS:
            raise ValueError(f"vision_config.stem is {self.stem!r}; it must be one of {STEMS}")
        if self.stem is not None and self.patch_size != 16:
            raise ValueError(f"a {self.stem} stem needs patch_size 16, not {self.patch_size}")
        if self.patch_boxes and not self.presence:
            raise ValueError("vision_config.patch_boxes needs vision_config.presence")
        if self.image_size % (self.patch_size * self.merge_size):
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of patch_size * merge_size "
                f"({self.patch_size} * {self.merge_size})"
            )
        if self.hidden_size % self.num_heads:
            raise ValueError(f"{self.num_heads} heads do not divide hidden_size {self.hidden_size}")
        if not self.num_positions:
            self.num_positions = self.grid_size**2 + 1

    @property
    def grid_size(self) -> int:
        """Patches along one side of the picture, before merging."""
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        """Image features that reach the language model, after merging."""
        return (self.grid_size // self.merge_size) ** 2


class CogVLMConfig(PreTrainedConfig):
    """The whole model: a Llama-like decoder with two experts per layer, and `vision_config`.

    `text_only` is a decoder without tower and vision experts, for questions that hold all they are
    about as text; its layers still have the keys and values of the whole model's.

    The last fields belong to our own checkpoints, fitted together with the weights: what a head
    box encloses (`head_shape`: "diameter" in metres, "offset" of the face's origin from the box
    centre), the score below which a box is dropped (`min_score`, before calibration), whether a
    number is the most likely one or the mean of its distribution (`number_decoding` "most_likely"
    or "expected"), whether the mirror image is looked at as well, unless the user says otherwise
    (`mirror`), how scores are joined out of the text's and the tower's (`score_weights`,
    `presence.ScoreWeights`), what makes spreads and scores honest (`calibration`,
    `spread.Calibration`), and the names of the questions that it has learnt (`tasks`,
    `hpe_vlm_ros.tasks`).
    """

    model_type = "cogvlm"
    keys_to_ignore_at_inference = ["past_key_values"]
    sub_configs_defaults = {"vision_config": SubConfigSpec(CogVLMVisionConfig)}

    vision_config: Any = None  # given as a dict or CogVLMVisionConfig; always the latter after
    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    use_cache: bool = True
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = 0
    template_version: str = "base"
    text_only: bool = False
    head_shape: dict[str, Any] | None = None
    min_score: float = 0.0
    number_decoding: str = "most_likely"
    mirror: bool = False
    score_weights: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    tasks: list[str] | tuple[str, ...] = TAUGHT

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.number_decoding not in NUMBER_DECODINGS:
            raise ValueError(
                f"number_decoding is {self.number_decoding!r}; it must be one of {NUMBER_DECODINGS}"
            )
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over {self.num_attention_heads} heads must give "
                "an even whole number"
            )

    @property
    def head_dim(self) -> int:
        """How wide the queries, keys and values of one attention head are."""
        return self.hidden_size // self.num_attention_heads

    @property
    def num_image_tokens(self) -> int:
        """Slots an image takes in the token sequence: begin, one per patch, end."""
        return self.vision_config.num_patches + 2


def grounding_generalist_17b() -> CogVLMConfig:
    """The public cogvlm-grounding-generalist: 17,639,685,376 parameters."""
    return CogVLMConfig(vision_config={})


def embedded(vocab_size: int = 1280, **overrides: Any) -> CogVLMConfig:
    """The small model shipped with the package: 320x320 pictures, 100 patches for the decoder.

    `overrides` replace fields; those of the vision tower come in a dict `vision_config`.
    """
    vision = {
        "image_size": EMBEDDED_SIZE,
        "patch_size": 16,
        "stem": "efficientnet_lite0",
        "merge_size": 2,
        "decoder_positions": True,
        "presence": True,
        "patch_boxes": True,
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_heads": 4,
        "intermediate_size": 768,
        "initializer_range": 0.05,
    }
    vision.update(overrides.pop("vision_config", {}))
    fields: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        # about 1/sqrt(hidden_size): keeps activations near unit scale in a narrow model
        "initializer_range": 0.05,
    }
    fields.update(overrides)
    return CogVLMConfig(vision_config=vision, **fields)
