# SPDX-License-Identifier: Apache-2.0
"""Number vectors start out smooth over the number line and around the circle."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F

from hpe_vlm_ros.tasks import keypoints
from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.pytorch import checkpoint
from training.model.init import CIRCLE_FREQUENCIES, add_words, grid_features, number_features, waves


def test_near_numbers_are_alike() -> None:
    vectors = number_features(64, 0.05, torch.Generator().manual_seed(0))
    assert vectors.shape == (1000, 64)
    assert abs(float(vectors.std()) - 0.05) < 1e-4
    unit = F.normalize(vectors, dim=1)
    similar = unit @ unit.T
    near = similar.diagonal(1).mean()
    middle = similar.diagonal(10).mean()
    far = similar.diagonal(250).mean()
    assert near > 0.98 and near > middle > far + 0.3


def test_the_circle_closes() -> None:
    unit = F.normalize(waves(torch.arange(360) / 360, CIRCLE_FREQUENCIES), dim=1)
    assert unit[359] @ unit[0] > 0.99 > 0 > unit[180] @ unit[0]


def test_grid_features_tell_places_apart() -> None:
    features = grid_features(4, 16)
    assert features.shape == (16, 16)
    assert len(torch.unique(features, dim=0)) == 16


def test_words_that_came_later_take_spare_places() -> None:
    """The shipped model's vocabulary is older than the question for keypoints."""
    folder = default_folder()
    processor = checkpoint.load_processor(folder, checkpoint.load_config(folder))
    older = processor.tokenizer
    question = keypoints.question((100, 200, 300, 400), "left ankle")
    assert older.decode(older.encode(question), skip_special_tokens=True) != question
    add_words(processor)
    newer = processor.tokenizer
    for text in (question, *map(keypoints.format_answer, keypoints.TASK.examples)):
        assert newer.decode(newer.encode(text)) == text
    kept = {word: n for word, n in older.get_vocab().items() if not word.startswith("<spare_")}
    assert len(kept) > 1100 and kept.items() <= newer.get_vocab().items()
    assert len(newer) == len(older)


def test_other_vocabularies_stay_as_they_are() -> None:
    processor = SimpleNamespace(tokenizer=SimpleNamespace(get_vocab=lambda: {"▁nose": 0, "a": 1}))
    kept = processor.tokenizer
    add_words(processor)
    assert processor.tokenizer is kept
