# SPDX-License-Identifier: Apache-2.0
"""Models by name: a folder, or `org/name` of a hub of models, fetched by `huggingface_hub`.

A name whose files are in the local cache is used without any request. Nothing else is downloaded
unless that is asked for. Only safetensors, exported graphs and JSON files are fetched; Python code
and weights in pickle format are not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any

from . import CheckpointError
from .diagnosis import PICKLED, READ_OUTS
from .model_folder import INDEX, WEIGHTS, default_folder, load_facts, read_json

HUB_NAME = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w./-]*))?")
FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "hpe_vlm.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "onnx/int8/*.onnx",
    "experts/refiner/config.json",
    "experts/refiner/*.onnx",
    "onnx/int8/*.json",
    "onnx/fp32/*.onnx",
    "onnx/fp32/*.json",
    "README.md",
    "LICENSE*",
)
"""Of a repository, what a model folder may hold; a star does not reach into folders."""
ASK = (
    "to download it, run `python -m hpe_vlm_ros download {name}` once, or say so where the model "
    "is named: --download on a command line, download:=true to the node, download=True in Python"
)


@dataclass(frozen=True)
class HubName:
    """`id` is org/name; `revision` a branch, tag or commit, None for the main branch."""

    id: str
    revision: str | None = None

    @classmethod
    def read(cls, text: str) -> HubName | None:
        """The name that a text such as "org/name@v1.0" is, None for anything else."""
        found = HUB_NAME.fullmatch(text)
        return None if found is None else cls(found["id"], found["revision"])

    def __str__(self) -> str:
        return self.id if self.revision is None else f"{self.id}@{self.revision}"


def is_folder(model: str | Path) -> bool:
    """Whether this is the path of a folder (~ is the home), which is preferred to a name on the
    hub."""
    return Path(model).expanduser().is_dir()


def short_name(model: str | Path) -> str:
    """The last part of a folder's path or of a hub name, without its revision."""
    hub = None if is_folder(model) else HubName.read(str(model))
    return Path(model).expanduser().resolve().name if hub is None else hub.id.split("/")[1]


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def find_model(
    model: str | Path | None, download: bool = False, say: Callable[[str], None] = _to_stderr
) -> Path:
    """The folder of a model.

    Args:
        model: a folder, or a name on the hub: "org/name" or "org/name@revision". A folder that
            exists is preferred. None or "" is the embedded default of the package.
        download: whether a model that is not in the cache may be downloaded into it.
        say: is told in one sentence what will be downloaded and how large it is.

    Raises:
        CheckpointError: (a ValueError) there is no such model, or it may not be downloaded.
    """
    if model is None or not str(model):
        return default_folder()
    if is_folder(model):
        return Path(model).expanduser()
    name = HubName.read(str(model))
    if name is None:
        raise CheckpointError(
            f"there is no model folder {model}: check the path, or name a model on the hub as "
            "org/name or org/name@revision"
        )
    hub = _library(name)
    return _cached(hub, name) or _fetched(hub, name, download, say)


def _library(name: HubName) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise CheckpointError(
            f"there is no model folder {name}; to look for it on the hub install its client: "
            "pip install huggingface_hub"
        ) from error
    return huggingface_hub


def _cached(hub: Any, name: HubName) -> Path | None:
    """The model's folder in the cache, None where weights are missing. They are fetched last."""
    try:
        config = hub.try_to_load_from_cache(name.id, "config.json", revision=name.revision)
    except ValueError:  # names that the hub does not allow, such as "a/b..c"
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    parts = {WEIGHTS}
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        shards = read_json(folder / INDEX).get("weight_map")
        parts = set(map(str, shards.values())) if isinstance(shards, dict) else parts
    return folder if all((folder / part).is_file() for part in parts) else None


def _fetched(hub: Any, name: HubName, download: bool, say: Callable[[str], None]) -> Path:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise CheckpointError(
            f"{name} is no folder and not in the cache of models, and HF_HUB_OFFLINE is set: unset "
            "it, or copy the model here and name its folder"
        )
    with _explained(name):
        found = hub.HfApi().model_info(
            name.id, revision=name.revision, files_metadata=True, timeout=10
        )
    sizes = {file.rfilename: file.size or 0 for file in found.siblings or ()}
    wanted = wanted_files(list(sizes), str(name))
    amount = f"{len(wanted)} files, {_readable(sum(sizes[file] for file in wanted))}"
    what = f"{name} (commit {found.sha}; {amount})"
    if not download:
        raise CheckpointError(
            f"{what} is a model on the hub and not in the cache of models: {ASK.format(name=name)}"
        )
    say(f"downloading {what} from {constants.ENDPOINT} into {constants.HF_HUB_CACHE}")
    weights = [file for file in wanted if file.endswith(".safetensors")]
    others = [file for file in wanted if file not in weights and file != "config.json"]
    folder = Path()
    for files in (["config.json"], others, weights):
        with _explained(name):
            fetched = hub.snapshot_download(
                name.id, revision=name.revision, allow_patterns=list(map(escape, files))
            )
        folder = Path(fetched)
        load_facts(folder)  # a config.json of no use ends it before the weights are fetched
    return folder


def wanted_files(files: Sequence[str], name: str) -> list[str]:
    """Those files of a repository that belong into a model folder, sorted.

    CheckpointError where they make no model, or one in pickle format.
    """
    wanted = sorted(file for file in files if any(_fits(file, pattern) for pattern in FILES))
    wanted = [file for file in wanted if file != READ_OUTS]
    if not any(file.endswith(".safetensors") for file in wanted):
        pickled = [file for file in files if any(_fits(file, pattern) for pattern in PICKLED)]
        why = "has no safetensors"
        if pickled:
            why = (
                f"holds weights in pickle format only ({pickled[0]}), which can run code and are "
                "never loaded"
            )
        raise CheckpointError(f"{name} on the hub {why}: name a repository with {WEIGHTS}")
    if "config.json" not in wanted:
        raise CheckpointError(f"{name} on the hub has no config.json: name a repository of a model")
    return wanted


def _fits(file: str, pattern: str) -> bool:
    return file.count("/") == pattern.count("/") and fnmatchcase(file, pattern)


@contextmanager
def _explained(name: HubName) -> Iterator[None]:
    """Errors of the hub's client as CheckpointErrors that say what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(
            f"{name.id} on the hub has no revision {name.revision or 'main'}: name a branch, a tag "
            "or a whole commit after the @"
        ) from error
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{name} on the hub is given to those who asked for it: accept its terms on its page, "
            "then log in with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"there is no model folder {name}, and the hub has no model of that name that you may "
            "see: check the spelling; for a private one log in with `hf auth login`"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # of the HTTP library, which differs between versions
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{name} is no folder and not in the cache of models, and the hub cannot be reached "
            f"({reason}): check the name and the network"
        ) from error


def _readable(size: float) -> str:
    """Bytes in the unit that suits them: 45.3 MB."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.1f} GB"
