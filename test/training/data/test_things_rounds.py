# SPDX-License-Identifier: Apache-2.0
"""Named points in rounds: groups, conversations, views of things, and the shuffled control."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.tasks.keypoints import TASK
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from training.data.augment import Augmentation
from training.data.batches import StepBatches
from training.data.prompts import PackingOptions
from training.data.sample import Sample, Thing
from training.data.things import (
    group_count,
    groups,
    round_prompts,
    shuffled_names,
    thing_of,
    thing_view,
)
from training.data.units import ALL, draws

SIZE = (64, 64)
# of words that the embedded model knows
GLASSES = Thing(
    "glasses",
    np.array([10.0, 20, 50, 40]),
    ("left side", "right side", "bottom", "top", "middle"),
    np.array([[12.0, 30, 2], [48, 30, 1], [0, 0, 0], [30, 21, 2], [30, 30, 2]]),
    ("beside the top", "near the bottom", "", "", ""),
)


@pytest.fixture(scope="module")
def processor() -> CogVLMProcessor:
    return CogVLMProcessor.embedded(embedded(vision_config={"image_size": 64}))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A white spot at the first point, on black."""
    pixels = np.zeros((80, 100, 3), np.uint8)
    cv2.circle(pixels, (12, 30), 2, (255, 255, 255), -1)
    path = tmp_path_factory.mktemp("things") / "one.png"
    cv2.imwrite(str(path), pixels)
    return Sample(path, 100, 80, None, all_heads=False, things=[GLASSES])


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 99))
def test_groups_hold_every_point_and_are_full(count, k, seed) -> None:
    found = groups(count, k, np.random.default_rng(seed))
    assert {len(group) for group in found} == {min(k, count)} and len(found) == -(-count // k)
    assert all(len(set(group)) == len(group) for group in found)
    assert {number for group in found for number in group} == set(range(count))


def test_a_group_of_no_points_is_refused() -> None:
    with pytest.raises(ValueError, match="max_points >= 1"):
        groups(3, 0, np.random.default_rng(0))


def test_groups_are_counted_over_all_things() -> None:
    small = replace(GLASSES, category="hat", names=GLASSES.names[:2])
    things = [GLASSES, small]
    assert group_count(things, 2) == 4
    found = [thing_of(things, number, 2) for number in range(4)]
    assert [(thing.category, own) for thing, own in found] == [
        ("glasses", 0), ("glasses", 1), ("glasses", 2), ("hat", 0),
    ]  # fmt: skip
    with pytest.raises(IndexError):
        thing_of(things, 4, 2)


def test_a_round_sees_those_before_it(processor) -> None:
    tokenizer = processor.tokenizer
    first, second = round_prompts(GLASSES, [1, 2, 0], SIZE, tokenizer, described=True)
    assert second.question[: len(first.question)] == first.question
    whole = tokenizer.decode([*second.question, *second.answer], skip_special_tokens=True)
    place = "For the glasses inside the bounding box [[156,312,781,625]], where is the "
    assert whole.replace("</s>", "") == (
        f"{place}right side, near the bottom?The point is hidden at [[750,468]]."
        f"{place}left side, beside the top?The point is visible at [[187,468]]."
    )
    assert TASK.parse(tokenizer.decode(second.answer[:-1])).value == (187, 468, 2)


def test_descriptions_are_told_or_not(processor) -> None:
    (prompt,) = round_prompts(GLASSES, [0], SIZE, processor.tokenizer, described=False)
    assert processor.tokenizer.decode(prompt.question).endswith("where is the left side?")


def test_a_word_that_the_model_lacks_is_refused_by_name(processor) -> None:
    kettle = replace(GLASSES, category="kettle")
    with pytest.raises(ValueError, match="lacks words of 'the left side' of the kettle"):
        round_prompts(kettle, [0], SIZE, processor.tokenizer, described=False)


@given(st.integers(0, 999))
def test_shuffled_names_are_all_wrong(seed) -> None:
    other = shuffled_names(GLASSES, np.random.default_rng(seed))
    assert sorted(other.names) == sorted(GLASSES.names)
    assert all(a != b for a, b in zip(other.names, GLASSES.names, strict=True))
    told = dict(zip(GLASSES.names, GLASSES.descriptions, strict=True))
    assert all(told[n] == d for n, d in zip(other.names, other.descriptions, strict=True))
    assert other.points is GLASSES.points


@pytest.mark.parametrize("options", [None, Augmentation(colour=False)])
def test_points_stay_on_what_they_mark(sample, processor, options) -> None:
    there = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        view, seen = thing_view(sample, GLASSES, SIZE, rng, options, processor.images.resize)
        assert seen.points[2].tolist() == [0, 0, 0]
        if not seen.points[0, 2]:
            continue  # shaken out of the view
        there += 1
        grey = view.max(2)
        spot = np.argwhere(grey >= 0.9 * grey.max()).mean(0)[::-1] + 0.5
        assert np.linalg.norm(seen.points[0, :2] - spot) < 3
    assert there >= (6 if options else 12)


def test_batches_hold_each_point_in_an_epoch(sample, processor) -> None:
    packing, named = PackingOptions(max_points=2), {**vars(GLASSES)}
    points = np.array([[12.0, 30, 2]] * 5)  # all seen
    shown = replace(sample, things=[Thing(**named | {"points": points})])
    batches = StepBatches(
        [shown],
        processor,
        SIZE,
        processor.facts.num_image_tokens,
        3,
        7,
        packing,
        None,
        unit="thing",
    )
    assert batches.draws.tolist() == [[0, 0], [0, 1], [0, 2]]
    told = []
    for epoch in (0, 1, 2):
        batch = batches.part(epoch)
        assert not batch.complete.any() and batch.heads == [[], [], []]
        texts = [processor.tokenizer.decode(row.tolist()) for row in batch.input_ids]
        assert [len(batch.prompt_places(row)) for row in range(3)] == [2, 2, 2]
        asked = Counter(n for text in texts for n in GLASSES.names if f"where is the {n}" in text)
        assert set(asked) == set(GLASSES.names)
        told.append(tuple(sorted(texts)))
    assert len(set(told)) > 1
    assert (batches.part(1).input_ids == batches.part(1).input_ids).all()


def test_things_are_rehearsed_beside_pictures(sample, processor) -> None:
    options = (processor, SIZE, processor.facts.num_image_tokens, 2, 0, PackingOptions(), None)
    batches = StepBatches([sample], *options, rehearsal=[sample], unit="thing")
    assert batches.draws[-1].tolist() == [1, ALL]
    assert batches.part(0).pixel_values.shape[0] == 2
    with pytest.raises(ValueError, match="no picture shows a thing with named points"):
        draws([replace(sample, things=[])], "thing", PackingOptions(), 64)
