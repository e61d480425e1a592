# SPDX-License-Identifier: Apache-2.0
"""Image messages to RGB arrays: every encoding, padded rows, byte order, and cv_bridge."""

import sys
from array import array
from types import ModuleType

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from hpe_vlm_ros.nodes import images
from hpe_vlm_ros.nodes.images import ImageError, bridged_encodings, rgb_to_image, to_rgb

HEIGHT, WIDTH = 18, 20


def noise(*shape):
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def message(rows, encoding, padding=0, **fields):
    """An image message of rows (H, W, ...) of any type, each followed by `padding` bytes."""
    height, width = rows.shape[:2]
    packed = np.ascontiguousarray(rows).view(np.uint8).reshape(height, -1)
    padded = np.hstack([packed, np.full((height, padding), 77, np.uint8)])
    made = Image(height=height, width=width, encoding=encoding, step=padded.shape[1], **fields)
    made.data = array("B", padded.tobytes())
    return made


def deep():
    """One channel of 16 bits, as cameras of depth have it."""
    return noise(HEIGHT, WIDTH).astype(np.uint16) * 256


def coded(suffix, pixels, format):
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    return CompressedImage(format=format, data=array("B", data))


def colours():
    """(encoding, stored pixels, the RGB they stand for), the latter worked out here."""
    rgb, alpha = noise(HEIGHT, WIDTH, 3), noise(HEIGHT, WIDTH, 1)
    grey = rgb[:, :, 0]
    yield "rgb8", rgb, rgb
    yield "bgr8", rgb[:, :, ::-1], rgb
    yield "rgba8", np.dstack([rgb, alpha]), rgb
    yield "bgra8", np.dstack([rgb[:, :, ::-1], alpha]), rgb
    yield "mono8", grey, np.dstack([grey] * 3)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(("encoding", "stored", "rgb"), list(colours()))
def test_plain_encodings_are_exact(encoding, stored, rgb, padding):
    found = to_rgb(message(stored, encoding, padding))
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, rgb)


@pytest.mark.parametrize(("order", "is_bigendian"), [("<u2", 0), (">u2", 1)])
def test_sixteen_bits_in_either_byte_order(order, is_bigendian):
    levels = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    found = to_rgb(message(levels.astype(order), "mono16", 6, is_bigendian=is_bigendian))
    assert (np.abs(found[:, :, 1] - levels / 257) <= 1).all()
    assert found[0, 0, 0] == 0 and found[-1, -1, 2] == 255


def yuv(rgb):
    """Full-range-limited BT.601 luma and colour differences of one colour."""
    r, g, b = (float(c) for c in rgb)
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    return y, 128 - 0.148 * r - 0.291 * g + 0.439 * b, 128 + 0.439 * r - 0.368 * g - 0.071 * b


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 0), (20, 40, 220), (128, 128, 128)])
@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_yuv_pairs(encoding, order, padding, colour):
    values = dict(zip("yuv", yuv(colour), strict=True))
    pair = np.array([round(values[c]) for c in order], np.uint8).reshape(1, 2, 2)
    found = to_rgb(message(np.tile(pair, (HEIGHT, WIDTH // 2, 1)), encoding, padding))
    np.testing.assert_allclose(found.astype(int), np.tile(colour, (HEIGHT, WIDTH, 1)), atol=3)


def test_a_step_of_zero_means_packed_rows_and_the_last_row_needs_no_padding():
    rgb = noise(HEIGHT, WIDTH, 3)
    packed = message(rgb, "rgb8")
    packed.step = 0
    np.testing.assert_array_equal(to_rgb(packed), rgb)
    padded = message(rgb, "rgb8", 4)
    padded.data = padded.data[:-4]
    np.testing.assert_array_equal(to_rgb(padded), rgb)


def broken():
    good = message(noise(HEIGHT, WIDTH, 3), "rgb8")
    yield "empty", Image(), "camera driver"
    yield "encoding", message(noise(HEIGHT, WIDTH), "bayer_rggb8"), "'bayer_rggb8'"
    yield "size", message(noise(1, 1, 3), "rgb8"), "1x1"
    yield "size", message(noise(HEIGHT, 21, 2), "yuv422"), "odd width 21"
    lacking = message(noise(HEIGHT, WIDTH, 3), "rgb8")
    lacking.data = lacking.data[:-1]
    yield "short", lacking, f"{HEIGHT * WIDTH * 3} bytes"
    good.step = WIDTH * 3 - 1
    yield "short", good, f"at least {WIDTH * 3}"
    yield "empty", CompressedImage(format="jpeg"), "0 bytes"
    yield "undecodable", CompressedImage(format="jpeg", data=array("B", b"text")), "'jpeg', 4 bytes"
    yield "encoding", message(deep(), "16UC1"), "'16UC1' is a depth image: set image_topic"
    yield "encoding", message(deep().astype(np.float32), "32FC1"), "colour camera"
    depth = CompressedImage(format="16UC1; compressedDepth", data=array("B", b"text"))
    yield "encoding", depth, "colour camera"
    yield (
        "encoding",
        coded(".jpg", deep().astype(np.uint8), "16UC1; jpeg compressed "),
        "depth image",
    )
    yield "encoding", coded(".png", deep(), "16UC1; png compressed "), "depth image"
    yield "encoding", coded(".tiff", deep().astype(np.float32), "32FC1; tiff compressed "), "depth"
    yield "encoding", coded(".png", deep(), "png"), "one channel of 16 bits"
    yield "encoding", coded(".tiff", deep(), "tiff"), "one channel of 16 bits"


@pytest.mark.parametrize(("kind", "bad", "words"), list(broken()))
def test_bad_images_say_what_and_what_to_do(kind, bad, words):
    with pytest.raises(ImageError) as caught:
        to_rgb(bad)
    assert caught.value.kind == kind
    assert words in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".jpg"])
def test_grey_of_8_bits_and_colour_of_16_are_no_depth(suffix):
    grey = np.repeat(noise(HEIGHT, WIDTH)[:, :1], WIDTH, 1)
    np.testing.assert_allclose(to_rgb(coded(suffix, grey, "mono8"))[..., 0], grey, atol=40)
    if suffix != ".jpg":
        bgr = noise(HEIGHT, WIDTH, 3).astype(np.uint16) * 256
        np.testing.assert_allclose(to_rgb(coded(suffix, bgr, "x"))[..., ::-1], bgr // 256, atol=1)


def test_compressed_images_keep_the_pixels_as_coded():
    rgb = noise(HEIGHT, WIDTH, 3)
    coded = cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()
    found = to_rgb(CompressedImage(format="png", data=array("B", coded)))
    np.testing.assert_array_equal(found, rgb)
    small = cv2.imencode(".png", noise(1, 1, 3))[1].tobytes()
    with pytest.raises(ImageError, match="1x1"):
        to_rgb(CompressedImage(format="png", data=array("B", small)))


def test_an_orientation_tag_is_not_applied():
    jpeg = cv2.imencode(".jpg", noise(HEIGHT, WIDTH, 3))[1].tobytes()
    # One TIFF entry: orientation (0x0112), a short, one value: 6, a quarter turn.
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    tagged = jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]
    turned = cv2.imdecode(np.frombuffer(tagged, np.uint8), cv2.IMREAD_COLOR)
    assert turned.shape == (WIDTH, HEIGHT, 3), "the tag does not work, so this test proves nothing"
    found = to_rgb(CompressedImage(format="jpeg", data=array("B", tagged)))
    assert found.shape == (HEIGHT, WIDTH, 3)


def test_an_array_becomes_a_message_and_comes_back():
    rgb = noise(HEIGHT, WIDTH, 3)
    made = rgb_to_image(rgb, Header(frame_id="camera"))
    assert made.header.frame_id == "camera"
    np.testing.assert_array_equal(to_rgb(made), rgb)


@pytest.fixture
def fresh_bridge(monkeypatch):
    """Installs a cv_bridge module for one test."""

    def install(convert):
        module = ModuleType("cv_bridge")
        module.CvBridge = type("CvBridge", (), {"imgmsg_to_cv2": staticmethod(convert)})
        monkeypatch.setitem(sys.modules, "cv_bridge", module)
        forget()

    def forget():
        images._bridge.cache_clear()
        bridged_encodings.cache_clear()

    yield install
    forget()


def test_cv_bridge_is_used_where_its_arrays_are_equal(fresh_bridge):
    calls = []

    def convert(image, desired_encoding):
        calls.append(image.encoding)
        assert desired_encoding == "rgb8"
        if image.encoding not in ("rgb8", "bgr8"):
            raise TypeError("unknown to this version")
        pixels = images._convert(image)
        return pixels if image.encoding == "rgb8" else pixels[:, :, ::-1]  # bgr8: colours swapped

    fresh_bridge(convert)
    assert bridged_encodings() == {"rgb8"}
    calls.clear()
    for encoding, stored, rgb in colours():
        for padding in (0, 4):
            np.testing.assert_array_equal(to_rgb(message(stored, encoding, padding)), rgb)
        np.testing.assert_array_equal(to_rgb(message(stored, encoding, padding=4)), rgb)
    assert calls == ["rgb8"], "only what it can do, and no padded rows"


def test_a_cv_bridge_that_cannot_be_imported_is_done_without(fresh_bridge, monkeypatch, capsys):
    class Broken(ModuleType):
        def __getattr__(self, name):
            print("A module compiled with another numpy", file=sys.stderr)
            raise AttributeError(name)

    fresh_bridge(None)
    monkeypatch.setitem(sys.modules, "cv_bridge", Broken("cv_bridge"))
    assert bridged_encodings() == frozenset()
    assert capsys.readouterr().err == ""
    for encoding, stored, rgb in colours():
        for padding in (0, 4):
            np.testing.assert_array_equal(to_rgb(message(stored, encoding, padding)), rgb)


def test_the_installed_cv_bridge_gives_equal_arrays():
    pytest.importorskip("cv_bridge", reason="no cv_bridge here: a ROS 2 install has it")
    for encoding, stored, rgb in colours():
        for padding in (0, 4):
            np.testing.assert_array_equal(to_rgb(message(stored, encoding, padding)), rgb)
