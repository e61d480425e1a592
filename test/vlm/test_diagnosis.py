# SPDX-License-Identifier: Apache-2.0
"""Folders that are no model folder: each is called what it is, with the one command that helps."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from hpe_vlm_ros.vlm import CheckpointError, model_folder
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.hub import find_model
from hpe_vlm_ros.vlm.model_folder import fingerprint, load_facts, load_processor
from hpe_vlm_ros.vlm.pytorch import checkpoint


@pytest.fixture
def folder(tiny_engine: Callable[..., Engine], tmp_path: Path) -> Path:
    engine = tiny_engine(0)
    checkpoint.save(tmp_path / "model", engine.backend.model, engine.processor)
    return tmp_path / "model"


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


SNAPSHOT = "models--THUDM--cogvlm/snapshots/0123abc"


@pytest.mark.parametrize(
    ("names", "path", "what", "command"),
    [
        (
            ["latest", "model_config.json", "1/mp_rank_00_model_states.pt"],
            ".",
            "is a checkpoint of SwissArmyTransformer, whose weights are pickles",
            "hf download THUDM/cogvlm-grounding-generalist-hf --local-dir {}-hf",
        ),
        (
            [f"{SNAPSHOT}/config.json"],
            ".",
            "is the hub's cache of models, not a model",
            f"give {{}}/{SNAPSHOT}",
        ),
        (
            [f"{SNAPSHOT}/config.json"],
            "models--THUDM--cogvlm",
            "is the hub's cache of a model, not the model",
            "give {}/snapshots/0123abc",
        ),
        (
            ["adapter_config.json", "adapter_model.safetensors"],
            ".",
            "holds a peft adapter, not a model: fold it first",
            "python -m training.model.fold_adapter --original ORIGINAL --adapter {} "
            "--out {}-folded",
        ),
        (
            ["adapter.json", "adapter.safetensors"],
            ".",
            "holds an adapter of a training stage, not a model: fold it first",
            "python -m training.stage3_merge --method lora_folding --original ORIGINAL --tuned {} "
            "--out {}-folded",
        ),
        (
            [*(f"model-0000{n}-of-00002.safetensors" for n in (1, 2)), "config.json"],
            ".",
            "holds 2 parts of weights (model-00001-of-00002.safetensors) and no model.safetensors",
            "hf download THUDM/cogvlm-grounding-generalist-hf model.safetensors.index.json "
            "--local-dir {}",
        ),
    ],
)
def test_what_it_is_and_what_helps(
    names: list[str], path: str, what: str, command: str, tmp_path: Path
) -> None:
    found = files(tmp_path, *names) / path
    for load in (load_facts, checkpoint.load_config, checkpoint.load_model):
        with pytest.raises(CheckpointError) as error:
            load(found)
        assert str(error.value).startswith(f"{found} {what}")
        assert command.replace("{}", str(found)) in str(error.value)


def test_a_name_of_the_hub_where_a_folder_is_wanted() -> None:
    with pytest.raises(CheckpointError, match="hpe_vlm_ros download THUDM/no-such-model, which"):
        checkpoint.load_config(Path("THUDM/no-such-model"))
    with pytest.raises(CheckpointError, match="no model folder /no/such/folder: check the path"):
        checkpoint.load_config(Path("/no/such/folder"))
    assert find_model(None).name == "embedded"


def test_a_template_that_is_none(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"template_version": "chat_old"}))
    with pytest.raises(CheckpointError, match="'chat_old'; it must be one of base, vqa, chat"):
        load_facts(folder)
    with pytest.raises(CheckpointError, match=r"template_version is 'chat_old'.*is base"):
        load_processor(folder, checkpoint.load_config(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_byte_order_mark(folder: Path, name: str) -> None:
    file = folder / name
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    with pytest.raises(CheckpointError, match="byte order mark") as error:
        load_processor(folder, load_facts(folder))
    assert str(error.value).endswith(rf"sed -i '1s/^\xEF\xBB\xBF//' {file}")


def test_special_tokens_that_nobody_names(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="which tokens are its eos_token: fetch .*: hf down"):
        load_processor(folder, load_facts(folder))


def test_a_library_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    there = importlib.util.find_spec
    monkeypatch.setattr(
        model_folder, "find_spec", lambda name: None if name == "sentencepiece" else there(name)
    )
    with pytest.raises(CheckpointError, match="takes sentencepiece: pip install sentencepiece pro"):
        load_processor(folder, load_facts(folder))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_hidden_layers", 9, r"lacks \d+ tensors of the model in config.json"),
        ("num_hidden_layers", 1, "unexpected tensor model.layers.1.* describes another model"),
        ("intermediate_size", 96, r"has shape \(.*\), but config.json calls for \(.*96"),
    ],
)
def test_weights_of_another_size_than_the_config(
    folder: Path, field: str, value: int, message: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_model(folder)


def test_the_fingerprint_of_parts_follows_the_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}

    def write() -> str:
        for file, part in parts.items():
            save_file({name: tensors[name] for name in part}, folder / file)
        return fingerprint(folder)

    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    before = write()
    assert len(before) == 8 and before == fingerprint(folder)
    tensors["lm_head.weight"] *= 2
    assert write() != before
