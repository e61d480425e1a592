# SPDX-License-Identifier: Apache-2.0
"""A tokenizer.json served by the `tokenizers` library alone, which loads in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"


class TextTokenizer(Protocol):
    """What the engine needs of a tokenizer; transformers' tokenizers offer it too."""

    @property
    def eos_token_id(self) -> Any: ...

    def __len__(self) -> int: ...

    def encode(self, text: str, add_special_tokens: bool = ...) -> list[int]:
        """Tokens of a text, with or without those that begin and end a whole sequence."""

    def decode(self, token_ids: Any, skip_special_tokens: bool = ...) -> Any:
        """The text of tokens, with or without the special ones among them."""

    def get_vocab(self) -> dict[str, int]:
        """Ids by token, added tokens included."""

    def save_pretrained(self, save_directory: Any) -> Any:
        """Write the files that it can be read from again."""


class FileTokenizer:
    """As transformers' PreTrainedTokenizerFast, as far as this package uses it.

    `settings` name the special tokens, as in {"eos_token": "</s>"}, and may hold more.
    """

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any]):
        self._tokenizer = tokenizer
        self._settings = settings

    @classmethod
    def load(cls, folder: Path, roles: dict[str, Any] | None = None) -> FileTokenizer:
        """Read tokenizer.json, and what its special tokens are from the file beside it; `roles`
        replace them, as in {"eos_token": "<|im_end|>"}.

        Raises:
            Exception: of no particular kind, as the library raises it for a damaged file.
        """
        settings: dict[str, Any] = {}
        for name in ("special_tokens_map.json", TOKENIZER_SETTINGS):
            if (folder / name).is_file():
                settings |= json.loads((folder / name).read_text(encoding="utf-8"))
        return cls(Tokenizer.from_file(str(folder / TOKENIZER_FILE)), settings | (roles or {}))

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Tokens of a text; with `add_special_tokens` also those that tokenizer.json puts around
        one."""
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of tokens, with no clean-up of spaces."""
        ids = [int(token) for token in token_ids]
        return self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def get_vocab(self) -> dict[str, int]:
        """Ids by token, added tokens included."""
        return self._tokenizer.get_vocab(with_added_tokens=True)

    @cached_property
    def eos_token_id(self) -> int | None:
        """The token that ends an answer; None where the settings name none."""
        return self._id("eos")

    @cached_property
    def bos_token_id(self) -> int | None:
        """The token that begins a sequence; None where the settings name none."""
        return self._id("bos")

    @cached_property
    def pad_token_id(self) -> int | None:
        """The token that fills rows up; None where the settings name none."""
        return self._id("pad")

    @cached_property
    def unk_token_id(self) -> int | None:
        """The token that stands for unknown text; None where the settings name none."""
        return self._id("unk")

    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int | None]:
        """The id of each token; unknown ones get that of the unknown token."""
        ids = map(self._tokenizer.token_to_id, tokens)
        return [self.unk_token_id if number is None else number for number in ids]

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write files that this class and transformers read."""
        folder = Path(save_directory)
        self._tokenizer.save(str(folder / TOKENIZER_FILE))
        kind = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        text = json.dumps(kind | self._settings, indent=2, sort_keys=True) + "\n"
        (folder / TOKENIZER_SETTINGS).write_text(text, encoding="utf-8")

    def _id(self, role: str) -> int | None:
        token = self._settings.get(f"{role}_token")
        name = token["content"] if isinstance(token, dict) else token
        return None if name is None else self._tokenizer.token_to_id(name)
