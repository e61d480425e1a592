# SPDX-License-Identifier: Apache-2.0
"""What all readers share."""

import os
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from training.data.reading import (
    NoLabel,
    clip_xywh,
    load_plain_pickle,
    picture_size,
    subsample,
    usable_picture,
)
from training.data.sample import Sample

sizes = st.floats(-50, 150)


@given(sizes, sizes, st.floats(-10, 100), st.floats(-10, 100))
def test_a_clipped_box_is_what_of_it_is_in_the_picture(x, y, w, h):
    if min(x + w, 100) > max(x, 0) and min(y + h, 80) > max(y, 0):
        box = clip_xywh([x, y, w, h], (100, 80))
        assert list(box) == [max(x, 0), max(y, 0), min(x + w, 100), min(y + h, 80)]
    else:
        with pytest.raises(NoLabel, match="object outside the picture") as fault:
            clip_xywh([x, y, w, h], (100, 80), "object")
        assert not fault.value.seen


@pytest.mark.parametrize("box", [None, [1, 2, 3], [1, 2, 3, "a"], [1, 2, 3, float("nan")]])
def test_a_box_that_is_none_is_refused(box):
    with pytest.raises(NoLabel, match="head without a box") as fault:
        clip_xywh(box, (100, 80))
    assert fault.value.seen


def test_size_is_as_opencv_shows_the_picture(tmp_path):
    path = tmp_path / "turned.jpg"
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera lay on its side
    Image.new("RGB", (60, 40)).save(path, exif=turned)
    height, width = cv2.imread(str(path)).shape[:2]
    assert picture_size(path) == (width, height) == (40, 60)


def test_pictures_that_cannot_be_used_are_counted(tmp_path, picture, report):
    good = picture(tmp_path / "good.jpg", 64, 48)
    (tmp_path / "text.jpg").write_text("not a picture")
    assert usable_picture(good, report) == (64, 48)
    assert usable_picture(good, report, (64, 47)) is None
    assert usable_picture(tmp_path / "text.jpg", report) is None
    assert usable_picture(tmp_path / "none.jpg", report) is None
    assert report.left_out == {
        "picture of another size than its labels": 1,
        "picture unreadable": 1,
        "picture missing": 1,
    }
    assert "none.jpg" in str(report)


def test_truncated_pictures_are_found_by_decoding(tmp_path, picture):
    path = picture(tmp_path / "half.jpg", 64, 48)
    path.write_bytes(path.read_bytes()[:900])
    assert picture_size(path) == (64, 48)
    with pytest.raises(ValueError, match="half.jpg"):
        picture_size(path, decode=True)


class _Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_cannot_run_code(tmp_path):
    marker, file = tmp_path / "ran", tmp_path / "refs.p"
    file.write_bytes(pickle.dumps([{"ref_id": 1}, _Bomb(marker)]))
    with pytest.raises(ValueError, match=r"refs\.p: refused.*mkdir"):
        load_plain_pickle(file)
    assert not marker.exists()
    pickle.loads(file.read_bytes())  # the ordinary loader would have
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read(tmp_path, protocol):
    content = [{"a": (1, 2.5, None, True), "b": ["text", "ü"]}, 10**20]
    file = tmp_path / "plain.p"
    file.write_bytes(pickle.dumps(content, protocol))
    assert load_plain_pickle(file) == content


@given(st.binary(max_size=60))
def test_damaged_pickles_are_refused_or_plain(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "damaged.p"
    file.write_bytes(content)
    try:
        value = load_plain_pickle(file)
    except ValueError as error:
        assert "damaged.p" in str(error)
    else:
        assert type(value).__module__ == "builtins"


def test_report_compares_with_the_source(report, caplog):
    for number in range(8):
        report.leave_out("picture missing", f"{number}.jpg")
    report.finish([], {"images": 1077})
    assert "kept 0 images (the source counts 1,077)" in caplog.text
    assert "left out 8: picture missing (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)" in caplog.text


def test_a_subsample_is_the_same_for_the_same_seed():
    samples = [Sample(None, n, 1, None) for n in range(1000)]
    chosen = [s.width for s in subsample(samples, 10, seed=3)]
    assert len(set(chosen)) == 10 and chosen == sorted(chosen)
    assert chosen == [s.width for s in subsample(samples, 10, seed=3)]
    assert chosen != [s.width for s in subsample(samples, 10, seed=4)]
    assert subsample(samples, 2000, seed=3) == samples
    assert np.mean([s.width for s in subsample(samples, 500, seed=0)]) == pytest.approx(500, abs=40)
