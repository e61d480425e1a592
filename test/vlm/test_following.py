# SPDX-License-Identifier: Apache-2.0
"""Boxes of the image before as a draft: exact by default, quicker, and awake to changed scenes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.following import Follower
from hpe_vlm_ros.heads import Heads
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.decoding.engine import Engine

Engines = Callable[..., Engine]
Rgb = NDArray[np.uint8]


def noise(seed: int) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def said(heads: Heads) -> list[tuple]:
    return [(head.box, head.yaw, head.pitch, head.roll) for head in heads]


def test_exact_following_is_full_detection_whatever_comes(tiny_engine: Engines) -> None:
    """Random weights; images that stay, and scenes that change from one to the next."""
    changes = 0
    for seed in range(4):
        perceiver = HeadPerceiver(tiny_engine(seed), max_heads=3)
        for lookahead in (None, 4):
            perceiver._engine.backend.lookahead = lookahead
            follower = Follower()
            scenes = [noise(n) for n in (0, 0, 1, 2, 2, 3)]
            full = [perceiver(scene) for scene in scenes]
            found = [follower.find(perceiver, scene, every=100) for scene in scenes]
            assert list(map(said, found)) == list(map(said, full))
            changes += sum(a.named != b.named for a, b in pairwise(full))
    assert changes > 10


def test_images_that_stay_cost_fewer_forwards(tiny_engine: Engines) -> None:
    calls: list[int] = []
    for seed in range(20):
        engine = tiny_engine(seed)
        perceiver = HeadPerceiver(engine, max_heads=3)
        if 1 < len(perceiver(noise(0)).named) < 6:
            break
    engine.backend.model.lm_head.register_forward_hook(lambda *_: calls.append(1))
    spent = []
    follower = Follower()
    for _ in range(6):
        calls.clear()
        follower.find(perceiver, noise(0), every=3)
        spent.append(len(calls))
    assert spent[0] == spent[3] > spent[1] == spent[2] == spent[4] == spent[5]


class Recorder:
    """A perceiver that remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.named: list[tuple[float, ...]] = [(1.0, 2.0, 3.0, 4.0)]

    def __call__(self, image: object, draft: object = None, slack: int = 0) -> Heads:
        self.asked.append("full" if draft is None else (draft, slack))
        return Heads(named=self.named)  # type: ignore[arg-type]


def test_by_default_each_image_stands_for_itself() -> None:
    perceiver, follower = Recorder(), Follower()
    for _ in range(3):
        follower.find(perceiver, None)
    assert perceiver.asked == ["full"] * 3


def test_full_detection_comes_every_so_many_images_and_where_nobody_was() -> None:
    perceiver, follower = Recorder(), Follower()
    drafted = ([(1.0, 2.0, 3.0, 4.0)], 7)
    for _ in range(5):
        follower.find(perceiver, None, every=3, slack=7)
    assert perceiver.asked == ["full", drafted, drafted, "full", drafted]
    perceiver.asked.clear()
    perceiver.named = []
    for _ in range(3):
        follower.find(perceiver, None, every=9)
    assert perceiver.asked == [([(1.0, 2.0, 3.0, 4.0)], 0), "full", "full"]
