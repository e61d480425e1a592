# SPDX-License-Identifier: Apache-2.0
"""Code that lies beside weights is never run, and folders that we write name none."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from public_folder import make_public_folder
from transformers import AutoConfig, AutoModelForCausalLM
from vicuna import sentencepiece_file

from hpe_vlm_ros.vlm.pytorch import checkpoint
from training import stage3_merge

ROOT = Path(__file__).parents[2]
SENTINEL = "from pathlib import Path\nPath({trace!r}).touch()\nclass CogVLM{kind}: ...\n"


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the public folder lies on disk: auto_map, no model_type, code, slow tokenizer files."""
    torch.manual_seed(0)
    folder = make_public_folder(
        tmp_path_factory.mktemp("public") / "cogvlm", layers=1, shards=2, sizes=SIZES,
        image_size=28,
    )  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert "auto_map" in config and "model_type" not in config
    for name, kind in (("configuration", "Config"), ("modeling", "ForCausalLM")):
        code = SENTINEL.format(trace=str(folder.parent / "ran"), kind=kind)
        (folder / f"{name}_cogvlm.py").write_text(code)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    (folder / "tokenizer.model").write_bytes(sentencepiece_file())
    return folder


SIZES = {4096: 64, 12288: 192, 11008: 96, 1792: 48, 5376: 144, 15360: 80}


def test_the_public_folder_runs_no_code_and_asks_nothing(public: Path, tmp_path: Path) -> None:
    """Even if somebody answers yes to whatever is asked, and all that is printed is JSON."""
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 60, 3), 90, np.uint8))
    command = [sys.executable, "-m", "hpe_vlm_ros", "predict", str(tmp_path / "a.png")]
    command += ["--model", str(public), "--device", "cpu", "--max-heads", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, input="y\n" * 9, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["image"].endswith("a.png")
    assert not (public.parent / "ran").exists()


@pytest.fixture(scope="module")
def merged(public: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "cogvlm-merged"
    stage3_merge.main(public, public, out, "lora_folding")
    return out


def test_a_merged_folder_names_no_code_and_loads_by_transformers_own_way(
    public: Path, merged: Path
) -> None:
    config = json.loads((merged / "config.json").read_text())
    assert "auto_map" not in config and config["model_type"] == "cogvlm"
    assert config["architectures"] == ["CogVLMForCausalLM"]
    assert AutoConfig.from_pretrained(merged, trust_remote_code=False).template_version == "base"
    model = AutoModelForCausalLM.from_pretrained(merged, trust_remote_code=False)
    ours = checkpoint.load_model(public).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in model.state_dict().items())
    assert not (public.parent / "ran").exists()


def test_a_saved_folder_names_no_code(public: Path, tmp_path: Path) -> None:
    model = checkpoint.load_model(public)
    model.config.auto_map = {"AutoConfig": "configuration_cogvlm.CogVLMConfig"}
    checkpoint.save(tmp_path, model, checkpoint.load_processor(public, model.config), model.dtype)
    for file in tmp_path.glob("*.json"):
        assert "auto_map" not in file.read_text()


def sources() -> list[Path]:
    rooms = ("hpe_vlm_ros", "training", "benchmarks", "demo", "examples", "launch")
    return [file for room in rooms for file in (ROOT / room).rglob("*.py")]


def auto_calls(tree: ast.AST) -> list[ast.Call]:
    """Calls of from_pretrained and from_config of transformers' Auto classes, and of tokenizers."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).split(".")[-1]
            loads = node.func.attr in ("from_pretrained", "from_config")
            if loads and (owner.startswith("Auto") or owner.endswith("Tokenizer")):
                found.append(node)
    return found


def test_every_loader_that_could_run_code_is_told_not_to() -> None:
    calls = [
        (file.relative_to(ROOT), call.lineno, {k.arg: ast.unparse(k.value) for k in call.keywords})
        for file in sources()
        for call in auto_calls(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert calls, "the test looks for what is there no longer"
    trusting = [call for call in calls if call[2].get("trust_remote_code") != "False"]
    assert not trusting
