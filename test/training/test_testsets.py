# SPDX-License-Identifier: Apache-2.0
"""The test sets in the repository are whole, and are what they are said to be."""

import numpy as np
import pytest

from hpe_vlm_ros.geometry import angles_from_rotations
from training.data.describing import describe
from training.data.labels import read_labels
from training.testsets import PANOPTIC, SCENES

INPUT, SMALLEST, VISIBLE = 224, 32.0, 0.2


@pytest.fixture(scope="module")
def panoptic():
    return read_labels(PANOPTIC)


@pytest.mark.parametrize("folder", [PANOPTIC, SCENES], ids=lambda folder: folder.name)
def test_every_picture_is_labelled_once(folder):
    samples = read_labels(folder)
    labelled = [sample.image_path.name for sample in samples]
    assert sorted(labelled) == sorted(path.name for path in (folder / "images").iterdir())
    for sample in samples[:: len(samples) // 4]:
        assert sample.load().shape == (sample.height, sample.width, 3)


def counted(sample):
    scale = INPUT / sample.width * INPUT / sample.height
    return [
        head
        for head in sample.heads
        if head.visible >= VISIBLE and np.prod(head.box[2:] - head.box[:2]) * scale >= SMALLEST**2
    ]


def test_the_panoptic_set_has_the_heads_it_must(panoptic):
    heads = [head for sample in panoptic for head in counted(sample)]
    assert len(heads) >= 5000
    crowds = [sum(h.visible >= VISIBLE for h in sample.heads) >= 3 for sample in panoptic]
    assert np.mean(crowds) >= 0.4
    angles, valid = angles_from_rotations(np.stack([head.rotation for head in heads]))
    assert np.mean(np.abs(angles[valid, 0]) > 90) >= 0.4 and valid.mean() > 0.9
    tones = [head.tone for head in heads]
    assert min(tones.count(tone) for tone in ("light", "medium", "dark")) > 0.1 * len(heads)


def test_heads_are_small_and_large(panoptic):
    sizes = [
        np.prod(h.box[2:] - h.box[:2]) ** 0.5 for s in panoptic for h in s.heads if h.visible > 0.9
    ]
    shares = np.histogram(np.log(sizes), np.log([12, 24, 48, 96, 200]))[0] / len(sizes)
    assert shares.min() > 0.12


def test_people_can_be_told_apart_by_words_never_taught(panoptic):
    found = [e for sample in panoptic for e in describe(sample.heads, sample.width, withheld=True)]
    assert len(found) > 500


def test_the_panoptic_set_is_small_enough():
    assert sum(p.stat().st_size for p in PANOPTIC.rglob("*.*")) <= 40e6
