# SPDX-License-Identifier: Apache-2.0
"""Baselines run, resume, and can learn."""

import json
import math

import numpy as np
import pytest
import torch

from hpe_vlm_ros.geometry import angles_from_rotations, geodesic_degrees, rotation_from_angles
from hpe_vlm_ros.vlm.pytorch import checkpoint
from training import stage4_rehearse
from training.data.labels import read_labels
from training.data.sample import Head, Sample
from training.labelling.networks.crops import camera_frame, cut
from training.model.init import trained_model
from training.reproduction.baselines import (
    frozen_model,
    non_merging,
    sixdrepnet,
    task_arithmetic,
    vision_tower,
)
from training.reproduction.baselines.crops import training_crops
from training.reproduction.baselines.features import Regressor, wrapped_loss
from training.reproduction.baselines.heads import any_angles, median_degrees, records_of, result_of
from training.reproduction.baselines.loop import Budget, LoopOptions, curve, fit
from training.reproduction.baselines.recipes import RECIPES, steps_for, steps_of
from training.supervision.dense_head import turn_between

TWO = {
    "budget": Budget(samples=4),
    "loop_options": LoopOptions(batch=2, every=1),
    "threads": 1,
    "limit": 2,
}


def test_sixdrepnet_runs_resumes_and_is_scored(scenes, tmp_path):
    places = ([scenes], scenes, tmp_path / "run")
    sixdrepnet.train(*places, test=scenes, side=32, pretrained=False, **TWO)
    longer = TWO | {"budget": Budget(samples=6)}
    used = sixdrepnet.train(*places, test=scenes, side=32, pretrained=False, **longer)
    assert used.samples == 6 and [line["step"] for line in curve(places[2])] == [1, 2, 3]
    result = json.loads((places[2] / "result.json").read_text())
    assert result["summary"]["heads"] == 1 and result["summary"]["mae"] > 0
    assert (places[2] / "curve.png").stat().st_size > 5000


@pytest.mark.parametrize("run", ["visual", "all", "tower"])
def test_regressors_on_frozen_features_run(run, scenes, small, tmp_path):
    train, more = (vision_tower.train, {}) if run == "tower" else (
        frozen_model.train, {"tokens": run}
    )  # fmt: skip
    out = tmp_path / "run"
    places = {"data": [scenes], "validation": scenes, "out": out}
    train(small, **places, heads=3, test=scenes, **TWO, **more)
    assert json.loads((out / "result.json").read_text())["summary"]["heads"] == 1
    assert len(np.load(out / "features.npz")["angles"]) >= 3


def test_visual_tokens_know_no_question(scenes, small):
    """In a causal decoder only the question's own tokens see which head is meant."""
    network, processor = trained_model(small)
    sample = read_labels(scenes)[1]
    sample.heads.append(Head(np.array([50.0, 20, 75, 55]), np.eye(3)))
    for every in (False, True):
        first, second = frozen_model.hidden_states(network.eval(), processor, every, sample)
        assert torch.allclose(first, second, atol=1e-6) != every


def test_another_merge_is_rehearsed_as_stage_4_is(scenes, small, tmp_path):
    more = ["--schedule.workers=0", "--schedule.save_every=1", "--data_options.batch_size=2"]
    more += ["--threads=1"]
    places = {"data": [scenes], "rehearsal": [scenes], "validation": scenes, "more": more}
    task_arithmetic.main(small, small, **places, out=tmp_path / "sum", budget=16)
    for folder in ("sum/merged", "sum/model"):
        assert checkpoint.load_model(tmp_path / folder, "cpu")


def test_without_merging_stage_4_lasts_as_long_as_both(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(non_merging, "run_stage", lambda *run: runs.append(run))
    folder = tmp_path / "any"
    non_merging.main(folder, [folder], [folder], folder, tmp_path / "out")
    non_merging.main(folder, [folder], [folder], folder, tmp_path / "out", budget=320)
    both = [RECIPES / f"embedded_stage{number}.yaml" for number in (2, 4)]
    (stage, recipe, steps, places, _), (*_, short, _, _) = runs
    assert stage is stage4_rehearse.train and recipe == both[1]
    assert steps == sum(map(steps_of, both)) and short == 20
    assert places["base"] == folder


def test_lengths_come_from_the_recipes():
    recipe = RECIPES / "embedded_stage4.yaml"
    assert steps_of(recipe) > 0
    assert steps_for(recipe, 1600) == 100 and steps_for(recipe, 3) == 1


def test_a_regressor_learns_and_is_the_same_after_a_kill(tmp_path):
    """Angles hidden in linear features are found; a run cut in two ends with the same weights."""
    rng = np.random.default_rng(0)
    angles = torch.tensor(rng.uniform(-80, 80, (300, 3)), dtype=torch.float32)
    features = torch.cat([angles / 40, torch.randn(300, 5)], 1)

    def run(out, *shares):
        torch.manual_seed(0)
        model = Regressor(features)

        def losses(step):
            chosen = np.random.default_rng(step).integers(300, size=50)
            return wrapped_loss(model(features[chosen]), angles[chosen])

        def degrees():
            return float((model(features) - angles).abs().mean())

        for samples in shares:
            budget = Budget(samples=10_000)
            budget.share = lambda seen, seconds, end=samples: 1.0 if seen >= end else seen / 10_000
            fit(model, losses, degrees, out, budget, LoopOptions(batch=50, rate=3e-3, every=50))
            torch.manual_seed(1)
            model = model if samples == shares[-1] else Regressor(features)
        return model, curve(out)[-1]["degrees"]

    whole, error = run(tmp_path / "whole", 10_000)
    assert error < 4
    cut_in_two, _ = run(tmp_path / "cut", 2_500, 10_000)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(cut_in_two.state_dict()[name], tensor, rtol=0, atol=0)


def test_wrapped_loss_goes_the_short_way():
    loss = wrapped_loss(torch.tensor([[179.0, 0, 0]]), torch.tensor([[-179.0, 6, 0]]))
    assert loss == pytest.approx((4 + 36) / 3)


def test_geodesic_loss_against_the_geometry():
    rng = np.random.default_rng(0)
    first, second = (
        np.stack([rotation_from_angles(*rng.uniform(-80, 80, 3)) for _ in range(9)])
        for _ in range(2)
    )
    ours = turn_between(torch.tensor(first), torch.tensor(second)).mean()
    assert math.degrees(ours) == pytest.approx(geodesic_degrees(first, second).mean(), abs=1e-3)


def test_the_ray_is_put_back(scenes):
    """Perfect answers about crops are perfect answers about the picture."""
    sample = Sample(scenes / "images/000001.jpg", 200, 100, 100.0)
    sample.heads = [Head(np.array([150.0, 30, 190, 70]), rotation_from_angles(150, 10, -5))]

    def predict(scene):
        from hpe_vlm_ros.rays import rotation_to_ray, usual_camera

        camera = usual_camera((100, 200))
        box = scene.heads[0].box
        turn = rotation_to_ray(camera, box).T @ scene.heads[0].rotation
        return camera_frame(turn[None], [box], (scene.height, scene.width))

    assert median_degrees(predict, [sample]) == pytest.approx(0, abs=1e-4)
    records = records_of(predict, [sample], "perfect")
    result = result_of("perfect", records, [sample], "one", "")
    assert result["summary"]["mae"] == pytest.approx(0, abs=1e-4)
    assert result["tones"] == {}


def test_angles_without_a_valid_triple_still_name_the_rotation():
    rng = np.random.default_rng(0)
    rotations = np.stack([rotation_from_angles(*rng.uniform(-179, 179, 3)) for _ in range(200)])
    angles = any_angles(rotations)
    np.testing.assert_allclose(rotation_from_angles(*angles.T), rotations, atol=1e-6)
    _, valid = angles_from_rotations(rotations)
    assert 0.3 < valid.mean() < 0.7
    assert (np.abs(angles[valid, 1:]) < 90).all()
    upright = rotation_from_angles(20, 100, 0)[None]  # looks up and over
    np.testing.assert_allclose(any_angles(upright)[0], (20, 100, 0), atol=1e-6)


def test_crops_are_padded_and_repeat_the_border():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :10] = 200
    patch = cut(image, np.array([0.0, 10, 20, 30]), 28)  # padded to -4..24 x 6..34
    assert patch.shape == (28, 28, 3)
    assert (patch[:, :13] == 200).all() and (patch[:, 15:] == 0).all()


def test_crops_need_heads(scenes, tmp_path):
    samples = read_labels(scenes)
    crops = training_crops(samples, 16, 3, 1)
    pixels, turns = crops(5)
    assert pixels.shape == (3, 3, 16, 16) and turns.shape == (3, 3, 3)
    assert torch.equal(pixels, crops(5)[0]) and not torch.equal(pixels, crops(6)[0])
    for sample in samples:
        sample.heads = []
    with pytest.raises(ValueError, match="no head in --data"):
        training_crops(samples, 16, 3, 1)
