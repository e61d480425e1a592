# SPDX-License-Identifier: Apache-2.0
"""Exports against PyTorch, with tiny random weights; and what is wrong with bad ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm import CheckpointError, loading
from hpe_vlm_ros.vlm.decoding.sequences import Sequences
from hpe_vlm_ros.vlm.export import export, largest_difference
from hpe_vlm_ros.vlm.loading import load_engine
from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.onnxruntime.backend import check_export, find_export
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

ROOT = Path(__file__).parents[3]
BOXES = [(10, 20, 300, 400), (500, 100, 700, 900), (0, 0, 999, 999)]
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model folder of the shipped kind (stem, merging, positions) with both exports."""
    torch.manual_seed(3)
    tower = {"image_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64}
    config = embedded(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.2,
        vision_config={**tower, "num_heads": 2},
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = CogVLMForCausalLM(config)
    torch.nn.init.normal_(model.model.vision.decoder_positions)
    checkpoint.save(folder, model, CogVLMProcessor.embedded(config), torch.float16)
    export(folder, ("fp32", "int8"))
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "tiny"))


def only(folder: Path, precision: str) -> Path:
    for other in {"fp32", "int8"} - {precision}:
        shutil.rmtree(folder / "onnx" / other, ignore_errors=True)
    return folder


def test_fp32_is_torchs_to_rounding(folder: Path) -> None:
    torch_backend = load_engine(folder, "cpu", "torch").backend
    onnx_backend = load_engine(only(folder, "fp32"), "cpu", "onnx", threads=1).backend
    assert (torch_backend.name, onnx_backend.name) == ("torch", "onnx")
    assert largest_difference(torch_backend, onnx_backend, 64) < 1e-4


def test_fp32_answers_are_torchs(folder: Path) -> None:
    engines = [load_engine(only(folder, "fp32"), "cpu", name, 1) for name in ("onnx", "torch")]
    found = set()
    for seed in range(8):
        picture = np.random.default_rng(seed).integers(0, 256, (80, 90, 3), dtype=np.uint8)
        looks = [e.look(e.processor.pixels(picture)) for e in engines]
        ours, theirs = (look.detect(3) for look in looks)
        assert [d.box for d in ours] == [d.box for d in theirs]
        assert looks[0].poses(BOXES) == looks[1].poses(BOXES)
        assert looks[0].poses([]) == []
        found.add(len(ours))
    assert found


@pytest.mark.parametrize(("threads", "at_once"), [(1, 1), (2, 2)])
def test_two_looks_at_once_answer_as_one_after_the_other(
    folder: Path, picture: Picture, threads: int, at_once: int
) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu", 5, backend="onnx", threads=threads, mirror=True)
    assert perceiver._engine.backend.at_once == at_once
    assert (perceiver._beside is None) == (at_once == 1)
    boxes = [(30.0, 5.0, 50.0, 30.0), (0.0, 0.0, 20.0, 20.0)]
    beside = perceiver(picture), perceiver.poses(picture, boxes)
    perceiver._beside = None
    again = perceiver(picture), perceiver.poses(picture, boxes)
    for heads, others in zip(beside, again, strict=True):
        assert [(h.box, h.score, h.yaw) for h in heads] == [(h.box, h.score, h.yaw) for h in others]
    assert HeadPerceiver.load(folder, "cpu", threads=2, mirror=False)._beside is None


def test_int8_is_near_and_smaller(folder: Path, exported: Path) -> None:
    torch_backend = load_engine(folder, "cpu", "torch").backend
    onnx_backend = load_engine(only(folder, "int8"), "cpu", "onnx", threads=1).backend
    pixels = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    logits = [
        sequences.feed(sequences.open(1), [[5, 17, 42, 256]], [4])[0].ravel()
        for sequences in (
            Sequences(backend.encode(pixels)) for backend in (torch_backend, onnx_backend)
        )
    ]
    assert 0.99 < np.corrcoef(logits)[0, 1] < 1 - 1e-6
    sizes = [(exported / f"onnx/{name}/step.onnx").stat().st_size for name in ("int8", "fp32")]
    assert sizes[0] < 0.9 * sizes[1]


def test_both_runtimes_read_presence_out_alike(folder: Path, picture: Picture) -> None:
    engines = [load_engine(only(folder, "fp32"), "cpu", name, 1) for name in ("onnx", "torch")]
    maps = [e.look(e.processor.pixels(picture)).presence for e in engines]
    assert maps[0] is not None and maps[1] is not None and maps[0].logits.shape == (4, 4)
    np.testing.assert_allclose(maps[0].logits, maps[1].logits, atol=1e-4)
    np.testing.assert_allclose(maps[0].edges, maps[1].edges, atol=1e-4)


def test_scores_hear_presence_and_boxes_do_not(folder: Path, picture: Picture) -> None:
    only(folder, "fp32")
    plain = load_engine(folder, "cpu", "onnx", 1)
    file = folder / "config.json"
    weights = {"text": 0.5, "presence": 2.0, "offset": -1.0}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"score_weights": weights}))
    hearing = load_engine(folder, "cpu", "onnx", 1)
    before, after = (e.look(e.processor.pixels(picture)).detect(5) for e in (plain, hearing))
    assert before and [d.box for d in before] == [d.box for d in after]
    assert [d.score for d in before] != [d.score for d in after]


def test_many_lanes_outgrow_the_first_buffers(folder: Path, picture: Picture) -> None:
    engines = [load_engine(only(folder, "fp32"), "cpu", name, 1) for name in ("onnx", "torch")]
    answers = [e.look(e.processor.pixels(picture)).poses(BOXES * 8) for e in engines]
    assert answers[0] == answers[1] == answers[1][:3] * 8


def test_only_pictures_have_a_plan_of_memory_kept(folder: Path) -> None:
    """Steps are of ever new shapes, and each would be kept for good."""
    backend = load_engine(folder, backend="onnx", threads=1).backend
    kept = {
        name: getattr(backend, name).get_session_options().enable_mem_pattern
        for name in ("_image", "_step")
    }
    assert kept == {"_image": True, "_step": False}


def test_an_export_is_taken_where_it_serves(
    folder: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_engine(folder).backend.precision == "int8"
    assert load_engine(folder, "cpu").backend.name == "onnx"
    assert load_engine(folder, "cpu", "torch").backend.name == "torch"
    assert HeadPerceiver.load(folder, threads=1, max_heads=2)(picture) is not None
    monkeypatch.setattr(loading, "find_spec", lambda name: None if name == "onnxruntime" else name)
    assert load_engine(folder).backend.name == "torch"
    with pytest.raises(CheckpointError, match="needs ONNX Runtime: pip install"):
        load_engine(folder, backend="onnx")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"install PyTorch \(pip .*ONNX Runtime \(pip"):
        load_engine(folder)


def test_wrong_choices_are_told(folder: Path) -> None:
    with pytest.raises(CheckpointError, match='"tvm"; it must be one of auto, torch, onnx'):
        load_engine(folder, backend="tvm")
    with pytest.raises(CheckpointError, match='cannot run on "cuda" here: install onnxruntime-gpu'):
        load_engine(folder, "cuda", "onnx")
    shutil.rmtree(folder / "onnx")
    assert find_export(folder) is None
    with pytest.raises(CheckpointError, match=r"holds no export: make it \(python -m"):
        load_engine(folder, backend="onnx")


def test_a_gpu_that_does_not_start_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """ONNX Runtime itself only prints a warning and runs on the CPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(CheckpointError, match='could not use "cuda:1" and would run on the CPU'):
        load_engine(folder, "cuda:1", "onnx")
    shutil.rmtree(folder / "onnx" / "fp32")
    with pytest.raises(CheckpointError, match=r"no fp32 export: make it .*tiny --precision fp32"):
        load_engine(folder, "cuda", "onnx")


def test_the_shipped_export_is_of_the_shipped_weights() -> None:
    """After training anew: python -m hpe_vlm_ros.vlm.export."""
    shipped = default_folder()
    place = find_export(shipped, "int8")
    assert place is not None
    check_export(shipped, place)


def test_exports_do_not_tell_where_they_were_made(folder: Path) -> None:
    for place in (folder, default_folder()):
        for graph in (place / "onnx" / "int8").glob("*.onnx"):
            content = graph.read_bytes()
            assert b"site-packages" not in content and b"graphs.py" not in content


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def other_weights(folder: Path) -> None:
    model = checkpoint.load_model(folder)
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    checkpoint.save(folder, model, checkpoint.load_processor(folder, model.config))


def other_format(folder: Path) -> None:
    (folder / "onnx/int8/export.json").write_text(json.dumps({"format": 99}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: cut(f / "onnx/int8/image.onnx"), "image.onnx is cut short.*copy.*export it"),
        (lambda f: cut(f / "onnx/int8/step.onnx"), "step.onnx is cut short"),
        (lambda f: (f / "onnx/int8/step.onnx").unlink(), "step.onnx is missing"),
        (lambda f: cut(f / "onnx/int8/export.json"), "export.json is not readable JSON"),
        (other_format, "has format 99, this version reads 2: export it again"),
        (other_weights, r"made from other weights than lie in .*: export it again \(python"),
    ],
)
def test_bad_exports_are_refused(folder: Path, damage: Callable, message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load_engine(folder)


def test_an_export_needs_neither_weights_nor_torch(folder: Path) -> None:
    name = HeadPerceiver.load(folder, threads=1).model_id
    (folder / "model.safetensors").unlink()
    code = (
        "import sys, numpy as np\n"
        "from hpe_vlm_ros.perceiver import HeadPerceiver\n"
        f"perceiver = HeadPerceiver.load({str(folder)!r}, threads=1)\n"
        "perceiver(np.zeros((40, 40, 3), np.uint8))\n"
        "perceiver.poses(np.zeros((40, 40, 3), np.uint8), [(1, 1, 20, 20)])\n"
        "print(perceiver.model_id, [m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == f"{name} []"
