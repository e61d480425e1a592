# SPDX-License-Identifier: Apache-2.0
"""Batches depend on the seed and the step alone, not on how many processes share them."""

import pytest
import torch

from hpe_vlm_ros.pictures import ImageError
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from training.data.augment import Augmentation
from training.data.batches import Shares, StepBatches
from training.data.collage import Collage
from training.data.labels import read_labels
from training.data.prompts import PackingOptions


@pytest.fixture
def batches(scenes):
    def make(**packing):
        config = embedded(vision_config={"image_size": 64})
        return StepBatches(
            read_labels(scenes),
            CogVLMProcessor.embedded(config),
            (64, 64),
            config.num_image_tokens,
            batch_size=4,
            seed=5,
            packing=PackingOptions(**packing),
            augmentation=Augmentation(),
            collage=Collage(share=0.5, min_size=4, min_visible=0),
        )

    return make


def test_processes_share_the_pictures_of_a_step(batches):
    whole = batches().part(3)
    parts = [batches().part(3, rank, 2) for rank in (0, 1)]
    together = torch.stack([parts[0].pixel_values, parts[1].pixel_values], 1).flatten(0, 1)
    assert torch.equal(together, whole.pixel_values)
    assert not torch.equal(whole.pixel_values, batches().part(2).pixel_values)


def test_a_sequence_is_dealt_out_step_by_step(batches):
    shares = Shares(batches(), steps=3, world=2)
    assert len(shares) == 6
    assert torch.equal(shares[5].pixel_values, batches().part(2, 1, 2).pixel_values)


def test_questions_every_second_step(batches):
    asked = [(batches(ask_every=2).part(step).targets >= 0).any().item() for step in range(4)]
    assert asked == [True, False, True, False]
    assert not (batches(ask_every=0).part(0).targets >= 0).any()


def test_a_damaged_picture_does_not_end_a_run_but_a_lost_disk_does(batches, caplog):
    damaged = batches()
    first, *others = (sample.image_path for sample in damaged.samples)
    first.write_bytes(first.read_bytes()[:500])
    parts = [damaged.part(step) for step in range(4)]
    assert f"{first.name}: not a picture that OpenCV reads, or cut short" in caplog.text
    assert [len(part.pixel_values) for part in parts] == [4] * 4
    assert torch.equal(damaged.part(2).pixel_values, parts[2].pixel_values)
    for path in others:
        path.unlink()
    with pytest.raises(ImageError):
        damaged.part(0)
