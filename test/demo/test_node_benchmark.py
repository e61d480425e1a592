# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and ends in one line of JSON; its numbers are nobody's business here."""

import json

import pytest

from benchmarks.pictures import SIZE, collage, picture_with
from hpe_vlm_ros.perceiver import HeadPerceiver


def test_the_last_line_is_json(start):
    options = ["--frames", 2, "--threads", 1, "--heads", 1, 40]
    running = start("benchmarks.node", *options)  # the shipped model: it starts without PyTorch
    assert running.finish() == 0, running.output
    assert not running.left_over()
    content = json.loads(running.output.splitlines()[-1])
    assert content["heads"] == [1, 40] and content["frames"] == 2 and content["threads"] == 1
    assert content["model"] == HeadPerceiver.load().model_id and content["size"] == [640, 480]
    for name in ("fps", "latency_p50_ms", "latency_p95_ms", "fps_without_prefix_reuse", "ratio"):
        measured, impossible = content[name]
        assert measured > 0 and impossible is None, name  # it names fewer heads than 40
    assert content["ratio"][0] == pytest.approx(
        content["fps"][0] / content["fps_without_prefix_reuse"][0], rel=0.05
    )


@pytest.mark.parametrize("heads", [0, 1, 2, 5, 19])
def test_collages_show_so_many_portraits(heads):
    pixels = collage(heads, 128).pixels
    assert pixels.shape == (SIZE[1], SIZE[0], 3)
    orange = (pixels[..., 0] > 180) & (pixels[..., 2] < 90)
    assert bool(orange.any()) == bool(heads)
    one = ((collage(1, 64).pixels != collage(0, 64).pixels).any(axis=2)).sum()
    shown = ((collage(heads, 64).pixels != collage(0, 64).pixels).any(axis=2)).sum()
    assert shown == pytest.approx(heads * one, rel=0.01)


def test_a_picture_is_chosen_by_what_the_model_finds(tmp_path):
    tried = []

    def second(rgb):
        tried.append(rgb)
        return len(tried)

    assert picture_with(2, second, tmp_path).pixels is tried[1]
    assert picture_with(2, lambda rgb: 7, tmp_path) is None
