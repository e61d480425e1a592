# SPDX-License-Identifier: Apache-2.0
"""Views of single bodies: marks of the picture stay where the labels say, and what is asked."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.skeleton import ABSENT, COVERED, KEYPOINTS, SEEN
from hpe_vlm_ros.tasks.keypoints import TASK
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from training.data.augment import Augmentation
from training.data.batches import StepBatches
from training.data.bodies import bodies_in, body_view, point_prompts
from training.data.collage import Collage
from training.data.prompts import PackingOptions
from training.data.sample import Appearance, Head, Sample
from training.data.units import draws

SIZE = (320, 320)
BODY = np.array([100.0, 60, 180, 240])
PLAIN = Augmentation(mirror=False, colour=False)


@pytest.fixture(scope="module")
def processor() -> CogVLMProcessor:
    return CogVLMProcessor.embedded(embedded(vision_config={"image_size": 320}))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A body of 80 x 180 pixels whose left wrist is a bright spot, the right one a dim one."""
    points = np.column_stack([np.linspace(110, 170, 17), np.linspace(70, 230, 17), np.full(17, 2)])
    points[KEYPOINTS.index("left knee")] = 0
    points[KEYPOINTS.index("right knee"), 2] = COVERED
    pixels = np.zeros((300, 400, 3), np.uint8)
    for name, brightness in (("left wrist", 255), ("right wrist", 120)):
        x, y, _ = points[KEYPOINTS.index(name)]
        cv2.circle(pixels, (round(x), round(y)), 3, (brightness,) * 3, -1)
    path = tmp_path_factory.mktemp("body") / "one.png"
    cv2.imwrite(str(path), pixels)
    looks = Appearance(BODY, None, frozenset())
    head = Head(np.array([125.0, 60, 147, 84]), np.eye(3), appearance=looks, keypoints=points)
    small = replace(head, appearance=replace(looks, body=BODY / 9), box=head.box / 9)
    unmarked = Head(np.array([300.0, 60, 330, 90]), np.eye(3))
    return Sample(path, 400, 300, None, [unmarked, head, small])


def brightest(view: np.ndarray) -> np.ndarray:
    """The middle of the brightest spot."""
    grey = view.max(2)
    return np.argwhere(grey >= 0.9 * grey.max()).mean(0)[::-1] + 0.5


def test_who_is_large_enough_and_marked(sample: Sample) -> None:
    assert bodies_in(sample) == [1]
    assert draws([sample], "body", PackingOptions(), 320).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="no picture shows a body with keypoints"):
        draws([replace(sample, heads=sample.heads[:1])], "body", PackingOptions(), 320)


@pytest.mark.parametrize("options", [None, PLAIN, replace(PLAIN, mirror=True)])
@pytest.mark.parametrize("seed", range(6))
def test_marks_stay_where_they_are(sample, processor, options, seed) -> None:
    rng = np.random.default_rng(seed)
    view, heads = body_view(sample, 1, SIZE, rng, options, processor.images.resize)
    assert view.shape == (*SIZE, 3) and all(head.rotation is None for head in heads)
    points = heads[1].keypoints
    wrists = points[[KEYPOINTS.index(f"{side} wrist") for side in ("left", "right")]]
    near = np.linalg.norm(wrists[:, :2] - brightest(view), axis=1)
    assert near.min() < 3
    assert near.argmin() == 0 or (options is not None and options.mirror)
    x0, y0, x1, y1 = heads[1].appearance.body
    assert 0 <= x0 < x1 <= 320 and 0 <= y0 < y1 <= 320
    assert max(x1 - x0, y1 - y0) > 320 / 1.1 / 1.6


def test_without_augmentation_the_view_is_the_perceivers(sample, processor) -> None:
    """The square is 1.1 times as wide as the box is long: 200 pixels, about the box's middle."""
    boxes = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        _, heads = body_view(sample, 1, SIZE, rng, None, processor.images.resize)
        boxes.append(tuple(heads[1].appearance.body.round(1)))
    assert len(set(boxes)) == 2  # all that shows, and what is below the head
    shown = next(box for box in boxes if box[2] - box[0] < 150)
    np.testing.assert_allclose(shown, (95.7, 16.6, 224.3, 305.8), atol=3)


def test_what_is_asked_and_answered(sample, processor) -> None:
    rng = np.random.default_rng(1)
    _, heads = body_view(sample, 1, SIZE, rng, None, processor.images.resize)
    tokenizer = processor.tokenizer
    prompts = point_prompts(heads[1], SIZE, tokenizer, 17, rng, complete=True)
    answered = {}
    for prompt in prompts:
        question, answer = tokenizer.decode(prompt.question), tokenizer.decode(prompt.answer[:-1])
        name = next(n for n in KEYPOINTS if f"the {n}" in question)
        answered[name] = TASK.parse(answer).value
        numbers = [v for v, kind in zip(prompt.values, prompt.kinds, strict=True) if kind]
        if answered[name][2] != ABSENT:
            place = heads[1].keypoints[KEYPOINTS.index(name), :2] / 320 * 1000 - 0.5
            np.testing.assert_allclose(numbers, place)
            assert np.abs(answered[name][:2] - place).max() <= 0.5
    assert set(answered) == set(KEYPOINTS)
    assert answered["left knee"] == (0, 0, ABSENT) and answered["right knee"][2] == COVERED
    assert answered["nose"][2] == SEEN
    marked = point_prompts(heads[1], SIZE, tokenizer, 17, rng, complete=False)
    assert len(marked) == 16
    assert len(point_prompts(heads[1], SIZE, tokenizer, 5, rng, complete=True)) == 5


def test_batches_of_bodies(sample, processor) -> None:
    packing = PackingOptions(max_points=4)
    options = (processor, SIZE, 102, 2, 0, packing, Augmentation())
    batches = StepBatches([sample, sample], *options, unit="body")
    batch = batches.part(0)
    assert batch.pixel_values.shape == (2, 3, *SIZE)
    assert [len(batch.prompt_places(row)) for row in range(2)] == [4, 4]
    with pytest.raises(ValueError, match='share 0 for unit "body"'):
        StepBatches([sample, sample], *options, collage=Collage(share=0.5), unit="body")
