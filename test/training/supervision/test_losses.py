# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from training.data.prompts import ANGLE, COORDINATE, NO_NUMBER
from training.data.sample import Head
from training.supervision.dense_head import dense_loss, dense_targets, rotation_from_6d
from training.supervision.losses import answer_loss, soft_targets

SIGMAS = (6.0, 4.0)


def test_angle_targets_wrap_at_a_full_turn_and_stay_below_360():
    target = soft_targets(torch.tensor([ANGLE]), torch.tensor([359.6]), SIGMAS)[0]
    assert target.sum() == pytest.approx(1.0, abs=1e-6)
    assert target[360:].sum() == 0
    radians = np.radians(np.arange(360))
    weights = target[:360].numpy()
    mean = np.degrees(np.arctan2(weights @ np.sin(radians), weights @ np.cos(radians))) % 360
    assert mean == pytest.approx(359.6, abs=0.01)  # the part below one degree is kept


def test_coordinate_targets_do_not_wrap():
    target = soft_targets(torch.tensor([COORDINATE]), torch.tensor([2.0]), SIGMAS)[0]
    assert target.argmax() == 2
    assert target[900:].sum() == 0


def test_a_bump_of_no_width_is_the_number_that_is_written():
    kinds = torch.tensor([ANGLE, ANGLE, COORDINATE, ANGLE])
    target = soft_targets(kinds, torch.tensor([71.6, 359.7, 359.7, 12.2]), (0.0, 0.0))
    assert target.argmax(-1).tolist() == [72, 0, 360, 12]
    assert target.max(-1).values.tolist() == [1.0] * 4
    mixed = soft_targets(kinds, torch.tensor([71.6, 359.7, 359.7, 12.2]), (0.0, 4.0))
    assert mixed[2, 360] == 1.0 and mixed[0].max() < 0.2
    logits = torch.randn(2, 1010)
    kinds, values, targets = (
        torch.tensor([ANGLE, COORDINATE]),
        torch.tensor([20.2, 700.0]),
        [25, 705],
    )
    losses = answer_loss(logits, torch.tensor(targets), kinds, values, 5, (0.0, 0.0))
    for row, name in enumerate(("angle", "box")):  # plain cross-entropy
        plain = torch.nn.functional.cross_entropy(logits[row], torch.tensor(targets[row]))
        assert losses[name] == pytest.approx(plain.item(), rel=1e-5)


def test_perfect_numbers_cost_nothing_and_near_ones_little():
    kinds, values = torch.tensor([ANGLE, COORDINATE]), torch.tensor([10.0, 500.0])
    perfect = torch.full((2, 1010), -30.0)
    perfect[:, 5:1005] = soft_targets(kinds, values, SIGMAS).clamp(min=1e-13).log()
    targets = torch.tensor([15, 505])
    best = answer_loss(perfect, targets, kinds, values, 5, SIGMAS)
    near = answer_loss(perfect, targets, kinds, values + 2, 5, SIGMAS)
    far = answer_loss(perfect, targets, kinds, values + 60, 5, SIGMAS)
    for name in ("angle", "box"):
        assert best[name] == pytest.approx(0.0, abs=1e-3)
        assert best[name] < near[name] < far[name]


def test_numbers_count_by_their_weights():
    kinds, values = torch.tensor([ANGLE, ANGLE, COORDINATE]), torch.tensor([15.0, 200.0, 700.0])
    logits, first = torch.randn(3, 1010, generator=torch.Generator().manual_seed(0)), 5
    alone = [
        answer_loss(
            logits[i : i + 1], kinds[i : i + 1], kinds[i : i + 1], values[i : i + 1], first, SIGMAS
        )
        for i in range(3)
    ]
    weights = torch.tensor([0.25, 0.75, 0.1])
    losses = answer_loss(logits, kinds, kinds, values, first, SIGMAS, weights)
    expected = 0.25 * alone[0]["angle"] + 0.75 * alone[1]["angle"]
    assert losses["angle"] == pytest.approx(expected.item(), rel=1e-5)
    assert losses["box"] == pytest.approx(alone[2]["box"].item(), rel=1e-5)


def test_text_loss_is_cross_entropy_of_text_tokens_only():
    logits = torch.randn(3, 1010)
    kinds = torch.tensor([NO_NUMBER, ANGLE, NO_NUMBER])
    targets = torch.tensor([3, 20, 7])
    losses = answer_loss(logits, targets, kinds, torch.tensor([0.0, 15.0, 0.0]), 5, SIGMAS)
    expected = torch.nn.functional.cross_entropy(logits[[0, 2]], targets[[0, 2]])
    assert losses["text"] == pytest.approx(expected.item(), rel=1e-5)


def test_dense_targets_own_the_patches_in_the_middle_of_the_box():
    rotation = Rotation.random(random_state=0).as_matrix()
    big = Head(np.array([0.0, 0, 64, 64]), rotation)
    small = Head(np.array([16.0, 16, 32, 32]), np.eye(3))
    shares, edges, turns = dense_targets([[big, small]], (14, 14), (224, 224), 0.2, 10)
    grid = shares[0].view(14, 14)
    assert grid.nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert grid[1, 1] == 1 and grid[2, 1] == pytest.approx(1 / 3)
    assert edges[0].view(14, 14, 4)[1, 1].tolist() == [0.5] * 4  # the smaller head wins its patch
    assert edges[0].view(14, 14, 4)[2, 1].tolist() == [1.5, 2.5, 2.5, 1.5]
    # relative to the ray of a camera 60 degrees wide, whose pictures were squeezed from 4:3
    focal = 112 / np.tan(np.radians(30))
    ray = np.array([(32 - 112) / focal, (32 - 112) / focal * 0.75, 1])
    axis = np.cross([0, 0, 1], ray)
    angle = np.arctan(np.linalg.norm(axis))
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()
    restored = turn @ rotation_from_6d(turns[0].view(14, 14, 6)[2, 2]).numpy()
    np.testing.assert_allclose(restored, rotation, atol=1e-6)


def test_dense_targets_leave_out_tiny_and_hidden_heads():
    heads = [
        Head(np.array([0.0, 0, 8, 8]), np.eye(3)),
        Head(np.array([50.0, 50, 90, 90]), np.eye(3), 0.1),
    ]
    shares, _, _ = dense_targets([heads], (14, 14), (224, 224), 0.2, 10)
    assert not shares.any()


def test_dense_loss_is_zero_for_the_truth_and_one_for_the_opposite_turn():
    head = Head(np.array([82.0, 82, 142, 142]), np.eye(3))  # seen along the optical axis
    shares, edges, turns = dense_targets([[head]], (14, 14), (224, 224), 0.2, 10)
    output = torch.cat(
        [torch.where(shares > 0, 30.0, -30.0)[..., None], torch.asinh(edges), turns], dim=-1
    )
    losses = dense_loss(output, shares, edges, turns)
    assert all(float(value) < 1e-3 for value in losses.values())
    half_turn = torch.as_tensor(np.diag([-1.0, 1, -1])[:, :2].T.ravel(), dtype=torch.float32)
    output[..., 5:] = half_turn
    assert float(dense_loss(output, shares, edges, turns)["dense_angle"]) == pytest.approx(
        1.0, abs=1e-3
    )


def test_a_large_head_counts_no_more_than_a_small_one():
    """Patches of the large head all say the opposite, of the small one the truth, and the other
    way about: half of the heads are wrong either way."""
    large = Head(np.array([0.0, 0, 128, 128]), np.eye(3))
    small = Head(np.array([192.0, 192, 208, 208]), np.eye(3))
    shares, edges, turns = dense_targets([[large, small]], (14, 14), (224, 224), 0.2, 10)
    back = torch.as_tensor(np.diag([-1.0, 1, -1]), dtype=torch.float32)
    opposite = torch.cat([turns[..., :3] @ back, turns[..., 3:] @ back], -1)
    first = (torch.arange(196) < 140)[:, None]  # rows of the large head
    for wrong in (first, ~first):
        output = torch.cat([shares[..., None], torch.asinh(edges), turns], -1)
        output[..., 5:] = torch.where(wrong, opposite, turns)
        assert dense_loss(output, shares, edges, turns)["dense_angle"] == pytest.approx(0.5, 1e-3)


def test_unlabelled_heads_are_not_denied():
    """In an incomplete picture only the patches of labelled heads are asked for heads."""
    shares = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])
    output = torch.zeros(2, 3, 11)
    output[..., 0] = torch.tensor([[2.0, 5.0, -5.0], [2.0, 5.0, -5.0]])
    targets = shares, torch.zeros(2, 3, 4), torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(2, 3, 6)
    whole = dense_loss(output, *targets)["dense_object"]
    partly = dense_loss(output, *targets, torch.tensor([True, False]))["dense_object"]
    hit = -3 * torch.log(torch.sigmoid(torch.tensor(2.0)))
    false_alarm = -torch.log(torch.sigmoid(torch.tensor(-5.0)))
    quiet = -torch.log(torch.sigmoid(torch.tensor(5.0)))
    assert whole == pytest.approx(float(hit + false_alarm + quiet) / 3, rel=1e-5)
    assert partly == pytest.approx(float(2 * hit + false_alarm + quiet) / 4, rel=1e-5)


def test_an_estimated_truth_is_taught_as_wide_as_it_is_uncertain():
    kinds, values = torch.tensor([ANGLE] * 3), torch.tensor([180.0] * 3)
    target = soft_targets(kinds, values, SIGMAS, torch.tensor([0.0, 1.0, 15.0]))
    assert (target[0] == target[1]).all()  # never narrower than what is exact
    steps = torch.arange(1000.0) - 180
    assert (target[2] * steps**2).sum().sqrt() == pytest.approx(15.0, abs=0.5)
