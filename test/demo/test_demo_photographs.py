# SPDX-License-Identifier: Apache-2.0
"""The moving camera of the demo, and what it looks at."""

import json

import cv2
import numpy as np
import pytest

from demo.photographs import (
    FPS,
    HEIGHT,
    WIDTH,
    Clip,
    View,
    frames,
    look,
    photograph_clips,
    scene_clips,
)


def dot(at, size=(900, 700)):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(picture, at, 9, (255, 255, 255), -1)
    return picture


def found(pixels):
    """The middle (x, y) of what is bright."""
    y, x = np.nonzero(pixels[..., 0] > 100)
    return np.array([x.mean() + 0.5, y.mean() + 0.5])


@pytest.mark.parametrize("view", [View(500, 300, 320, 25), View(450, 350, 1500, -40)])
def test_the_camera_of_a_moved_picture(view):
    centre, focal, at = (430, 330), 800.0, (520, 290)
    seen, camera = look(Clip("", dot(at), focal, centre, [view], 1), view)
    assert seen.shape == (HEIGHT, WIDTH, 3)
    # The ray of the dot, turned against the camera's turn, meets the moved picture's dot.
    ray = np.array([at[0] - centre[0], at[1] - centre[1]]) / focal
    turn = np.radians(view.turn)
    back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    expected = back @ ray * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    np.testing.assert_allclose(found(seen), expected, atol=1.5)
    assert camera.fx == camera.fy == pytest.approx(focal * WIDTH / view.width)


def test_without_a_principal_point_it_is_the_middle():
    view = View(200, 200, 300)
    _, camera = look(Clip("", dot((1, 1)), 500.0, None, [view], 1), view)
    assert (camera.cx, camera.cy) == pytest.approx((WIDTH / 2, HEIGHT / 2))


def test_frames_come_at_the_rate_of_a_camera():
    clip = Clip("dot", dot((300, 300)), 500.0, None, [View(200, 200, 300), View(400, 400, 300)], 12)
    sent = list(frames([clip, clip], start=10**18))
    stamps = np.array([frame.stamp for frame in sent])
    assert len(sent) == 24 and {frame.caption for frame in sent} == {"dot"}
    np.testing.assert_allclose(np.diff(stamps) / 1e9, 1 / FPS, atol=0.007)
    assert sent[0].info.header == sent[0].image.header and sent[0].image.header.frame_id


def test_people_in_photographs_come_first():
    clips = photograph_clips()
    assert [clip.name for clip in clips[:2]] == ["astronaut", "cameraman"]
    assert clips[-1].name == "wall"
    astronaut = look(clips[0], clips[0].views[-1])[0].astype(int)
    suit = astronaut[-20:, 120:200].mean(axis=(0, 1))
    assert suit[0] > suit[2] + 60  # orange, not blue


def test_rendered_scenes_with_most_heads_are_shown(tmp_path):
    assert scene_clips(tmp_path) == []
    records = []
    for number, count in enumerate((1, 3, 2)):
        heads = [{"box": [5, 5, 50, 50], "rotation": np.eye(3).tolist(), "visible": 1.0}] * count
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / name), np.full((240, 320, 3), 80 * number, np.uint8))
        record = {"image": name, "width": 320, "height": 240, "focal": 300.0, "heads": heads}
        records.append(json.dumps(record))
    (tmp_path / "labels.jsonl").write_text("\n".join(records))
    (clip,) = scene_clips(tmp_path, count=1)
    assert clip.picture[0, 0, 0] == 80 and clip.centre == (160, 120) and clip.focal == 300
