# SPDX-License-Identifier: Apache-2.0
"""The stem's learning form computes what its deployed form does."""

import copy

import pytest
import torch

from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem
from training.model.normed_stem import (
    NormedConv2d,
    add_norms,
    convolutions,
    fold_norms,
    initialise_norms,
)


@pytest.fixture
def stem():
    torch.manual_seed(0)
    return EfficientNetLite0Stem(3, 8).eval()


@pytest.fixture
def pictures():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_adding_norms_keeps_the_outputs(stem, pictures):
    before = stem(pictures)
    add_norms(stem)
    close(stem.eval()(pictures), before)
    initialise_norms(stem, pictures)
    close(stem.eval()(pictures), before)


@torch.no_grad()
def test_initialised_norms_see_their_batch_as_standard(stem, pictures):
    before = stem(pictures)
    add_norms(stem)
    initialise_norms(stem, pictures)
    close(stem.train()(pictures), before)  # unsettled, training mode would differ


def test_folding_learnt_norms_keeps_the_outputs(stem, pictures):
    add_norms(stem, frozen=2)
    initialise_norms(stem, pictures)
    optimizer = torch.optim.SGD([p for p in stem.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        stem.train()(pictures).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        learnt = stem.eval()(pictures)
        deployed = copy.deepcopy(stem)
        fold_norms(deployed)
        assert not any(isinstance(conv, NormedConv2d) for _, _, conv in convolutions(deployed))
        close(deployed(pictures), learnt)


def test_frozen_blocks_stay_folded(stem):
    add_norms(stem, frozen=2)
    kinds = [isinstance(conv, NormedConv2d) for _, _, conv in convolutions(stem)]
    frozen = 1 + 2 + 3  # first convolution, a block that does not widen, one that does
    assert not any(kinds[:frozen]) and all(kinds[frozen:])
    assert not stem.stem.weight.requires_grad and stem.blocks[2].expand.weight.requires_grad
