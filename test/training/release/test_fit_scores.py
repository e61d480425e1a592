# SPDX-License-Identifier: Apache-2.0
"""Weights of scores: fitted to what came true, and where boxes begin to count."""

import json

import numpy as np
import pytest
import torch

from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training.release import fit_scores
from training.release.fit_scores import Boxes, average_precision, fit, least_score


def test_weights_are_those_that_boxes_were_drawn_with():
    rng = np.random.default_rng(0)
    known = np.concatenate([rng.normal(size=(20000, 5)), np.ones((20000, 1))], axis=1)
    truth = np.array([1.0, 0.5, -0.3, 0.2, -0.4, 0.1])
    hits = rng.random(20000) < 1 / (1 + np.exp(-known @ truth))
    found = np.array([*fit(Boxes(known, hits)).as_dict().values()])
    assert found == pytest.approx(truth, abs=0.08)


def test_boxes_of_one_kind_teach_nothing():
    with pytest.raises(ValueError, match="right or all wrong"):
        fit(Boxes(np.ones((4, 6)), np.ones(4, bool)))


def test_boxes_count_from_the_lowest_score_of_enough_precision():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    hits = np.array([True, True, False, True, False])
    assert least_score(scores, hits, 0.7) == 0.6
    assert least_score(scores, hits, 1.0) == 0.8
    assert least_score(scores, ~hits, 0.9) == 1.0
    assert average_precision(scores, hits) == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_a_model_folder_gets_its_weights(tmp_path, scenes, capsys, monkeypatch):
    torch.manual_seed(1)
    vision = {"image_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_heads": 2}
    config = embedded(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        initializer_range=0.2, vision_config=vision | {"intermediate_size": 48},
    )  # fmt: skip
    folder = tmp_path / "model"
    checkpoint.save(folder, CogVLMForCausalLM(config), CogVLMProcessor.embedded(config))
    always = fit_scores.metrics.Rules(iou=0.0, min_size=1.0)
    monkeypatch.setattr(fit_scores, "RULES", always)  # random boxes hit nothing else
    fit_scores.main(folder, [scenes], precision=0.1, threads=1)
    written = json.loads((folder / "config.json").read_text())
    output = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert written["score_weights"]["text"] == output["text"]
    assert written["min_score"] == output["min_score"]
    assert written["calibration"] == {"score_offset": 0.0, "score_slope": 1.0}
