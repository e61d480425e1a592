# SPDX-License-Identifier: Apache-2.0
"""The public 17B checkpoint's folder through the same door as the embedded model's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from public_folder import SMALL, make_public_folder, public_config, public_shapes

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.pytorch import checkpoint, memory
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig, grounding_generalist_17b
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

ROOT = Path(__file__).parents[3]
VISION_SIZES = {1792: 48, 5376: 144, 15360: 80}


def on_meta(config: CogVLMConfig) -> CogVLMForCausalLM:
    with torch.device("meta"):
        return CogVLMForCausalLM(config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return make_public_folder(tmp_path_factory.mktemp("public") / "cogvlm")


def test_the_public_folder_answers_through_the_same_door(
    folder: Path, picture: NDArray[np.uint8]
) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu", max_heads=1)
    assert perceiver.input_size == 490 and perceiver.free_text
    assert len(perceiver(picture)) <= 1
    (head,) = perceiver.poses(picture, [(5, 5, 30, 30)])
    assert -180 < head.yaw <= 180 and np.isfinite(head.rotation).all()


def test_it_is_computed_in_the_precision_of_its_config(folder: Path) -> None:
    model = checkpoint.load_model(folder)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert found == public_shapes(SMALL, 2)
    assert checkpoint.load_model(folder, dtype=torch.float32).dtype == torch.float32


def test_public_widths_at_reduced_depth_fit_our_model() -> None:
    config = CogVLMConfig.from_dict(public_config({}, layers=2))
    found = {name: tuple(t.shape) for name, t in on_meta(config).state_dict().items()}
    assert found == public_shapes({}, layers=2)


MEASURE = """
import re, sys, torch
from pathlib import Path
from hpe_vlm_ros.vlm.pytorch import checkpoint

def kilobytes(field):
    return int(re.search(rf"{field}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

before = kilobytes("VmRSS")
model = checkpoint.load_model(sys.argv[1], dtype=torch.float32)
print(1024 * before, 1024 * kilobytes("VmHWM"))
"""


def peak_of_loading(folder: Path) -> tuple[int, int]:
    """Bytes of resident memory before, and the most while a model loads: in a process of its own,
    since in this one memory that other tests have given back would be used again."""
    command = [sys.executable, "-c", MEASURE, str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    before, peak = map(int, out.split())
    return before, peak


def test_weights_are_never_in_memory_twice(tmp_path: Path) -> None:
    wide = {4096: 768, 12288: 2304, 11008: 2048, **VISION_SIZES}
    folder = make_public_folder(tmp_path / "wide", wide, layers=4, shards=6, vocabulary=512)
    files = [file.stat().st_size for file in folder.glob("*.safetensors")]
    before, peak = peak_of_loading(folder)
    model = 2 * sum(files)  # float32 in memory, bfloat16 on disk
    # A second copy would be half a model more: 115 MB. One shard's pages may be mapped: 20 MB.
    assert peak - before < model + max(files) + 40e6
    assert peak - before > 0.9 * model


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 5_000_000)
    monkeypatch.setattr(checkpoint, "fill", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(CheckpointError, match=r"needs 0\.\d GB on cpu .*but 0\.0 GB are free: try"):
        checkpoint.load_model(folder)


@pytest.mark.parametrize(
    ("free", "remedies"),
    [
        (30e9, r'try quantization "int8" \(\d\d\.\d GB\), quantization "int4" \(\d\d\.\d GB\), '),
        (15e9, r'free: try quantization "int4" \(\d\d\.\d GB\), another device or'),
        (8e9, r"free: try another device or stopping"),
    ],
)
def test_remedies_are_those_that_help(
    free: float, remedies: str, monkeypatch: pytest.MonkeyPatch, full: CogVLMForCausalLM
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free), 80_000_000_000))
    with pytest.raises(CheckpointError, match=remedies):
        memory.check(full, full.config, "cuda:0", torch.bfloat16)


def test_what_is_known_to_fit_is_let_through(
    monkeypatch: pytest.MonkeyPatch, full: CogVLMForCausalLM
) -> None:
    for free, quantization in ((80e9, "none"), (24e9, "int8"), (16e9, "int4")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, f=free: (int(f), 0))
        memory.check(full, full.config, "cuda", torch.bfloat16, quantization)
    monkeypatch.setattr(memory, "available", lambda device: None)  # nobody can tell
    memory.check(full, full.config, "mps", torch.float32)


@pytest.fixture(scope="module")
def full() -> CogVLMForCausalLM:
    return on_meta(grounding_generalist_17b())


def test_the_documented_memory_is_the_computed_one(full: CogVLMForCausalLM) -> None:
    text = (ROOT / "docs" / "full_size.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert [row[0] for row in rows] == ["none", "int8", "int4"]
    for quantization, weights, rest, total in rows:
        needs = memory.needs(full, full.config, torch.bfloat16, quantization)
        found = [needs.weights, needs.cache + needs.work, needs.total]
        assert [f"{value / 1e9:.1f}" for value in found] == [weights, rest, total]


def test_host_memory_is_what_linux_says() -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    (told,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    found = memory.available("cpu")
    assert found is not None and abs(found - told) < 0.5 * told
