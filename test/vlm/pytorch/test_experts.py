# SPDX-License-Identifier: Apache-2.0
"""Experts for signals: numpy computes what PyTorch does; what is not learnt is not answered."""

import json
import shutil

import numpy as np
import pytest
import torch

from hpe_vlm_ros.people.gestures.asking import judge_in
from hpe_vlm_ros.people.gestures.reader import Rule
from hpe_vlm_ros.tasks import act, gesture
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.decoding.sequences import Sequences
from hpe_vlm_ros.vlm.experts import FOLDER, TextCache, TextExperts, Weights, signals_in
from hpe_vlm_ros.vlm.model_folder import WEIGHTS
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
PARTS = ([5, 17, 999, 42], [3], [256, 1, 7])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = SMALL | {"intermediate_size": 48, "initializer_range": 0.3}
    config = embedded(text_only=True, tasks=["gesture"], **sizes)
    made = CogVLMForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "norm" in name:
                weight.mul_(1 + 0.2 * torch.randn_like(weight))
    return made


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / FOLDER / "signals"
    model.save_pretrained(place)
    build_tokenizer().save_pretrained(place)
    return place


def test_no_tower_and_no_vision_experts(model):
    names = [name for name, _ in model.named_parameters()]
    assert not [name for name in names if "vision" in name]
    with pytest.raises(ValueError, match="text alone"):
        model(input_ids=torch.zeros(1, 4, dtype=torch.long), pixel_values=torch.zeros(1, 3, 8, 8))


def test_numpy_computes_what_pytorch_does(model, folder):
    sequences = Sequences(TextCache(Weights(folder)))
    (sequence,) = sequences.open(1)
    ours = [sequences.feed([sequence], [part], [len(part)])[0] for part in PARTS]
    ids = torch.tensor([sum(PARTS, [])])
    with torch.no_grad():
        theirs = model(input_ids=ids).logits[0].numpy()
    assert np.allclose(np.concatenate(ours), theirs, atol=1e-4)


def test_lanes_do_not_hear_each_other(folder):
    alone, shared = (Sequences(TextCache(Weights(folder))) for _ in range(2))
    (one,) = alone.open(1)
    first, second = shared.open(2)
    (expected,) = alone.feed([one], [[5, 6, 7]], [1])
    told, _ = shared.feed([first, second], [[5, 6, 7], [9, 8]], [1, 1])
    assert np.allclose(told, expected, atol=1e-5)


def test_probabilities_of_labels_sum_to_one(folder):
    experts = TextExperts(folder)
    questions = [gesture.question(np.full((20, 5), value)) for value in (0.0, 0.1)]
    for odds in experts.labels(gesture.TASK, questions):
        assert set(odds) == set(gesture.LABELS)
        assert sum(odds.values()) == pytest.approx(1.0)


def test_a_model_without_experts_has_the_rule(folder, tmp_path):
    assert isinstance(judge_in(tmp_path), Rule)
    assert isinstance(judge_in(None), Rule)
    judge = judge_in(folder.parents[1])
    assert judge.name.startswith("signals-")
    assert judge([np.zeros((20, 5))])[0].sum() == pytest.approx(1.0)


def test_experts_answer_what_they_have_learnt(folder):
    model = folder.parents[1]
    assert signals_in(model, gesture.TASK) is not None and signals_in(model, act.TASK) is None
    config = folder / "config.json"
    before = config.read_text()
    config.write_text(json.dumps(json.loads(before) | {"tasks": ["act"]}))
    experts = signals_in(model, act.TASK)
    config.write_text(before)
    body = np.random.default_rng(0).uniform(0, 99, (17, 3)).round() * [1, 1, 0] + [0, 0, 2]
    (odds,) = experts.labels(act.TASK, [act.question(body)])
    assert set(odds) == set(act.LABELS) and sum(odds.values()) == pytest.approx(1)
    with pytest.raises(ValueError, match="signals-.* has not learnt the question 'gesture'"):
        experts.labels(gesture.TASK, ["What?"])


@pytest.mark.parametrize("damage", ["cut", "config", "tokenizer", "tensor", "missing"])
def test_damaged_experts_are_named(folder, tmp_path, damage):
    place = tmp_path / "signals"
    shutil.copytree(folder, place)
    if damage == "cut":
        (place / WEIGHTS).write_bytes((place / WEIGHTS).read_bytes()[:5000])
    elif damage == "config":
        config = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps(config | {"text_only": False}))
    elif damage == "tensor":
        config = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    else:
        (place / ("tokenizer.json" if damage == "tokenizer" else WEIGHTS)).unlink()
    with pytest.raises(CheckpointError, match="signals"):
        TextExperts(place)
