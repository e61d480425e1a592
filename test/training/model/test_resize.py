# SPDX-License-Identifier: Apache-2.0
"""Weights for another size of picture: places are interpolated, all else is what it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.pytorch import checkpoint
from training.model.resize import main, resample, resized
from training.supervision.read_outs import READ_OUTS


@pytest.fixture(scope="module")
def shipped():
    return checkpoint.load_model(default_folder(), "cpu")


def test_a_slope_stays_a_slope():
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    finer = resample(torch.stack((rows, columns), -1).reshape(64, 2), 256).reshape(16, 16, 2)
    inner = (torch.arange(16.0) + 0.5) / 2 - 0.5  # centres of the finer places in the old ones
    torch.testing.assert_close(finer[4:-4, 8, 0], inner[4:-4])
    torch.testing.assert_close(finer[8, 4:-4, 1], inner[4:-4])


def test_the_same_size_is_the_same_model(shipped):
    same = resized(shipped, shipped.config.vision_config.image_size).state_dict()
    for name, tensor in shipped.state_dict().items():
        torch.testing.assert_close(same[name], tensor)


def test_a_resized_folder_answers_and_keeps_what_training_goes_on_from(tmp_path):
    main(default_folder(), tmp_path / "larger", 320)
    perceiver = HeadPerceiver.load(tmp_path / "larger", "cpu", threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    (pose,) = perceiver.poses(picture, [(100.0, 60.0, 180.0, 150.0)])
    assert pose is not None and perceiver.input_size == 320
    known = (default_folder() / READ_OUTS).read_bytes()
    assert (tmp_path / "larger" / READ_OUTS).read_bytes() == known


def test_a_size_that_patches_do_not_fill_is_refused(shipped):
    with pytest.raises(ValueError, match="image_size 250 must be a multiple"):
        resized(shipped, 250)
