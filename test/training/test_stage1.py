# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import signal
from multiprocessing import get_context

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.pytorch import checkpoint
from training import stage1_pretrain, stage5_evaluate
from training.evaluation import asking
from training.loop.stage import DataOptions
from training.loop.trainer import WHOLE, Schedule, StageTrainer, last_checkpoint
from training.supervision.read_outs import READ_OUTS

pytestmark = pytest.mark.usefixtures("briefly_recounted")


def run(scenes, out, steps=4, base=None, **schedule):
    """Trains on few and small pictures; returns the last checkpoint's tensors."""
    settings = {"save_every": 2, "workers": 0, "warmup": 1, "log_every": 1, "cooldown": 0.25}
    stage1_pretrain.train(
        [scenes],
        scenes,
        out,
        base=base,
        image_size=64,
        threads=1,
        schedule=Schedule(steps=steps, **settings | schedule),
        data_options=DataOptions(batch_size=2, validation_batches=1),
    )
    return load_file(out / f"checkpoint-{steps}" / "model.safetensors")


@pytest.fixture(scope="module")
def first(kept_scenes, briefly_recounted, tmp_path_factory):
    """What two steps leave behind, to read only."""
    folder = tmp_path_factory.mktemp("first")
    run(kept_scenes, folder, steps=2)
    return folder


def run_to_death(scenes, out, step):
    """What a forked process does: it trains, and is killed behind this step."""

    class Killer(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)

    make = StageTrainer.__init__

    def armed(self, *args, **options):
        make(self, *args, **options)
        self.add_callback(Killer())

    StageTrainer.__init__ = armed
    run(scenes, out)


def test_killed_run_ends_with_the_weights_of_a_whole_one(scenes, tmp_path):
    """Killed twice: before its first checkpoint, and between that and the last."""
    whole = run(scenes, tmp_path / "whole")
    cut = tmp_path / "cut"
    for step, checkpoints in ((1, set()), (3, {"checkpoint-2"})):
        process = get_context("fork").Process(target=run_to_death, args=(scenes, cut, step))
        process.start()  # a new interpreter would import for longer than it trains
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert {folder.name for folder in cut.glob("checkpoint-*")} == checkpoints
    resumed = run(scenes, cut)
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_half_a_checkpoint_is_cleared_away(tmp_path):
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / WHOLE).touch()
    (tmp_path / "checkpoint-12").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-12").exists()


def test_another_process_may_clear_half_a_checkpoint_first(tmp_path, monkeypatch):
    half, remove = tmp_path / "checkpoint-20", shutil.rmtree
    half.mkdir()

    def late(folder, **options):
        remove(folder)  # what the process beside this one did meanwhile
        remove(folder, **options)

    monkeypatch.setattr("training.loop.trainer.shutil.rmtree", late)
    assert last_checkpoint(tmp_path) is None
    assert not half.exists()


def test_log_tells_losses_by_name(first):
    lines = [json.loads(line) for line in (first / "log.jsonl").read_text().splitlines()]
    assert {"angle", "dense_angle", "learning_rate"} <= set(lines[0])
    assert any("val_angle" in line for line in lines)


def test_what_was_trained_can_be_scored(first, scenes, monkeypatch, capsys):
    monkeypatch.setattr(asking, "BOX_LIMIT", 20)  # it does not stop by itself
    model = first / "model"
    assert HeadPerceiver.load(model, "cpu").input_size == 64
    stage5_evaluate.main(model, scenes, device="cpu", threads=1, variants=0, limit=3)
    printed = capsys.readouterr().out
    # all smaller than 32 pixels at this input: neither hit nor miss
    assert json.loads(printed.splitlines()[-1])["heads"] == 0 and "TRUE BOXES" in printed


def test_a_model_folder_can_be_trained_further(first, scenes, tmp_path):
    folder = first / "model"
    still = run(scenes, tmp_path / "still", base=folder, steps=1, rate=0.0, save_every=1)
    moved = run(scenes, tmp_path / "moved", base=folder, steps=1, save_every=1, warmup=0)
    stored = HeadPerceiver.load(folder, "cpu")._engine.backend.model.state_dict()
    name = "model.layers.0.self_attn.language_expert_dense.weight"
    torch.testing.assert_close(still[f"model.{name}"], stored[name], rtol=0, atol=0)
    assert not torch.equal(moved[f"model.{name}"], stored[name])


def test_the_deployed_model_reads_presence_out_as_training_does(first, scenes, tmp_path):
    folder = tmp_path / "first" / "model"
    model = checkpoint.load_model(first / "model")  # as models were before they had this read-out
    vision, config = model.model.vision, model.config.vision_config
    config.presence, config.patch_boxes, vision.presence = False, False, None
    checkpoint.save(folder, model, checkpoint.load_processor(first / "model", model.config))
    shutil.copy(first / READ_OUTS, tmp_path / "first")
    run(scenes, tmp_path / "run", base=folder, steps=4)  # deployed after steps 2 and 4
    deployed = load_file(tmp_path / "run" / "model" / "model.safetensors")
    read_out = load_file(tmp_path / "run" / READ_OUTS)
    taught = read_out["dense.project.weight"].float()
    for name, rows in (("project", taught[:1]), ("edges", taught[1:5])):
        told = deployed[f"model.vision.presence.{name}.weight"].float()
        torch.testing.assert_close(told, rows, atol=1e-3, rtol=1e-2)
    engine = HeadPerceiver.load(tmp_path / "run" / "model", "cpu")._engine
    assert engine.backend.model.model.vision.presence is not None


def test_frozen_blocks_do_not_move_and_others_do(first, scenes, tmp_path):
    base = first / "model"
    last = run(scenes, tmp_path, base=base, rate=0.01)
    middle = load_file(tmp_path / "checkpoint-2" / "model.safetensors")
    stem = "model.model.vision.patch_embedding.proj."
    moved = {
        name.removeprefix(stem).split(".")[1 if "blocks" in name else 0]
        for name in middle
        if name.startswith(stem) and not torch.equal(middle[name], last[name])
    }
    assert {"3", "10", "head"} <= moved
    before, after = (
        checkpoint.load_model(folder, "cpu").model.vision.patch_embedding.proj.blocks
        for folder in (base, tmp_path / "model")
    )
    assert torch.equal(before[2].depthwise.weight, after[2].depthwise.weight)
    assert not torch.equal(before[3].depthwise.weight, after[3].depthwise.weight)


def test_too_few_samples_is_an_error(scenes, tmp_path):
    with pytest.raises(ValueError, match="6 samples cannot fill a batch of 16"):
        stage1_pretrain.train([scenes], scenes, tmp_path / "run", image_size=64, threads=1)
