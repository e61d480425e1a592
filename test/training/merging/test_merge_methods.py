# SPDX-License-Identifier: Apache-2.0
"""Merge methods as functions of tensors, the similarity they go by, and their registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import training.merging
from training.merging.lora_folding import fold, lora_folding, low_rank_update
from training.merging.registry import Layer, chosen, methods
from training.merging.similarity import row_cosine
from training.merging.task_arithmetic import task_arithmetic
from training.merging.winner_takes_all import originals, quantile_threshold, winner_takes_all

ONE, TWO = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -2.0]])
ALIKE = {f"layer{i}": 0.9 + 0.01 * i for i in range(10)}  # 0.90 .. 0.99


def names(*numbers: int) -> set[str]:
    return {f"layer{number}" for number in numbers}


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_similarity_is_the_mean_cosine_of_rows(kind):
    torch.manual_seed(0)
    one = torch.randn(2500, 16).to(kind)  # more rows than are compared at a time
    two = (one + 0.5 * torch.randn(2500, 16)).to(kind)
    a, b = one.double().numpy(), two.double().numpy()
    cosines = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    assert row_cosine(one, two) == pytest.approx(cosines.mean(), abs=1e-6)
    assert row_cosine(one, -3 * one) == pytest.approx(-1, abs=1e-6)
    assert 1 - 1e-6 < row_cosine(one, 2 * one) <= 1


def test_rows_count_alike_whatever_their_length():
    one = torch.tensor([[100.0, 0.0], [0.0, 0.01]])
    two = torch.tensor([[100.0, 0.0], [0.01, 0.0]])
    assert row_cosine(one, two) == pytest.approx(0.5)


def test_rows_that_are_zero_in_both_models_do_not_count():
    """Pruned or unused neurons have no direction that could differ."""
    one = torch.zeros(1500, 2)
    two = torch.zeros(1500, 2)
    one[3], two[3] = torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])
    assert row_cosine(one, two) == pytest.approx(0.96)
    one[1200] = 1.0  # zero in one of them alone
    assert row_cosine(one, two) == pytest.approx(0.48)
    assert row_cosine(torch.zeros(3, 2), torch.zeros(3, 2)) == 1


@given(st.integers(-37, 37), st.integers(-37, 37))
def test_no_length_of_a_row_is_too_small_or_too_large(first, second):
    one, two = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])
    assert row_cosine(one * 10.0**first, two * 10.0**second) == pytest.approx(0.96, abs=1e-5)


def test_below_the_threshold_and_only_there_layers_stay_original():
    assert originals(ALIKE, threshold=0.925, lowest=0) == names(0, 1, 2)
    assert originals({"a": 0.95}, threshold=0.95, lowest=0) == set()  # "less than": not at it


def test_lowest_share_stays_original_in_any_case():
    assert originals(ALIKE, threshold=0, lowest=0.01) == names(0)  # a fraction counts as one
    assert originals(ALIKE, threshold=0, lowest=0.2) == names(0, 1)
    assert originals(ALIKE, threshold=0.925, lowest=0.1) == names(0, 1, 2)
    many = {f"{i:03d}": 0.5 + i / 1000 for i in range(190)}
    assert originals(many, threshold=0) == {"000", "001"}  # 1 % of 190 projections


def test_a_chosen_share_stays_original():
    assert originals(ALIKE, lowest=0, keep=0.3) == names(0, 1, 2)
    assert originals(ALIKE, lowest=0, keep=0) == set()
    assert originals(ALIKE, lowest=0, keep=1) == set(ALIKE)
    assert originals({}, keep=0.5) == set()


@given(st.dictionaries(st.text(), st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_the_quantile_threshold_keeps_its_share(cosines, keep):
    below = sum(value < quantile_threshold(cosines, keep) for value in cosines.values())
    assert below <= round(keep * len(cosines))
    if len(set(cosines.values())) == len(cosines):
        assert below == round(keep * len(cosines))


@pytest.mark.parametrize("option", ["lowest", "keep"])
def test_shares_beyond_0_to_1_are_refused(option):
    with pytest.raises(ValueError, match=f"{option} is 25; it is a share"):
        originals(ALIKE, **{option: 25})


def test_the_winner_takes_the_whole_layer():
    low, high = Layer("layer0", ALIKE), Layer("layer9", ALIKE)
    assert winner_takes_all(ONE, TWO, low, threshold=0.95) is ONE
    assert winner_takes_all(ONE, TWO, high, threshold=0.95) is TWO
    assert winner_takes_all(ONE, TWO, Layer("norm", ALIKE)) is TWO


def test_task_arithmetic_goes_half_way():
    layer = Layer("layer0", ALIKE)
    assert task_arithmetic(ONE, TWO, layer).tolist() == [[2.0, 0.0]]
    assert task_arithmetic(ONE.half(), TWO.half(), layer, weight=0.25).tolist() == [[1.5, 1.0]]


def test_lora_folding_takes_what_was_tuned():
    assert lora_folding(ONE, TWO, Layer("layer0", ALIKE)) is TWO


def test_low_rank_update_of_blocks():
    torch.manual_seed(0)
    a, b = torch.randn(6, 5), torch.randn(12, 2)
    update = low_rank_update(a, b, 0.5)
    for block in range(3):
        expected = 0.5 * b[4 * block : 4 * block + 4] @ a[2 * block : 2 * block + 2]
        torch.testing.assert_close(update[4 * block : 4 * block + 4], expected)
    torch.testing.assert_close(low_rank_update(a[:2], b, 2.0), 2 * b @ a[:2])


def test_fold_adds_in_float32_and_rounds_once():
    weight = torch.tensor([[256.0]]).bfloat16()  # bfloat16 knows 256 and 258, not 257
    a = torch.tensor([[1.0]]).bfloat16()
    b = torch.tensor([[1.5]]).bfloat16()
    assert fold(weight, a, b, 1.0).item() == 258.0 and fold(weight, a, b, 0.5).item() == 256.0


def test_every_method_is_found():
    assert list(methods()) == ["lora_folding", "task_arithmetic", "winner_takes_all"]
    assert chosen("task_arithmetic", {"weight": 1.0})(ONE, TWO, Layer("x", {})).equal(TWO)
    assert chosen("winner_takes_all", {"keep": 0.1}).keywords == {
        "threshold": 0.95,
        "lowest": 0.01,
        "keep": 0.1,
    }


def test_unknown_names_are_answered_with_the_known():
    with pytest.raises(ValueError, match="'ties': choose one of lora_folding, task_arithmetic, "):
        chosen("ties", {})
    with pytest.raises(ValueError, match="task_arithmetic has no option alpha; it has weight"):
        chosen("task_arithmetic", {"alpha": 1})


def test_a_file_of_ones_own_adds_a_method(tmp_path, monkeypatch):
    (tmp_path / "loudest.py").write_text(
        "from training.merging.registry import merge_method\n"
        "@merge_method\n"
        "def loudest(original, tuned, layer, share=0.5):\n"
        "    return original.maximum(tuned)\n"
    )
    monkeypatch.setattr(training.merging, "__path__", [*training.merging.__path__, str(tmp_path)])
    known = dict(training.merging.registry._METHODS)
    monkeypatch.setattr(training.merging.registry, "_METHODS", known)
    assert chosen("loudest", {})(ONE, TWO, Layer("x", {})).tolist() == [[3.0, 2.0]]
