# SPDX-License-Identifier: Apache-2.0
"""Every stage runs from its shipped recipe, alone and after the stage before it."""

import json
import os
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from jsonargparse import ArgumentParser, auto_cli
from safetensors.torch import load_file
from torch.distributed.elastic.utils.distributed import get_free_port
from torch.multiprocessing import start_processes

from hpe_vlm_ros.vlm.pytorch import checkpoint
from training import stage0_ground, stage1_pretrain, stage2_finetune, stage3_merge, stage4_rehearse
from training.data.prompts import PackingOptions
from training.loop.learner import LossOptions
from training.loop.stage import DataOptions, random_share
from training.loop.trainer import Schedule
from training.model.lora import LoraOptions
from training.supervision.read_outs import READ_OUTS

pytestmark = pytest.mark.usefixtures("briefly_recounted")
ROOT = Path(__file__).parents[2]
STAGES = {
    "embedded_base.yaml": stage0_ground,
    "embedded_stage1.yaml": stage1_pretrain,
    "embedded_decoder.yaml": stage1_pretrain,
    "embedded_further.yaml": stage1_pretrain,
    "embedded_photos.yaml": stage1_pretrain,
    "embedded_points.yaml": stage1_pretrain,
    "embedded_stage2.yaml": stage2_finetune,
    "embedded_stage4.yaml": stage4_rehearse,
}
QUICK = ["--schedule.steps=2", "--schedule.workers=0", "--schedule.save_every=2", "--threads=1"]


def test_every_training_recipe_has_its_stage():
    recipes = {path.name for path in (ROOT / "config" / "training").glob("embedded*.yaml")}
    assert recipes - {"embedded_stage3_merge.yaml"} == set(STAGES)


@pytest.mark.parametrize("recipe", STAGES)
def test_recipe_parses_and_runs_two_steps(recipe, scenes, with_bodies, small, tmp_path):
    stage, out = STAGES[recipe], tmp_path / "run"
    about_bodies = recipe == "embedded_points.yaml"
    scenes = with_bodies if about_bodies else scenes
    parser = ArgumentParser()
    parser.add_function_arguments(stage.train, as_positional=False)
    parser.add_argument("--config", action="config")
    place = ["--data", f"[{scenes}]", "--validation", str(scenes), "--out", str(out)]
    place += ["--base", str(small), "--data_options.batch_size=2"]
    place += ["--rehearsal", f"[{scenes}]"] if stage is stage4_rehearse else []
    config = ROOT / "config" / "training" / recipe
    parsed = parser.parse_args(["--config", str(config), *place, *QUICK])
    settings = parser.instantiate(parsed).as_dict()
    settings.pop("config")
    stage.train(**settings)
    config = checkpoint.load_model(out / "model", "cpu").config
    assert config.vision_config.image_size == 64
    assert ("keypoints" in config.tasks) == about_bodies


def test_decoder_alone_leaves_the_tower_as_it_is_and_takes_over_read_outs(scenes, small, tmp_path):
    quick = Schedule(steps=2, workers=0, warmup=0, rate=0.01)
    data_options = DataOptions(batch_size=2, validation_batches=1)
    watch, first, second = scenes, tmp_path / "first", tmp_path / "second"
    stage1_pretrain.train(
        [scenes], watch, first, small, threads=1, schedule=quick, data_options=data_options
    )  # fmt: skip
    stage1_pretrain.train(
        [scenes], watch, second, first / "model", threads=1, schedule=quick,
        data_options=data_options,
        loss_options=LossOptions(tower=False),
    )  # fmt: skip
    before, after = (
        checkpoint.load_model(run / "model", "cpu").state_dict() for run in (first, second)
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "model.layers.0.self_attn.language_expert_dense.weight" in changed
    assert not [n for n in changed if "patch_embedding" in n or "vision.transformer" in n]
    slots = "dense_answers.0.slots.weight"
    kept, learnt = (load_file(run / READ_OUTS) for run in (first, second))
    assert torch.equal(kept["dense.project.weight"], learnt["dense.project.weight"])
    assert not torch.equal(kept[slots], learnt[slots])


def test_without_questions_the_decoder_learns_what_its_image_tokens_say(scenes, small, tmp_path):
    out = tmp_path / "run"
    stage1_pretrain.train(
        [scenes], scenes, out, small, threads=1, loss_options=LossOptions(tower=False),
        schedule=Schedule(steps=1, workers=0, warmup=0, rate=0.01),
        data_options=DataOptions(batch_size=2, packing=PackingOptions(ask_every=0)),
    )  # fmt: skip
    before, after = (checkpoint.load_model(m, "cpu").state_dict() for m in (small, out / "model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"lm_head.weight", "model.vision.linear_proj.linear_proj.weight"} <= changed
    assert any(name.startswith("model.layers.0.") for name in changed)
    last = len(checkpoint.load_model(small, "cpu").model.layers) - 1
    # Nobody reads what the last layer makes of the image.
    assert not [n for n in changed if "transformer" in n or n.startswith(f"model.layers.{last}.")]


def test_answers_alone_neither_build_nor_take_over_read_outs(scenes, small, tmp_path):
    """At 17B those of image tokens would be a gigabyte that nothing teaches."""
    quick, first, second = Schedule(steps=1, workers=0), tmp_path / "first", tmp_path / "second"
    data_options = DataOptions(batch_size=2, validation_batches=1)
    stage1_pretrain.train(
        [scenes], scenes, first, small, threads=1, schedule=quick, data_options=data_options
    )  # fmt: skip
    assert any(name.startswith("dense_answers.") for name in load_file(first / READ_OUTS))
    stage1_pretrain.train(
        [scenes], scenes, second, first / "model", threads=1, schedule=quick,
        data_options=data_options,
        loss_options=LossOptions(image=False),
    )  # fmt: skip
    assert not [n for n in load_file(second / READ_OUTS) if n.startswith("dense_answers.")]


def test_lora_trains_adapters_only_and_folds_into_the_base(scenes, small, tmp_path):
    stage2_finetune.train(
        [scenes],
        scenes,
        tmp_path / "run",
        small,
        threads=1,
        schedule=Schedule(steps=2, workers=0, warmup=0, rate=0.01),
        data_options=DataOptions(batch_size=2, validation_batches=1, packing=stage2_finetune.POSES),
        lora=LoraOptions(rank=2),
    )
    adapter = tmp_path / "run" / "model"
    names = load_file(next(adapter.glob("*.safetensors")))
    assert all("lora_" in name or ".mlp." in name for name in names)
    stage3_merge.main(small, adapter, tmp_path / "folded", method="lora_folding")
    before, after = (
        checkpoint.load_model(folder, "cpu").state_dict() for folder in (small, tmp_path / "folded")
    )
    adapted = "model.layers.0.self_attn.language_expert_dense.weight"
    untouched = "model.layers.0.self_attn.vision_expert_dense.weight"
    assert not torch.equal(before[adapted], after[adapted])
    assert torch.equal(before[untouched], after[untouched])


def train_by_options(rank, port, *options):
    """What each of two processes does that are forked from this one, which was alone."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ |= {"MASTER_ADDR": "localhost"} | {name: str(n) for name, n in names.items()}
    AcceleratorState._reset_state(reset_partial_state=True)
    auto_cli(stage1_pretrain.train, as_positional=False, args=list(options))


def test_two_processes_learn_together(scenes, small, tmp_path):
    """Forked: two new interpreters would import for longer than they train."""
    place = ["--data", f"[{scenes}]", "--validation", str(scenes), "--out", str(tmp_path / "run")]
    base = ["--base", str(small), "--data_options.batch_size=4"]
    options = get_free_port(), *place, *base, *QUICK
    start_processes(train_by_options, options, nprocs=2, start_method="fork")
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    # two runs side by side, each with all pictures, would write every line twice
    assert [line["step"] for line in log] == [2, 2]
    assert "val_angle" in log[0] and "train_loss" in log[1]
    assert checkpoint.load_model(tmp_path / "run" / "model", "cpu")


def test_rehearsal_is_a_share_drawn_once():
    samples = list(range(40))
    assert len(random_share(samples, 0.25, seed=3)) == 10
    assert random_share(samples, 0.25, seed=3) == random_share(samples, 0.25, seed=3)
    assert random_share(samples, 0.0, seed=3) == []
    assert random_share(samples, 1.0, seed=3) == samples
    with pytest.raises(ValueError, match="give 0 to 1"):
        random_share(samples, 25, seed=3)
