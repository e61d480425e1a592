# SPDX-License-Identifier: Apache-2.0
"""What a model folder says without its weights: where it lies, facts, tokenizer, image settings.

Imports neither PyTorch nor transformers; the weights are `checkpoint`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import CheckpointError
from .decoding.tokens import TOKENIZER_FILE, FileTokenizer, TextTokenizer
from .facts import ModelFacts
from .processing import PROCESSOR_FILE, CogVLMProcessor, ImageSettings

if TYPE_CHECKING:
    from .pytorch.configuration import CogVLMConfig

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PEFT = "adapter_config.json"
EXPORTS, SUMMARY = "onnx", "export.json"  # exports lie in onnx/int8 or onnx/fp32
DEFAULT = Path("models") / "embedded"
SHARE = Path("share") / "hpe_vlm_ros"


def default_folder() -> Path:
    """The embedded default: in the source checkout, or where an install has put it."""
    here = Path(__file__).resolve()
    prefixes = [*here.parents, *map(Path, filter(None, _prefix_path()))]
    places = [here.parents[2] / DEFAULT, *(prefix / SHARE / DEFAULT for prefix in prefixes)]
    for place in places:
        if (place / "config.json").is_file():
            return place
    raise CheckpointError(
        f"the default model is neither in {places[0]} nor under {SHARE} of this install: "
        "build the package again, or name a model folder"
    )


def _prefix_path() -> list[str]:
    return os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)


def load_facts(folder: str | Path) -> ModelFacts:
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"there is no model folder {folder}: check the path")
    refuse_adapter(folder)
    content = read_json(folder / "config.json")
    try:
        return ModelFacts.read(content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error


def refuse_adapter(folder: Path, original: Path | str = "ORIGINAL") -> None:
    """CheckpointError for a folder that holds what peft saves, adapters without the model."""
    if not (folder / PEFT).is_file() or any((folder / name).is_file() for name in (WEIGHTS, INDEX)):
        return
    places = (("original", original), ("adapter", folder), ("out", f"{folder}-folded"))
    options = " ".join(f"--{name} {shlex.quote(str(place))}" for name, place in places)
    raise CheckpointError(
        f"{folder} holds a peft adapter, not a model: fold it first: "
        f"python -m training.model.fold_adapter {options}"
    )


def load_processor(folder: str | Path, config: CogVLMConfig | ModelFacts) -> CogVLMProcessor:
    """Tokenizer and image settings; a folder without the latter uses the public CogVLM's."""
    folder = Path(folder)
    facts = config if isinstance(config, ModelFacts) else ModelFacts.of(config)
    tokenizer = _tokenizer(folder)
    if len(tokenizer) > facts.vocab_size:
        raise CheckpointError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model {facts.vocab_size}:"
            " use the tokenizer files that belong to it"
        )
    settings: dict[str, Any] = {"image_size": facts.image_size}
    if (folder / PROCESSOR_FILE).is_file():
        known = {field.name for field in fields(ImageSettings)}
        content = read_json(folder / PROCESSOR_FILE)
        settings |= {key: value for key, value in content.items() if key in known}
    try:
        return CogVLMProcessor(tokenizer, facts, ImageSettings(**settings))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / PROCESSOR_FILE}: {error}") from error


def _tokenizer(folder: Path) -> TextTokenizer:
    try:
        if (folder / TOKENIZER_FILE).is_file():
            return FileTokenizer.load(folder)
        if (folder / "tokenizer.model").is_file():  # SentencePiece, which transformers converts
            from transformers import AutoTokenizer

            found: TextTokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            return found
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"the tokenizer in {folder} cannot be read: {error}") from error
    raise CheckpointError(
        f"{folder} has no {TOKENIZER_FILE}: copy the model folder again (the public CogVLM "
        "takes the tokenizer files of lmsys/vicuna-7b-v1.5)"
    )


def fingerprint(folder: str | Path) -> str:
    """Eight hexadecimal digits that change with the weights (with the index, if sharded).

    A folder that holds an export alone has the fingerprint of what was exported.
    """
    folder = Path(folder)
    for name in (WEIGHTS, INDEX):
        if (folder / name).is_file():
            return digest(folder / name)[:8]
    for summary in sorted(folder.glob(f"{EXPORTS}/*/{SUMMARY}")):
        return str(read_json(summary).get("weights"))
    raise CheckpointError(f"{folder} has no {WEIGHTS}: copy the model folder again")


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    result = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(1 << 20):
            result.update(block)
    return result.hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file; CheckpointError says why there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: copy the model folder again") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} is not readable JSON ({error}): copy it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no JSON object: copy it again")
    return content
