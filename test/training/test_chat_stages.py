# SPDX-License-Identifier: Apache-2.0
"""The stages for other families than CogVLM, on tiny models: batches, merge, the whole chain."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import auto_parser
from safetensors.torch import load_file, save_file
from tiny_families import CHAT_FAMILIES, write

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.families.loading import chat_family
from hpe_vlm_ros.vlm.model_folder import load_config_file
from training import stage2_finetune, stage3_merge
from training.data.chat_batches import ChatBatches
from training.data.labels import read_labels
from training.data.prompts import PackingOptions
from training.loop.chat_stage import ChatLearner
from training.model.chat import add_chat_lora, chat_model, save_chat_adapter
from training.model.lora import LoraOptions

ROOT = Path(__file__).parents[2]
QUICK = (
    "--schedule.workers=0 --schedule.save_every=2 --schedule.bf16=false --schedule.warmup=0 "
    "--data_options.batch_size=2 --data_options.validation_batches=1 --threads=1 "
    "--schedule.rate=0.01"
)
RECORDER = '#!/bin/sh\nprintf "%s\\037" "$@" >> "$RECORD"\necho >> "$RECORD"\n'
each = pytest.mark.parametrize("family", CHAT_FAMILIES)


def ready(folder: Path, family: str) -> tuple[Any, Any, Any]:
    """Model with adapters, processor and the family itself."""
    write(folder, family)
    kind = chat_family(folder)
    assert kind is not None
    model, processor = chat_model(folder, kind)
    torch.manual_seed(3)
    adapted = add_chat_lora(model, kind, LoraOptions(rank=2, alpha=2))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return adapted, processor, kind


@each
def test_a_packed_row_teaches_what_its_questions_teach_alone(
    family: str, scenes: Path, tmp_path: Path
) -> None:
    """Checked against transformers' own loss, with its own positions and mask."""
    adapted, processor, _ = ready(tmp_path / "m", family)
    options = PackingOptions(min_size=0, min_visible=0, max_poses=2)
    batches = ChatBatches(read_labels(scenes), processor, 3, 1, options, None)
    batch = batches.part(0)
    with torch.no_grad():
        (loss,) = ChatLearner(adapted)(batch).values()
    model, losses = adapted.get_base_model(), []
    for place, index in enumerate(batches.indices(0)):
        rng = np.random.default_rng((1, 0, place))
        (sample, _, what), view, heads = batches._readable(int(index), rng)
        for prompt in batches._prompts(heads, sample, what, options, rng):
            losses += alone(model, processor, view, prompt)
    assert float(loss) == pytest.approx(float(np.mean(losses)), rel=1e-4)


def alone(model: Any, processor: Any, view: np.ndarray, prompt: Any) -> list[float]:
    """The loss of each token of one answer."""
    picture = processor.pixels(view)
    text = processor.decode(prompt.answer)
    question = processor.decode(prompt.question)
    asked = [*processor.prefix(picture)[0], *processor.encode_prompt(question)]
    answer = [*processor.encode(processor.lead + text), processor.tokenizer.eos_token_id]
    ids = torch.tensor([asked + answer])
    given = {k: torch.from_numpy(v) for k, v in picture.items() if k not in ("rows", "cols")}
    if "image_grid_thw" in given:
        given["mm_token_type_ids"] = (ids == model.config.image_token_id).long()
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **given).logits[0]
    learnt = logits[len(asked) - 1 : -1].log_softmax(-1)
    return [-float(row[token]) for row, token in zip(learnt, answer, strict=True)]


@each
def test_a_merge_decides_about_each_projection_and_part(family: str, tmp_path: Path) -> None:
    """Against a merge computed here from whole models."""
    adapted, _, kind = ready(tmp_path / "m", family)
    save_chat_adapter(tmp_path / "adapter", adapted, tmp_path / "m")
    before = load_file(tmp_path / "m" / "model.safetensors")
    after = {k: v for k, v in adapted.merge_and_unload().state_dict().items() if k in before}
    options = {"keep": 0.5, "lowest": 0.0}
    stage3_merge.main(
        tmp_path / "m", tmp_path / "adapter", tmp_path / "out", "winner_takes_all", options
    )
    config, units = load_config_file(tmp_path / "m"), {}
    for name in before:
        layer = name.removesuffix(".weight")
        if not kind.is_adapted(layer):
            continue
        rows = kind.fused(layer, config) or {"": len(before[name])}
        pieces = zip(
            rows, before[name].split(list(rows.values())), after[name].split(list(rows.values())),
            strict=True,
        )  # fmt: skip
        for part, one, other in pieces:
            exact = one.double(), other.double()  # ties are near
            cosine = torch.nn.functional.cosine_similarity(*exact, dim=-1).mean()
            units[layer, part] = float(cosine), one, other
    limit = float(np.median([cosine for cosine, *_ in units.values()]))
    merged = load_file(tmp_path / "out" / "model.safetensors")
    expected = dict(before)
    for layer in {layer for layer, _ in units}:
        pieces = [v for (name, _), v in units.items() if name == layer]
        kept = [one if cosine < limit else other for cosine, one, other in pieces]
        expected[f"{layer}.weight"] = torch.cat(kept)
    assert merged.keys() == before.keys()
    for name, tensor in expected.items():
        assert torch.allclose(merged[name], tensor, atol=1e-6), name
    content = json.loads((tmp_path / "out" / "merge.json").read_text())["layers"]
    fused = [name for name in content if name.endswith("[q]")]
    assert bool(fused) == (family != "smolvlm2")
    assert {content[name]["side"] for name in content} >= {"original", "tuned"}
    assert HeadPerceiver.load(tmp_path / "out", "cpu").warning() == ""  # it knows the formats now


def recorded(script: str, places: list[Path], environment: dict[str, str], at: Path) -> list[Any]:
    """The commands that a script of training/ starts, as (module, options)."""
    (at / "bin").mkdir()
    (at / "bin" / "python").write_text(RECORDER)
    (at / "bin" / "python").chmod(0o755)
    path = {"PATH": f"{at / 'bin'}:{os.environ['PATH']}", "RECORD": str(at / "record")}
    command = ["sh", str(ROOT / "training" / script), *map(str, places)]
    subprocess.run(command, env=os.environ | environment | path, check=True)
    lines = (at / "record").read_text().splitlines()
    words = [line.split("\037")[:-1] for line in lines]
    return [(line[1], line[2:]) for line in words]


def run(module: str, options: list[str]) -> None:
    """A command of training in this process."""
    program = importlib.import_module(module)
    function = getattr(program, "train", None) or program.main
    given = [word.replace("config/training", str(ROOT / "config/training")) for word in options]
    parser = auto_parser(function, as_positional=False)
    values = parser.instantiate(parser.parse_args(given)).as_dict()
    function(**{name: value for name, value in values.items() if name != "config"})


@pytest.mark.parametrize(
    "family, recipe",
    [("qwen3_vl", "qwen3_vl_2b"), ("qwen3_5", "qwen3_vl_2b"), ("smolvlm2", "smolvlm2_500m")],
)
def test_all_stages_one_behind_the_other(
    family: str,
    recipe: str,
    scenes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As training/run_family.sh starts them: five stages on a tiny model."""
    model, runs = write(tmp_path / "model", family, taught=False), tmp_path / "runs"
    for role in ("weak", "task", "rehearsal", "validation", "test"):
        shutil.copytree(scenes, tmp_path / "data" / role)
    settings = {
        "RECIPE": recipe,
        "STEPS": "2 2 2",
        "STAGE_OPTIONS": QUICK,
        "MERGE_OPTIONS": "--options.keep 0.3",
        "SCORE_OPTIONS": "--limit=1 --variants=0 --device=cpu",
    }
    started = recorded("run_family.sh", [model, tmp_path / "data", runs], settings, tmp_path)
    assert [module for module, _ in started] == [
        "training.stage1_pretrain", "training.stage3_merge", "training.stage2_finetune",
        "training.stage3_merge", "training.stage3_merge", "training.stage4_rehearse",
        "training.stage3_merge", "training.stage5_evaluate",
    ]  # fmt: skip
    for module, options in started:
        run(module, options)
    output = capsys.readouterr().out
    assert output.count("GB of memory") == 3 and output.count("s a step") == 3
    moved = load_file(runs / "stage1" / "model" / "adapter_model.safetensors")
    assert any(tensor.any() for name, tensor in moved.items() if "lora_B" in name)
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    box = (100, 100, 500, 600)
    adapted = HeadPerceiver.load(model, "cpu", adapter=runs / "stage1" / "model")
    folded = HeadPerceiver.load(runs / "weak", "cpu")
    (one,), (other,) = (p.look(image).estimates([box]) for p in (adapted, folded))
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    shipped = HeadPerceiver.load(runs / "shipped", "cpu")
    assert shipped.warning() == "" and len(shipped.poses(image, [(10, 10, 50, 50)])) == 1
    assert json.loads((runs / "scored" / "result.json").read_text())["pictures"] == 1


def test_a_family_is_trained_by_adapters_alone(scenes: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", "qwen3_vl")
    with pytest.raises(ValueError, match="Qwen3-VL is trained by adapters: give --lora.rank"):
        stage2_finetune.train([scenes], scenes, tmp_path / "out", folder)


def test_adapters_learn_on_a_base_of_four_bits(scenes: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", "qwen3_vl")
    options = ["--data", f"[{scenes}]", "--validation", str(scenes), "--base", str(folder)]
    options += [
        "--config",
        "config/training/qwen3_vl_2b.yaml",
        "--schedule.steps=2",
        *QUICK.split(),
    ]
    options += ["--out", str(tmp_path / "out"), "--quantization=int4"]
    run("training.stage2_finetune", options)
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert any("loss" in line or "train_loss" in line for line in log)
    moved = load_file(tmp_path / "out" / "model" / "adapter_model.safetensors")
    assert any(tensor.any() for name, tensor in moved.items() if "lora_B" in name)
    HeadPerceiver.load(folder, "cpu", adapter=tmp_path / "out" / "model")


def test_an_adapter_is_not_merged_into_another_model(tmp_path: Path) -> None:
    adapted, _, _ = ready(tmp_path / "m", "qwen3_vl")
    save_chat_adapter(tmp_path / "adapter", adapted, tmp_path / "m")
    other = write(tmp_path / "other", "smolvlm2")
    with pytest.raises(ValueError, match="which .*other lacks: give the model it was trained on"):
        stage3_merge.main(other, tmp_path / "adapter", tmp_path / "out", "lora_folding")
    options = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    (tmp_path / "adapter" / "adapter_config.json").write_text(
        json.dumps(options | {"use_dora": True})
    )
    with pytest.raises(ValueError, match="no plain LoRA adapter"):
        stage3_merge.main(tmp_path / "m", tmp_path / "adapter", tmp_path / "out", "lora_folding")
    state = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    save_file(state, tmp_path / "adapter" / "adapter_model.safetensors")
