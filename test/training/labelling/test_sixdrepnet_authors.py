# SPDX-License-Identifier: Apache-2.0
"""6DRepNet's published layout, written here with random weights, against plain arithmetic."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional as F

from hpe_vlm_ros.geometry import geodesic_degrees, rotation_from_angles
from training.labelling.networks.sixdrepnet import SixDRepNet
from training.labelling.networks.sixdrepnet_authors import (
    AuthorsSixDRepNet,
    has_their_layout,
    load_authors,
)
from training.labelling.pseudo_labels import named_labellers

# stage and block, channels out and in, groups; the first of every stage halves the picture
BLOCKS = [("layer0", 8, 3, 1), ("layer1.0", 8, 8, 1), ("layer1.1", 8, 8, 2), ("layer2.0", 12, 8, 1)]
BLOCKS += [(f"layer2.{i}", 12, 12, 1 + i % 2) for i in range(1, 12)]


@pytest.fixture
def state():
    torch.manual_seed(0)
    found = {"linear_reg.weight": torch.randn(6, 12), "linear_reg.bias": torch.randn(6)}
    for name, out, inner, groups in BLOCKS:
        weight = torch.randn(out, inner // groups, 3, 3) / (9 * inner / groups) ** 0.5
        found |= {f"{name}.rbr_reparam.weight": weight, f"{name}.rbr_reparam.bias": torch.ones(out)}
    return dict(sorted(found.items()))  # layer2.10 before layer2.2, as files may have it


def test_the_network_is_convolutions_in_order_a_mean_and_six_numbers(state):
    pixels = torch.randn(2, 3, 32, 32)
    x = pixels
    for name, _, _, groups in BLOCKS:
        stride = 1 if name[-2:] != ".0" and "." in name else 2
        x = F.conv2d(
            x, state[f"{name}.rbr_reparam.weight"], state[f"{name}.rbr_reparam.bias"], stride, 1,
            1, groups,
        ).clamp(min=0)  # fmt: skip
    six = F.linear(x.mean((2, 3)), state["linear_reg.weight"], state["linear_reg.bias"])
    first = six[:, :3] / six[:, :3].norm(dim=1, keepdim=True)
    third = torch.linalg.cross(first, six[:, 3:])
    third = third / third.norm(dim=1, keepdim=True)
    expected = torch.stack([first, torch.linalg.cross(third, first), third], -1)
    assert torch.allclose(AuthorsSixDRepNet(state)(pixels), expected, atol=1e-5)


@pytest.mark.parametrize("angles", [(30, 10, -5), (-75, -20, 40)])
def test_their_matrix_is_our_rotation_of_the_same_angles(state, angles, monkeypatch):
    yaw, pitch, roll = angles
    theirs = Rotation.from_euler("xyz", [pitch, yaw, roll], degrees=True).as_matrix()
    model = AuthorsSixDRepNet(state)
    monkeypatch.setattr(model, "forward", lambda x: torch.tensor(theirs)[None])
    image = np.zeros((60, 80, 3), np.uint8)
    (found,) = model.rotations(image, [np.array([10.0, 5, 30, 30])])
    assert geodesic_degrees(found, rotation_from_angles(yaw, pitch, roll)) < 1e-6
    assert model.rotations(image, []).shape == (0, 3, 3)


def test_either_file_is_told_by_what_is_in_it(state, tmp_path):
    theirs, ours = tmp_path / "theirs.pth", tmp_path / "ours.pt"
    torch.save(state, theirs)
    torch.save({"model": SixDRepNet(pretrained=False).state_dict()}, ours)
    assert has_their_layout(theirs) and not has_their_layout(ours)
    for file, kind in ((theirs, AuthorsSixDRepNet), (ours, SixDRepNet)):
        assert isinstance(named_labellers(None, file)["sixdrepnet"], kind)
    del state["linear_reg.bias"]
    torch.save(state, theirs)
    with pytest.raises(ValueError, match="theirs.pth: not the weights"):
        load_authors(theirs)
