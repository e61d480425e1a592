# SPDX-License-Identifier: Apache-2.0
"""Pictures and prompts to tensors.

Prompt and answer are tokenised apart and then joined, without a separator; the end token closes
the answer. That is how the public CogVLM was trained, and so are our models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .decoding.tokens import TextTokenizer
from .facts import EMBEDDED_SIZE, TEMPLATES, ModelFacts
from .resampling import bicubic
from .vocabulary import build_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from .pytorch.configuration import CogVLMConfig

__all__ = ["CogVLMProcessor", "ImageSettings", "TEMPLATES", "build_tokenizer"]

PROCESSOR_FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class ImageSettings:
    """How a picture becomes pixel values; the defaults are CLIP's and the public CogVLM's.

    The aspect ratio is not kept: coordinates are relative, so nothing needs correcting.
    `resample` is "bicubic" (with antialiasing) or "area" (mean of the covered pixels).
    """

    image_size: int = 490
    image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    resample: str = "bicubic"

    def __post_init__(self) -> None:
        for name in ("image_mean", "image_std"):  # JSON has lists where we have tuples
            values = tuple(map(float, getattr(self, name)))
            if len(values) != 3:
                raise ValueError(f"{name} has {len(values)} values; it must have one per channel")
            object.__setattr__(self, name, values)
        if self.resample not in ("bicubic", "area"):
            raise ValueError(f'resample is {self.resample!r}; it must be "bicubic" or "area"')

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) to (S, S, 3), both uint8."""
        size = (self.image_size, self.image_size)
        if image.shape[:2] == size:
            return image
        if self.resample == "area":
            # by OpenCV's manual, its area method enlarges like that of the nearest pixel
            shrinks = min(image.shape[:2]) >= self.image_size
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
        return bicubic(image, self.image_size)

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB (H, W, 3) uint8 to normalised (3, S, S) float32."""
        planes = np.ascontiguousarray(self.resize(image).transpose(2, 0, 1)).astype(np.float32)
        planes /= np.float32(255)
        planes -= np.array(self.image_mean, np.float32)[:, None, None]
        planes /= np.array(self.image_std, np.float32)[:, None, None]
        return planes


# (value - 127) / 128, as EfficientNet-Lite's ImageNet weights expect, which the stem begins with
EMBEDDED_IMAGES = ImageSettings(EMBEDDED_SIZE, (127 / 255,) * 3, (128 / 255,) * 3, "area")


class CogVLMProcessor:
    """Pictures and prompts to what the model takes.

    Its arrays are numpy's; only the methods for training and `generate()` import PyTorch.
    """

    def __init__(
        self, tokenizer: TextTokenizer, config: CogVLMConfig | ModelFacts, images: ImageSettings
    ):
        self.facts = config if isinstance(config, ModelFacts) else ModelFacts.of(config)
        if images.image_size != self.facts.image_size:
            raise ValueError(
                f"{PROCESSOR_FILE} says image_size {images.image_size}, but config.json says "
                f"{self.facts.image_size}: they must agree"
            )
        self.tokenizer = tokenizer
        self.images = images
        self.num_image_tokens = self.facts.num_image_tokens
        self.template = TEMPLATES[self.facts.template_version]
        self.lead = ""  # between question and answer
        self.warning = ""  # about the weights, for people

    @classmethod
    def embedded(cls, config: CogVLMConfig) -> CogVLMProcessor:
        """The processor of a small model: closed vocabulary, pixels as its stem expects them."""
        settings = asdict(EMBEDDED_IMAGES) | {"image_size": config.vision_config.image_size}
        return cls(build_tokenizer(), config, ImageSettings(**settings))

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB (H, W, 3) uint8 to normalised (3, S, S) float32."""
        return self.images.pixels(image)

    def image_tensor(self, image: NDArray[np.uint8]) -> Tensor:
        """As `pixels`, a tensor."""
        import torch

        return torch.from_numpy(self.pixels(image))

    def encode_prompt(self, prompt: str) -> list[int]:
        """Tokens of a question in the checkpoint's template, nothing before or after."""
        return self.encode(self.template.format(prompt))

    def encode(self, text: str) -> list[int]:
        """Tokens of a text as it stands, without template and special tokens."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """The text of tokens, special ones left out."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def prefix(self) -> dict[str, Tensor]:
        """[BOS] and the image slots as (1, 1 + num_image_tokens) input_ids, token_type_ids."""
        import torch

        ids = torch.zeros((1, 1 + self.num_image_tokens), dtype=torch.long)
        ids[:, 0] = self.facts.bos_token_id or 0
        types = torch.ones_like(ids)
        types[:, 0] = 0
        return {"input_ids": ids, "token_type_ids": types}

    def __call__(self, image: NDArray[np.uint8], prompt: str) -> dict[str, Tensor]:
        """One picture (H, W, 3 uint8 RGB) and one question, ready for `model.generate(**...)`."""
        import torch

        from .pytorch.modeling import position_ids_of

        prefix = self.prefix()
        text = torch.tensor([self.encode_prompt(prompt)])
        types = torch.cat((prefix["token_type_ids"], torch.zeros_like(text)), dim=1)
        return {
            "input_ids": torch.cat((prefix["input_ids"], text), dim=1),
            "token_type_ids": types,
            "position_ids": position_ids_of(types),
            "pixel_values": self.image_tensor(image)[None],
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer files and the image settings."""
        self.tokenizer.save_pretrained(str(folder))
        settings: dict[str, Any] = asdict(self.images)
        text = json.dumps(settings, indent=2) + "\n"
        (Path(folder) / PROCESSOR_FILE).write_text(text, encoding="utf-8")
