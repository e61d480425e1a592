# SPDX-License-Identifier: Apache-2.0
"""Pictures and questions to what a model of a chat family takes.

The picture is transformers' own image processor's business, in the settings of the checkpoint; the
text around it is the family's. Question and answer are tokenised apart and then joined, as
everywhere in this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.answers import DETECTION_PROMPT
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.decoding.tokens import FileTokenizer
from hpe_vlm_ros.vlm.facts import ModelFacts

from .family import ChatFamily, Picture

# What a model that has never learnt the paper's formats is told about them: a grammar that expects
# three digits turns "52," into 52 and some other digit.
BOXES_HINT = (
    " Answer with [[x0,y0,x1,y1;x0,y0,x1,y1]], one box for each head from left to right, every "
    "number with three digits, 000 to 999, in thousandths of the image's width and height."
)
POSE_HINT = (
    " The box is in thousandths of the image's width and height. Answer with {yaw,pitch,roll} in "
    "degrees from 000 to 359, every number with three digits; all are 000 for a face that looks "
    "straight at the camera, yaw grows as the nose turns to the image's left, pitch as it rises, "
    "roll as the head leans clockwise."
)


class ChatProcessor:
    """A family's tokenizer and image processor, of one checkpoint.

    `config` is config.json. `taught` says whether the weights know the paper's formats; if not,
    questions explain them.
    """

    def __init__(
        self,
        family: ChatFamily,
        tokenizer: FileTokenizer,
        images: Any,
        config: Mapping[str, Any],
        facts: ModelFacts,
        taught: bool,
    ):
        self.family, self.tokenizer, self.images = family, tokenizer, images
        self.config, self.facts, self.taught = config, facts, taught
        self.lead = family.lead
        self.warning = "" if taught else UNTAUGHT.format(family.name)

    @classmethod
    def load(
        cls, folder: Path, family: ChatFamily, config: Mapping[str, Any], ours: Mapping[str, Any]
    ) -> ChatProcessor:
        """The processor of a model folder; `ours` is hpe_vlm.json, empty for a published model."""
        tokenizer = _tokenizer(folder, family)
        images = _image_processor(folder, family, ours.get("size") or {})
        vocabulary = int(config["text_config"]["vocab_size"])
        if len(tokenizer) > vocabulary:
            raise CheckpointError(
                f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model {vocabulary}: "
                "use the tokenizer files that belong to it"
            )
        facts = facts_of(family, config, ours)
        return cls(family, tokenizer, images, config, facts, bool(ours.get("taught", False)))

    def pixels(self, image: NDArray[np.uint8]) -> Picture:
        """An RGB image (H, W, 3) uint8 as the model takes it; ValueError for a shape that it cannot
        take, see `ChatFamily.seen`."""
        height, width = image.shape[:2]
        self.family.seen(width, height, self.images)
        ready = self.images(
            [image], return_tensors="np", input_data_format="channels_last", **self._options
        )
        return {name: np.asarray(values) for name, values in ready.items()}

    @cached_property
    def _options(self) -> dict[str, bool]:
        """SmolVLM's processor only says on request how many tiles it made."""
        return {"return_row_col_info": True} if hasattr(self.images, "return_row_col_info") else {}

    def seen(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) in pixels of a picture as the model sees it."""
        return self.family.seen(width, height, self.images)

    def prefix(self, picture: Picture) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens (T,) before a question, and their positions (axes, T).

        ValueError where the picture and an answer are longer than the model's context.
        """
        ids = np.array(self.encode(self.family.before(picture, self.config)))
        most = int(self.config["text_config"].get("max_position_embeddings") or 0)
        if most and len(ids) + ANSWER_ROOM > most:
            raise ValueError(
                f"the picture takes {len(ids)} tokens, and {most} with question and answer are all "
                "that the model takes: give smaller pictures, or a smaller size in hpe_vlm.json"
            )
        return ids, self.family.positions(ids, picture, self.config)

    def encode_prompt(self, prompt: str) -> list[int]:
        """Tokens of a question behind the picture, up to the answer's first."""
        hint = "" if self.taught else _hint(prompt)
        return self.encode(prompt + hint + self.family.after)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text as it stands; special tokens may be written in it."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)


FACTS = ("head_shape", "min_score", "number_decoding", "mirror", "calibration")
ANSWER_ROOM = 512  # tokens that question and answer may take
UNTAUGHT = (
    "this {} has not been trained for head poses: boxes are rough and angles little better than "
    "guesses. Give an adapter that was (adapter:=FOLDER), or train one, see docs/full_size.md"
)


def facts_of(family: ChatFamily, config: Mapping[str, Any], ours: Mapping[str, Any]) -> ModelFacts:
    """What asking takes to know of a model, of its config.json and hpe_vlm.json."""
    side = family.side((ours.get("size") or {}).get("longest_edge"))
    known = {k: v for k, v in ours.items() if k in FACTS}
    vocabulary = int(config["text_config"]["vocab_size"])
    return ModelFacts(vocab_size=vocabulary, image_size=side, **known)


def _hint(prompt: str) -> str:
    if prompt == DETECTION_PROMPT:
        return BOXES_HINT
    return POSE_HINT if "yaw pitch roll" in prompt else ""


def _tokenizer(folder: Path, family: ChatFamily) -> FileTokenizer:
    try:
        tokenizer = FileTokenizer.load(folder)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(
            f"the tokenizer in {folder} cannot be read ({error}): copy tokenizer.json again"
        ) from error
    vocabulary = tokenizer.get_vocab()
    if missing := [token for token in family.special if token not in vocabulary]:
        raise CheckpointError(
            f"the tokenizer in {folder} lacks {', '.join(missing)}, which {family.name} needs: use "
            "the tokenizer files that belong to the model"
        )
    return FileTokenizer.load(folder, {"eos_token": family.end})


def _image_processor(folder: Path, family: ChatFamily, ours: Mapping[str, int]) -> Any:
    import transformers

    try:
        kind = getattr(transformers, family.image_processor)
        found = kind.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise CheckpointError(
            f"pictures for {family.name} are resized by Pillow: pip install pillow ({error})"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"the picture settings in {folder} cannot be read ({error}): copy "
            "preprocessor_config.json again"
        ) from error
    limits = {k: min(v, found.size[k] or v) for k, v in family.size.items()}
    found.size = type(found.size)(**{**dict(found.size), **limits, **ours})
    return found
