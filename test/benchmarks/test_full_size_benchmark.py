# SPDX-License-Identifier: Apache-2.0
"""The full-size benchmark on a model cut down to nothing, and the arithmetic of its roofline."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.full_size import __main__ as full_size
from benchmarks.full_size.random_model import cogvlm_config
from benchmarks.full_size.roofline import Card, Counter, Work, card_called, least_seconds
from hpe_vlm_ros.vlm.pytorch.configuration import grounding_generalist_17b
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

TINY = ["--device", "cpu", "--dtype", "float32", "--layers", "1", "--scale", "32"]
TINY += ["--image-size", "28", "--rounds", "1", "--heads", "1", "2"]


def test_it_runs_and_ends_with_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    options = [*TINY, "--quantization", "none", "int4", "--tflops", "1", "--bandwidth", "100"]
    assert full_size.main(options) == 0
    *table, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)["results"]
    assert list(found) == ["none", "int4"]
    for result in found.values():
        assert result["memory_gb"] > 0
        assert [row["heads"] for row in result["rows"]] == [1, 2]
        for row in result["rows"]:
            assert row["total"] == pytest.approx(sum(row[name] for name in full_size.PHASES))
            assert row["fps"] == pytest.approx(1000 / row["total"])
            assert row["speedup"] == pytest.approx(row["generate"] / row["total"])
            assert 0 < row["least_total"] < row["total"]
        one, two = result["rows"]
        assert two["least_detect"] > 1.5 * one["least_detect"]
    assert "peak memory" in "".join(table)


def test_what_does_not_fit_is_left_out(capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("hpe_vlm_ros.vlm.pytorch.memory.available", lambda device: 1000)
    assert full_size.main([*TINY, "--quantization", "none"]) == 1
    output = capsys.readouterr()
    assert "none: not run: the model needs" in output.err
    assert json.loads(output.out.splitlines()[-1])["results"] == {}


@pytest.fixture(scope="module")
def counter() -> Counter:
    config = grounding_generalist_17b()
    with torch.device("meta"):
        model = CogVLMForCausalLM(config)
    return Counter(model, config, torch.bfloat16, "none")


def test_work_of_the_public_model_is_what_was_counted_by_hand(counter: Counter) -> None:
    """Tower 4.28 + 0.14 G weights over 1226 tokens, visual expert 6.48 G over 1226, and pairs."""
    assert counter.vision().flops == pytest.approx(11.5e12, rel=0.03)
    assert counter.prefix().flops == pytest.approx(16.3e12, rel=0.03)
    assert counter.text(54, 1228, 10).flops == pytest.approx(0.73e12, rel=0.05)
    assert counter.vision().bytes == pytest.approx(2 * 4.425e9, rel=0.001)
    step = counter.text(1, 1300, 1)  # 6.61 G weights of language, and 0.68 GB of keys and values
    assert step.bytes == pytest.approx(2 * 6.607e9 + 0.682e9, rel=0.002)


def test_the_slower_of_arithmetic_and_memory_counts() -> None:
    card = Card(flops=100.0, bandwidth=10.0)
    assert least_seconds(card, [Work(200.0, 1.0), Work(1.0, 50.0)]) == 2.0 + 5.0
    assert least_seconds(None, [Work(1.0, 1.0)]) is None


def test_cards_are_known_by_their_longest_name() -> None:
    assert card_called("NVIDIA H100 PCIe") == Card(756e12, 2000e9)
    assert card_called("NVIDIA H100 80GB HBM3") == Card(989e12, 3350e9)
    assert card_called("NVIDIA A100-SXM4-80GB") == Card(312e12, 2039e9)
    assert card_called("NVIDIA GeForce RTX 4090") == Card(165e12, 1008e9)
    assert card_called("Voodoo 2") is None


def test_the_uncut_config_is_the_public_one() -> None:
    assert cogvlm_config().to_dict() == grounding_generalist_17b().to_dict()
