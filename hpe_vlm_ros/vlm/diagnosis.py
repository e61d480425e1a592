# SPDX-License-Identifier: Apache-2.0
"""What a folder is that is no model folder, and the one command that helps.

Imports neither PyTorch nor transformers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from . import CheckpointError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PEFT, PEFT_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
READ_OUTS = "read_outs.safetensors"  # beside a model, for training alone
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
ADAPTER_WEIGHTS, ADAPTER_OPTIONS = "adapter.safetensors", "adapter.json"  # of training's stages
PUBLIC = "THUDM/cogvlm-grounding-generalist-hf"
SHARD = re.compile(r".*-(\d{5})-of-(\d{5})\.safetensors")
BOM = b"\xef\xbb\xbf"


def has_weights(folder: Path) -> bool:
    """Whether a folder names weights as a model folder does."""
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def refuse_others(folder: Path, original: Path | str = "ORIGINAL") -> None:
    """CheckpointError for a path that is no model folder but something that is known.

    `original` is the model that an adapter is to be folded into, where that is known.
    """
    if not folder.is_dir():
        raise CheckpointError(f"there is no model folder {folder}: {_missing(folder)}")
    if has_weights(folder):
        return
    for problem in (
        _of_the_hub(folder),
        _of_sat(folder),
        _adapter(folder, original),
        _shards(folder),
    ):
        if problem is not None:
            raise CheckpointError(f"{folder} {problem}")


def _missing(folder: Path) -> str:
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(folder)):
        return f"fetch it first: python -m hpe_vlm_ros download {folder}, which prints its folder"
    return "check the path"


def _of_the_hub(folder: Path) -> str | None:
    """A hub's cache holds folders models--org--name, which hold snapshots/COMMIT."""
    if folder.name.startswith("models--") or (folder / "snapshots").is_dir():
        found = sorted(path for path in folder.glob("snapshots/*") if path.is_dir())
        return f"is the hub's cache of a model, not the model: give {_one(found, folder)}"
    found = sorted(folder.glob("models--*/snapshots/*"))
    if found or any(folder.glob("models--*")):
        return f"is the hub's cache of models, not a model: give {_one(found, folder)}"
    return None


def _one(found: list[Path], folder: Path) -> str:
    return str(found[-1]) if found else f"a folder below {folder} that holds a config.json"


def _of_sat(folder: Path) -> str | None:
    inside = any(folder.glob("*/mp_rank_*_model_states.pt"))
    if not inside and not any(folder.glob("mp_rank_*_model_states.pt")):
        return None
    return (
        "is a checkpoint of SwissArmyTransformer, whose weights are pickles, which can run code "
        f"and are never loaded: get the model in transformers' format: hf download {PUBLIC} "
        f"--local-dir {shlex.quote(f'{folder}-hf')}"
    )


def _adapter(folder: Path, original: Path | str) -> str | None:
    if (folder / PEFT).is_file():
        command, name = "training.model.fold_adapter", "adapter"
        what = "a peft adapter"
    elif (folder / ADAPTER_WEIGHTS).is_file() or (folder / ADAPTER_OPTIONS).is_file():
        command, name = "training.stage3_merge --method lora_folding", "tuned"
        what = "an adapter of a training stage"
    else:
        return None
    places = (("original", original), (name, folder), ("out", f"{folder}-folded"))
    options = " ".join(f"--{option} {shlex.quote(str(place))}" for option, place in places)
    return f"holds {what}, not a model: fold it first: python -m {command} {options}"


def _shards(folder: Path) -> str | None:
    found = sorted(file.name for file in folder.glob("*.safetensors") if SHARD.fullmatch(file.name))
    if not found:
        return None
    return (
        f"holds {len(found)} parts of weights ({found[0]}) and no {INDEX}, which says what belongs "
        f"to them: fetch it: hf download {PUBLIC} {INDEX} --local-dir {shlex.quote(str(folder))}, "
        "or from where the parts are from"
    )


def refuse_byte_order_mark(file: Path) -> None:
    """CheckpointError for a text file that begins with U+FEFF, which JSON forbids (RFC 8259, 8.1).

    transformers refuses such a file as well, so it is better mended than read.
    """
    with open(file, "rb") as content:
        if content.read(len(BOM)) == BOM:
            command = rf"sed -i '1s/^\xEF\xBB\xBF//' {shlex.quote(str(file))}"
            raise CheckpointError(
                f"{file} begins with a byte order mark, which an editor put there and JSON must "
                f"not have: remove it: {command}"
            )


def missing_special_tokens(folder: Path, roles: dict[str, int | None]) -> Iterator[str]:
    """What to say of a tokenizer without the special tokens that questions take."""
    absent = [role for role, number in roles.items() if number is None]
    if absent:
        yield (
            f"the tokenizer in {folder} does not say which tokens are its {' and '.join(absent)}: "
            f"fetch the file that does: hf download lmsys/vicuna-7b-v1.5 tokenizer_config.json "
            f"--local-dir {shlex.quote(str(folder))} (for the public CogVLM)"
        )
