# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser

from hpe_vlm_ros.perceiver import HeadPerceiver
from training import stage1_pretrain
from training.data.synthetic import read_synthetic
from training.loop import learning_rate_factor
from training.stage5_evaluate import evaluate, report, summary

RECIPES = sorted((Path(__file__).parents[2] / "config" / "training").glob("*stage1*.yaml"))


def run(scenes, out, **options):
    settings = {"image_size": 64, "steps": 4, "batch_size": 2, "save_every": 2, "workers": 0}
    settings |= {"validation_batches": 1, "threads": 1, "warmup": 1} | options
    stage1_pretrain.train([scenes], scenes, out, **settings)
    return torch.load(out / "checkpoint.pt", weights_only=True)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_parses_and_runs_two_steps(recipe, scenes, tmp_path):
    parser = ArgumentParser()
    parser.add_function_arguments(stage1_pretrain.train, as_positional=False)
    parser.add_argument("--config", action="config")
    place = ["--data", f"[{scenes}]", "--validation", str(scenes), "--out", str(tmp_path / "run")]
    quick = ["--steps=2", "--image_size=64", "--batch_size=2", "--workers=0", "--save_every=2"]
    parsed = parser.parse_args(["--config", str(recipe), *place, *quick])
    settings = parser.instantiate(parsed).as_dict()
    settings.pop("config")
    stage1_pretrain.train(**settings)
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


def test_interrupted_run_ends_with_the_weights_of_a_whole_one(scenes, tmp_path, monkeypatch):
    whole = run(scenes, tmp_path / "whole")
    save = stage1_pretrain.save_checkpoint

    def save_and_die(*args, **state):
        save(*args, **state)
        raise KeyboardInterrupt

    monkeypatch.setattr(stage1_pretrain, "save_checkpoint", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(scenes, tmp_path / "cut")
    monkeypatch.setattr(stage1_pretrain, "save_checkpoint", save)
    resumed = run(scenes, tmp_path / "cut")
    assert resumed["step"] == whole["step"] == 4
    for name, tensor in whole["learner"].items():
        torch.testing.assert_close(resumed["learner"][name], tensor, rtol=0, atol=0, msg=name)


def test_what_was_trained_can_be_scored(scenes, tmp_path):
    run(scenes, tmp_path / "run", steps=2)
    perceiver = HeadPerceiver.load(tmp_path / "run" / "model", "cpu", max_heads=2)
    assert perceiver.input_size == 64
    evaluation = evaluate(perceiver, read_synthetic(scenes), progress=False)
    numbers = summary(evaluation)
    assert numbers["heads"] == 0  # all smaller than 32 pixels at this input: neither hit nor miss
    assert evaluation.end_to_end.ignored == 5
    assert "TRUE BOXES" in report(evaluation)


def test_a_model_folder_can_be_trained_further(scenes, tmp_path):
    run(scenes, tmp_path / "first", steps=2)
    folder = tmp_path / "first" / "model"
    still = run(scenes, tmp_path / "still", base=folder, steps=1, rate=0.0, save_every=1)
    moved = run(scenes, tmp_path / "moved", base=folder, steps=1, save_every=1)
    stored = HeadPerceiver.load(folder, "cpu")._engine.model.state_dict()
    name = "model.layers.0.self_attn.language_expert_dense.weight"
    torch.testing.assert_close(still["learner"][f"model.{name}"], stored[name], rtol=0, atol=0)
    assert not torch.equal(moved["learner"][f"model.{name}"], stored[name])


def test_frozen_blocks_do_not_move_and_others_do(scenes, tmp_path):
    first = run(scenes, tmp_path / "first", steps=1, save_every=1)["learner"]
    later = run(scenes, tmp_path / "first", steps=2, save_every=1)["learner"]
    stem = "model.model.vision.patch_embedding.proj."
    moved = {
        name.removeprefix(stem).split(".")[1 if "blocks" in name else 0]
        for name in first
        if name.startswith(stem) and not torch.equal(first[name], later[name])
    }
    frozen = {"stem", *map(str, range(3))}
    assert not moved & frozen
    assert {"3", "10", "head"} <= moved


def test_rate_warms_up_holds_and_cools_down():
    factors = [learning_rate_factor(step, 100, 10, 0.3) for step in range(100)]
    assert factors[0] == 0.1 and factors[9:70] == [1.0] * 61
    assert (
        all(a > b for a, b in zip(factors[70:], factors[71:], strict=False)) and factors[-1] < 0.01
    )


def test_too_few_samples_is_an_error(scenes, tmp_path):
    with pytest.raises(ValueError, match="6 samples cannot fill a batch of 7"):
        run(scenes, tmp_path / "run", batch_size=7)
