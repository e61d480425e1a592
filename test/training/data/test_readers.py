# SPDX-License-Identifier: Apache-2.0
"""What all readers share."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from training.data.readers.common import NoLabel, Report, clip_xywh, picture_size, usable_picture
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


def with_exif(suffix, tiff, after_pixels=False):
    """A picture of 60 x 40 with a TIFF structure as its EXIF block."""
    whole = cv2.imencode(suffix, np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    if suffix == ".jpg":
        segment = b"Exif\0\0" + tiff
        return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
    place = whole.index(b"IEND" if after_pixels else b"IDAT") - 4
    return whole[:place] + chunk(b"eXIf", tiff) + whole[place:]


def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def orientation(order, kind, count, value):
    """A TIFF structure whose only entry is the orientation: byte order, type (3 is a SHORT), how
    many, and the four bytes of the value."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, 1)
    return head + struct.pack(order + "HHI", 0x0112, kind, count) + value + b"\0\0\0\0"


numbers = st.builds(
    lambda layout, value: struct.pack(layout, value).ljust(4, b"\0"),
    st.sampled_from(["<H", ">H", "<I", ">I", "B"]),
    st.integers(0, 9),
)
marks = st.builds(
    orientation,
    st.sampled_from("<>"),
    st.integers(0, 13),
    st.integers(0, 3),
    numbers | st.binary(min_size=4, max_size=4) | st.just(b"6\0\0\0"),
)


@given(marks, st.integers(0, 26), st.sampled_from([".jpg", ".png"]), st.booleans())
def test_size_is_as_the_picture_is_loaded_whatever_its_mark(
    tmp_path_factory, mark, length, suffix, after_pixels
):
    path = tmp_path_factory.getbasetemp() / f"marked{suffix}"
    for block in (mark, mark[:length]):
        path.write_bytes(with_exif(suffix, block, after_pixels))
        height, width = cv2.imread(str(path)).shape[:2]
        picture_size.cache_clear()
        assert picture_size(path) == (width, height)
        assert Sample(path, width, height, None).load().shape == (height, width, 3)


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".avif", ".png", ".jpg"])
@pytest.mark.parametrize("value", [3, 6])
def test_size_of_marked_pictures_of_every_kind(tmp_path, suffix, value):
    path = tmp_path / f"turned{suffix}"
    mark = Image.Exif()
    mark[0x0112] = value
    Image.new("RGB", (60, 40)).save(path, exif=mark)
    assert picture_size(path) == Sample(path, 1, 1, None).load().shape[1::-1]


def test_a_huge_picture_is_counted_and_ends_nothing(tmp_path, report):
    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "pano.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert usable_picture(tmp_path / "pano.png", report) is None
    assert report.left_out == {"picture unreadable": 1}


@given(st.binary(max_size=80), st.integers(0, 160))
def test_no_damaged_picture_ends_a_data_set(tmp_path_factory, damage, place):
    path = tmp_path_factory.getbasetemp() / "odd.jpg"
    whole = with_exif(".jpg", orientation(">", 3, 1, b"\0\6\0\0"))
    path.write_bytes(whole[:place] + damage + whole[place + len(damage) :])
    picture_size.cache_clear()
    report = Report()
    found = usable_picture(path, report)
    assert (found is None) == (report.left_out == {"picture unreadable": 1})


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


def test_report_compares_with_the_source(report, caplog):
    for number in range(8):
        report.leave_out("picture missing", f"{number}.jpg")
    report.finish([], {"images": 1077})
    assert "kept 0 images (the source counts 1,077)" in caplog.text
    assert "left out 8: picture missing (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)" in caplog.text
