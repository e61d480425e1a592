# SPDX-License-Identifier: Apache-2.0
"""What the page shows of images and videos, without a page."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros import __main__ as shell
from hpe_vlm_ros.drawing import MARKED_COLOUR, draw_heads
from hpe_vlm_ros.geometry import HeadShape, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, Heads
from hpe_vlm_ros.people.people import People
from hpe_vlm_ros.pictures import LONGEST
from hpe_vlm_ros.web.viewer import Viewer, looks, thinned


class Two:
    """Finds two heads in any picture: one looks at the camera, one away."""

    model_id, head_shape = "two", HeadShape(0.25, (0.0, 0.0, -0.09))

    def __call__(self, image: np.ndarray) -> Heads:
        width, height = image.shape[1], image.shape[0]
        at = [(0.4, 0.0), (0.7, 70.0)]
        return Heads(
            HeadEstimate(
                (x * width, 0.4 * height, (x + 0.2) * width, 0.7 * height),
                yaw, 0.0, 0.0, rotation_from_angles(yaw, 0.0, 0.0), 0.9,
            )
            for x, yaw in at
        )  # fmt: skip


def test_who_looks_at_the_camera_has_an_amber_box() -> None:
    result = Viewer(Two()).photo(np.full((240, 320, 3), 90, np.uint8))
    assert [looks(person) for person in result.people] == [True, False]
    assert all(0.3 < person.position.point[2] < 2 for person in result.people)
    amber = (np.abs(result.drawing.astype(int) - MARKED_COLOUR).sum(axis=2) < 40).nonzero()[1]
    assert len(amber) and 0.4 * 320 - 3 <= amber.min() and amber.max() <= 0.6 * 320 + 3


def test_marks_belong_to_heads_in_their_order() -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    small, large = Two()(image)
    large = HeadEstimate((0, 0, 100, 100), 0.0, 0.0, 0.0, large.rotation, 0.9)
    drawn = draw_heads(image, [small, large], marked=[True])
    assert np.array_equal(drawn, draw_heads(image, iter([large, small]), marked=[False, True]))
    assert not np.array_equal(drawn, draw_heads(image, [small, large]))


def test_large_images_are_shrunk_and_streams_get_ids() -> None:
    viewer, people = Viewer(Two()), People()
    image = np.zeros((LONGEST, 2 * LONGEST, 3), np.uint8)
    for number in range(4):
        tracked = viewer.follow(image, people, 10**9 + number * 10**8)
    assert tracked.drawing.shape == (LONGEST // 2, LONGEST, 3)
    assert [person.head.id for person in tracked.people] == ["h0001", "h0002"]


def test_a_film_is_answered_ten_times_a_second(tmp_path: Path) -> None:
    source, out = tmp_path / "film.mp4", tmp_path / "heads.webm"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (160, 120))
    for _ in range(60):
        writer.write(np.zeros((120, 160, 3), np.uint8))
    writer.release()
    shares = [share for _, share in Viewer(Two()).film(source, out)]
    assert len(shares) == 20 and shares[-1] == 1.0 and shares == sorted(shares)
    result = cv2.VideoCapture(str(out))
    frames = 0
    while result.grab():
        frames += 1
    assert frames == 20 and result.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.1)
    with pytest.raises(ValueError, match="this is no video that OpenCV can play"):
        next(Viewer(Two()).film(__file__, out))


@given(st.lists(st.integers(0, 5 * 10**9), max_size=60), st.sampled_from([1.0, 5.0, 10.0]))
def test_no_second_has_more_frames_than_that(stamps: list[int], rate: float) -> None:
    stamps = sorted(stamps)
    chosen = thinned(stamps, rate)
    assert chosen[:1] == ([0] if stamps else [])
    steps = np.diff([stamps[index] for index in chosen])
    assert (steps >= 0.98e9 / rate).all()
    for left, right in zip(chosen, [*chosen[1:], len(stamps)], strict=False):
        assert all(stamps[k] - stamps[left] < 1e9 / rate for k in range(left, right))


def test_without_gradio_the_error_names_the_file(monkeypatch, capsys) -> None:
    monkeypatch.setattr(shell, "find_spec", lambda name: None)
    assert shell.main(["demo-web"]) == 1
    assert "install this package's requirements-web.txt" in capsys.readouterr().err
