# SPDX-License-Identifier: Apache-2.0
"""Model folders: what loads, and what each kind of damage says."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hpe_vlm_ros.vlm import CheckpointError, model_folder
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.pytorch import checkpoint


@pytest.fixture
def engine(tiny_engine: Callable[..., Engine]) -> Engine:
    return tiny_engine(0, head_shape={"diameter": 0.25, "offset": [0.0, 0.0, -0.1]})


@pytest.fixture
def folder(engine: Engine, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model", engine.backend.model, engine.processor)
    return tmp_path / "model"


def test_half_precision_on_disk_single_precision_in_memory(engine: Engine, folder: Path) -> None:
    loaded = checkpoint.load_model(folder)
    assert not loaded.training and loaded.dtype == torch.float32
    for name, tensor in engine.backend.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert loaded.config.head_shape == {"diameter": 0.25, "offset": [0.0, 0.0, -0.1]}
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_shards_and_stored_constants_load(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    parts["a.safetensors"].append("model.layers.0.self_attn.rotary_emb.inv_freq")
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    whole = checkpoint.load_model(folder).state_dict()
    (folder / "model.safetensors").unlink()
    sharded = checkpoint.load_model(folder).state_dict()
    assert all(torch.equal(whole[name], sharded[name]) for name in whole)
    (folder / "b.safetensors").unlink()
    with pytest.raises(CheckpointError, match="lacks b.safetensors: download"):
        checkpoint.load_model(folder)


def rewrite(folder: Path, change: Callable[[dict], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def transpose(tensors: dict) -> None:
    name = "model.embed_tokens.weight"
    tensors[name] = tensors[name].T.contiguous()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.norm.weight"), "lacks 1 tensors.*model.norm.weight.*copy"),
        (lambda t: t.update(extra=torch.ones(1)), "model.safetensors: unexpected tensor extra"),
        (transpose, r"embed_tokens.weight has shape \(32, 1280\).*calls for \(1280, 32\)"),
    ],
)
def test_wrong_tensors_are_named(folder: Path, change: Callable, message: str) -> None:
    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_model(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors: copy"),
        (lambda f: (f / "model.safetensors").write_bytes(b"xx"), "tensors cannot be read"),
        (lambda f: (f / "config.json").unlink(), "config.json is missing: copy"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is not readable JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json holds no JSON object"),
        (
            lambda f: (f / "config.json").write_text('{"num_attention_heads": 3}'),
            "config.json: hidden_size 4096 over 3 heads",
        ),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer in .* cannot be read"),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"image_size": 64}'),
            "image_size 64, but config.json says 32",
        ),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"resample": "sharp"}'),
            "resample is 'sharp'",
        ),
    ],
)
def test_damage_is_told_with_a_remedy(folder: Path, damage: Callable, message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        config = checkpoint.load_config(folder)
        checkpoint.load_processor(folder, config)
        checkpoint.load_model(folder)


class Trap:
    """Leaves a trace if it is ever unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple:
        return (self.trace.touch, ())


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt", "model.pth"])
def test_pickles_are_refused_and_never_opened(folder: Path, name: str) -> None:
    trace = folder.parent / "opened"
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Trap(trace)))
    with pytest.raises(CheckpointError, match=f"pickle format only .{name}.*safetensors"):
        checkpoint.load_model(folder)
    # nor under the name of the safe format
    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap(trace)))
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load_model(folder)
    assert not trace.exists()


def test_missing_folder_and_impossible_device(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no model folder .*nowhere"):
        checkpoint.load_model(folder / "nowhere")
    with pytest.raises(CheckpointError, match='device "warp" cannot be used'):
        checkpoint.load_model(folder, "warp")


def test_a_tokenizer_too_large_is_refused(
    folder: Path, tiny_config: Callable, engine: Engine
) -> None:
    with pytest.raises(CheckpointError, match="1280 tokens, the model 1000"):
        checkpoint.load_processor(folder, tiny_config(vocab_size=1000))


def test_values_beyond_the_file_format_are_refused(engine: Engine, tmp_path: Path) -> None:
    with torch.no_grad():
        engine.backend.model.lm_head.weight[0, 0] = 1e6
    with pytest.raises(CheckpointError, match="lm_head.weight has values beyond torch.float16"):
        checkpoint.save(tmp_path, engine.backend.model, engine.processor)
    checkpoint.save(tmp_path, engine.backend.model, engine.processor, torch.float32)
    assert checkpoint.load_model(tmp_path).lm_head.weight[0, 0] == 1e6


def test_fingerprint_follows_the_weights(folder: Path) -> None:
    before = checkpoint.fingerprint(folder)
    assert before == checkpoint.fingerprint(folder) and len(before) == 8
    rewrite(folder, lambda t: t["lm_head.weight"].mul_(2))
    assert checkpoint.fingerprint(folder) != before


def test_default_folder_is_found_in_a_checkout_and_in_an_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "lib/python3/site-packages/hpe_vlm_ros/vlm/model_folder.py"
    monkeypatch.setattr(model_folder, "__file__", str(module))
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    with pytest.raises(CheckpointError, match="build the package again, or name a model folder"):
        checkpoint.default_folder()
    other = tmp_path / "overlay"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{other}")
    for prefix in (
        other / "share" / "hpe_vlm_ros",
        tmp_path / "share" / "hpe_vlm_ros",
        module.parents[2],
    ):
        place = prefix / "models" / "embedded"
        place.mkdir(parents=True)
        (place / "config.json").touch()
        assert checkpoint.default_folder() == place
