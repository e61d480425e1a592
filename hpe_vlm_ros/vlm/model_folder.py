# SPDX-License-Identifier: Apache-2.0
"""What a model folder says without its weights: where it lies, facts, tokenizer, image settings.

Imports neither PyTorch nor transformers; the weights are `checkpoint`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import CheckpointError
from .decoding.tokens import TOKENIZER_FILE, TOKENIZER_SETTINGS, FileTokenizer, TextTokenizer
from .diagnosis import (
    INDEX,
    PEFT_WEIGHTS,
    WEIGHTS,
    missing_special_tokens,
    refuse_byte_order_mark,
    refuse_others,
)
from .facts import ModelFacts
from .families import ChatFamily, family_of
from .processing import PROCESSOR_FILE, CogVLMProcessor, ImageSettings

if TYPE_CHECKING:
    from .pytorch.configuration import CogVLMConfig

EXPORTS, SUMMARY = "onnx", "export.json"  # exports lie in onnx/int8 or onnx/fp32
OURS = "hpe_vlm.json"  # what this package knows of weights or of an adapter, beside them
DEFAULT = Path("models") / "embedded"
SHARE = Path("share") / "hpe_vlm_ros"
SENTENCEPIECE = "tokenizer.model"
SAMPLES, BLOCK = 64, 4096  # a LoRA changes a fifth of CogVLM-17B's weights: some sample is of those
TOKENIZER_FILES = (TOKENIZER_FILE, TOKENIZER_SETTINGS, "special_tokens_map.json")


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


def load_config_file(folder: Path) -> dict[str, Any]:
    """The content of a model folder's config.json; CheckpointError says why there is none."""
    refuse_others(folder)
    return read_json(folder / "config.json")


def load_facts(folder: str | Path) -> ModelFacts:
    """What config.json and, of a chat family's model, hpe_vlm.json say; no weights are read.

    Raises: CheckpointError: (a ValueError) there is no such model, or its files say what cannot be.
    """
    folder = Path(folder)
    content = load_config_file(folder)
    family = family_of(content, folder)
    try:
        if isinstance(family, ChatFamily):
            from .families.processing import facts_of

            return facts_of(family, content, read_ours(folder))
        return ModelFacts.read(content)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error


def load_processor(folder: str | Path, config: CogVLMConfig | ModelFacts) -> CogVLMProcessor:
    """Tokenizer and image settings; a folder without the latter uses the public CogVLM's."""
    folder = Path(folder)
    try:
        facts = config if isinstance(config, ModelFacts) else ModelFacts.of(config)
    except ValueError as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error
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
    """The tokenizer of a folder; no code that lies in the folder is ever run."""
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            refuse_byte_order_mark(folder / name)
    try:
        found = _read_tokenizer(folder)
    except CheckpointError:
        raise
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"the tokenizer in {folder} cannot be read: {error}") from error
    for problem in missing_special_tokens(folder, {"eos_token": found.eos_token_id}):
        raise CheckpointError(problem)
    return found


def _read_tokenizer(folder: Path) -> TextTokenizer:
    if (folder / TOKENIZER_FILE).is_file():
        return FileTokenizer.load(folder)
    if not (folder / SENTENCEPIECE).is_file():
        raise CheckpointError(
            f"{folder} has no {TOKENIZER_FILE}: copy the model folder again (the public CogVLM "
            "takes the tokenizer files of lmsys/vicuna-7b-v1.5)"
        )
    if lacking := [name for name in ("sentencepiece", "google.protobuf") if not _is_there(name)]:
        raise CheckpointError(
            f"reading {folder / SENTENCEPIECE} takes {' and '.join(lacking)}: pip install "
            "sentencepiece protobuf"
        )
    # Not AutoTokenizer: that looks into config.json for a class, and where auto_map names one in
    # the folder's own code it asks on the terminal whether to run that.
    from transformers import LlamaTokenizer

    tokenizer: TextTokenizer = LlamaTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return tokenizer


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def fingerprint(folder: str | Path) -> str:
    """Eight hexadecimal digits that change with the weights.

    Of weights in several files, tens of gigabytes, the index and samples are looked at. A folder
    that holds an export alone has the fingerprint of what was exported.
    """
    folder = Path(folder)
    for name in (WEIGHTS, PEFT_WEIGHTS):
        if (folder / name).is_file():
            return digest(folder / name)[:8]
    if (folder / INDEX).is_file():
        return _sampled(folder)[:8]
    for summary in sorted(folder.glob(f"{EXPORTS}/*/{SUMMARY}")):
        return str(read_json(summary).get("weights"))
    raise CheckpointError(f"{folder} has no {WEIGHTS}: copy the model folder again")


def _sampled(folder: Path) -> str:
    """SHA-256 over the index and SAMPLES blocks of each of its files, evenly spread."""
    result = hashlib.sha256((folder / INDEX).read_bytes())
    for name in sorted(set(read_json(folder / INDEX).get("weight_map", {}).values())):
        file = folder / str(name)
        if not file.is_file():
            continue  # loading names what is missing
        size = file.stat().st_size
        result.update(size.to_bytes(8, "little"))
        with open(file, "rb") as content:
            for number in range(SAMPLES):
                content.seek((size - BLOCK) * number // (SAMPLES - 1) if size > BLOCK else 0)
                result.update(content.read(BLOCK))
    return result.hexdigest()


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
        refuse_byte_order_mark(file)
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: copy the model folder again") from None
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} is not readable JSON ({error}): copy it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no JSON object: copy it again")
    return content


def read_ours(folder: Path) -> dict[str, Any]:
    """What hpe_vlm.json says; empty where there is none, as beside published weights."""
    return read_json(folder / OURS) if (folder / OURS).is_file() else {}


def write_ours(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes hpe_vlm.json anew; what it said before is gone."""
    text = json.dumps(dict(content), indent=2) + "\n"
    (folder / OURS).write_text(text, encoding="utf-8")
