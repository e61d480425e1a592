# SPDX-License-Identifier: Apache-2.0
"""DirectMHP's COCO-style JSON."""

import numpy as np
import pytest

from training.data.readers.directmhp import read_directmhp


@pytest.fixture
def folder(tmp_path, picture, write_json):
    """Five listed images, three of them usable, and the annotations around them."""
    for name in ("1.jpg", "2.jpg", "5.jpg"):
        picture(tmp_path / "images" / name, 80, 60)
    picture(tmp_path / "images" / "3.jpg", 60, 80)  # not the size its record says
    images = [
        {"id": n, "file_name": f"{n}.jpg", "height": 60, "width": 80, "seq": "a"}
        for n in range(1, 6)
    ]
    heads = [
        (1, [10, 5, 20, 30], [20.0, 60.0, 10.0]),  # pitch, yaw, roll
        (1, [70, 50, 20, 30], [5.0, -170.0, -3.0]),  # reaches over the corner
        (1, [80, 5, 20, 30], [0.0, 0.0, 0.0]),  # outside
        (2, [10, 5, 20, 30], [0.0, 0.0, 0.0]),
        (2, [30, 5, 20, 30], [95.0, 0.0, 0.0]),  # no pitch of a valid triple
        (2, [30, 5, 20, 30], [float("nan"), 0.0, 0.0]),
        (2, [30, 5, 20, 30], None),
        (3, [10, 5, 20, 30], [0.0, 0.0, 0.0]),
        (4, [10, 5, 20, 30], [0.0, 0.0, 0.0]),  # its picture is missing
        (5, None, [0.0, 0.0, 0.0]),
        (9, [10, 5, 20, 30], [0.0, 0.0, 0.0]),  # of no listed image
    ]
    annotations = [
        {"id": 100 * i + n, "image_id": i, "bbox": box, "euler_angles": triple, "category_id": 1}
        for n, (i, box, triple) in enumerate(heads)
    ]
    write_json(
        tmp_path / "coco_style_sampled_val.json", {"images": images, "annotations": annotations}
    )
    return tmp_path


def read(folder, report):
    return read_directmhp(folder / "coco_style_sampled_val.json", folder / "images", report)


def test_heads_and_boxes(folder, report, head_matrix):
    first, second = read(folder, report)
    assert (first.image_path.name, first.width, first.height, first.focal) == (
        "1.jpg",
        80,
        60,
        None,
    )
    assert [list(head.box) for head in first.heads] == [[10, 5, 30, 35], [70, 50, 80, 60]]
    np.testing.assert_allclose(first.heads[0].rotation, head_matrix(60, 20, 10), atol=1e-12)
    np.testing.assert_allclose(first.heads[1].rotation, head_matrix(-170, 5, -3), atol=1e-12)
    assert first.all_heads and not second.all_heads  # outside is no loss, a lost pose is
    assert len(second.heads) == 1
    assert first.load().shape == (60, 80, 3)


def test_everything_left_out_is_counted(folder, report):
    read(folder, report)
    assert report.left_out == {
        "head outside the picture": 1,
        "head without a valid angle triple": 3,
        "picture of another size than its labels": 1,
        "picture missing": 1,
        "head without a box": 1,
        "picture without a usable head": 1,
        "head of an image that is not listed": 1,
    }
    assert report.kept == {"images": 2, "heads": 3, "expressions": 0}
    assert report.source == {"images": 16216, "heads": 32738}  # by the file's name


@pytest.mark.parametrize("content", [{"annotations": []}, [], {"images": [{}], "annotations": []}])
def test_another_file_is_refused(tmp_path, write_json, content):
    file = write_json(tmp_path / "other.json", content)
    with pytest.raises(ValueError, match=r"other\.json: not a DirectMHP file"):
        read_directmhp(file, tmp_path)


def test_broken_json_is_named(tmp_path):
    (tmp_path / "broken.json").write_text('{"images": [')
    with pytest.raises(ValueError, match=r"broken\.json: not a JSON file"):
        read_directmhp(tmp_path / "broken.json", tmp_path)
