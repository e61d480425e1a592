# SPDX-License-Identifier: Apache-2.0
"""Number vectors start out smooth over the number line and around the circle."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from training.model.init import CIRCLE_FREQUENCIES, grid_features, number_features, waves


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
