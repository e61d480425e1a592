# SPDX-License-Identifier: Apache-2.0
"""Image messages to RGB arrays: every encoding, padded rows, byte order, and cv_bridge."""

import sys
from array import array
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from hpe_vlm_ros import images
from hpe_vlm_ros.encodings import ENCODINGS
from hpe_vlm_ros.images import ImageError, bridged_encodings, rgb_to_image, to_rgb
from hpe_vlm_ros.nodes.depth import to_metres

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
    yield "8UC1", grey, np.dstack([grey] * 3)
    yield "8UC3", rgb[:, :, ::-1], rgb
    yield "8UC4", np.dstack([rgb[:, :, ::-1], alpha]), rgb


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(("encoding", "stored", "rgb"), list(colours()))
def test_plain_encodings_are_exact(encoding, stored, rgb, padding):
    found = to_rgb(message(stored, encoding, padding))
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, rgb)


def sixteen_bits():
    """(encoding, stored 16-bit values, the RGB they stand for as 16 bits)."""
    rgb = np.random.default_rng(4).integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
    alpha = rgb[:, :, :1]
    yield "mono16", rgb[:, :, 1], np.dstack([rgb[:, :, 1]] * 3)
    yield "rgb16", rgb, rgb
    yield "bgr16", rgb[:, :, ::-1], rgb
    yield "16UC3", rgb[:, :, ::-1], rgb
    yield "rgba16", np.dstack([rgb, alpha]), rgb
    yield "bgra16", np.dstack([rgb[:, :, ::-1], alpha]), rgb
    yield "16UC4", np.dstack([rgb[:, :, ::-1], alpha]), rgb


@pytest.mark.parametrize("padding", [0, 6, 7])
@pytest.mark.parametrize(("order", "is_bigendian"), [("<u2", 0), (">u2", 1)])
@pytest.mark.parametrize(("encoding", "stored", "rgb"), list(sixteen_bits()))
def test_sixteen_bits_in_either_byte_order(encoding, stored, rgb, order, is_bigendian, padding):
    """Also where rows begin at odd bytes."""
    found = to_rgb(message(stored.astype(order), encoding, padding, is_bigendian=is_bigendian))
    assert found.dtype == np.uint8 and found.shape == rgb.shape
    assert (np.abs(found - rgb / 257) <= 1).all()


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 0), (20, 40, 220), (128, 128, 128)])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize(("bits", "padding"), [(8, 0), (8, 5), (16, 0), (16, 5)])
def test_bayer_mosaics(pattern, bits, padding, colour):
    """Of one colour: each pixel stores the one that the pattern's letter names, row by row."""
    mosaic = np.zeros((HEIGHT, WIDTH), np.uint8 if bits == 8 else ">u2")
    for place, letter in enumerate(pattern):
        value = colour["rgb".index(letter)]
        mosaic[place // 2 :: 2, place % 2 :: 2] = value * (1 if bits == 8 else 257)
    found = to_rgb(message(mosaic, f"bayer_{pattern}{bits}", padding, is_bigendian=1))
    np.testing.assert_allclose(found.astype(int), np.tile(colour, (HEIGHT, WIDTH, 1)), atol=1)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 0), (20, 40, 220), (128, 128, 128)])
@pytest.mark.parametrize(("encoding", "order"), [("nv12", "uv"), ("nv21", "vu")])
@pytest.mark.parametrize("padding", [0, 12])
def test_planes_of_brightness_and_of_half_as_many_colours(encoding, order, padding, colour):
    values = dict(zip("yuv", yuv(colour), strict=True))
    bright = np.full((HEIGHT, WIDTH), round(values["y"]), np.uint8)
    pairs = np.array([round(values[letter]) for letter in order], np.uint8)
    colours = np.tile(pairs, (HEIGHT // 2, WIDTH // 2))
    made = message(np.vstack([bright, colours]), encoding, padding)
    made.height = HEIGHT
    found = to_rgb(made)
    np.testing.assert_allclose(found.astype(int), np.tile(colour, (HEIGHT, WIDTH, 1)), atol=3)
    if not padding:
        for step in (2 * WIDTH, 3 * WIDTH // 2, 0):  # as some drivers count
            made.step = step
            np.testing.assert_array_equal(to_rgb(made), found)


def test_the_planes_lie_where_they_belong():
    """A grey picture whose left half is black and right half white."""
    bright = np.full((HEIGHT, WIDTH), 16, np.uint8)
    bright[:, WIDTH // 2 :] = 235
    grey = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
    made = message(np.vstack([bright, grey]), "nv12")
    made.height = HEIGHT
    found = to_rgb(made)
    assert (found[:, : WIDTH // 2] <= 1).all() and (found[:, WIDTH // 2 :] >= 254).all()


class Buffer:
    """A rosidl Buffer as Lyrical's rosidl_buffer has it: neither an array nor a buffer."""

    backend_type = "cuda"

    def __init__(self, content: bytes, fails: bool = False) -> None:
        self._content, self._fails = content, fails

    def __len__(self) -> int:
        return len(self._content)

    def to_bytes(self) -> bytes:
        if self._fails:
            raise RuntimeError("no device")
        return self._content


def of_buffer(made, **how):
    """The same message, its data in a Buffer."""
    fields = {name: getattr(made, name) for name in made.get_fields_and_field_types()}
    return SimpleNamespace(**fields | {"data": Buffer(bytes(made.data), **how)})


def test_images_on_a_gpu_are_copied_or_refused_by_the_name_of_its_backend():
    rgb = noise(HEIGHT, WIDTH, 3)
    coded = cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()
    compressed = CompressedImage(format="png", data=array("B", coded))
    for made in (message(rgb, "rgb8"), message(rgb, "rgb8", 4), compressed):
        np.testing.assert_array_equal(to_rgb(of_buffer(made)), rgb)
        with pytest.raises(ImageError, match="backend 'cuda'.*no device") as caught:
            to_rgb(of_buffer(made, fails=True))
        assert caught.value.kind == "buffer"
    depth = message(np.full((HEIGHT, WIDTH), 1500, "<u2"), "16UC1")
    np.testing.assert_allclose(to_metres(of_buffer(depth), (WIDTH, HEIGHT)), 1.5, rtol=1e-6)


@pytest.mark.parametrize("kind", [bytes, list, tuple, memoryview, np.array, "strided"])
def test_data_of_other_libraries(kind):
    rgb = noise(HEIGHT, WIDTH, 3)
    content = rgb.tobytes()
    if kind == "strided":
        data = np.repeat(np.frombuffer(content, np.uint8), 2)[::2]
        assert not data.flags.c_contiguous
    else:
        data = kind(array("B", content))
    made = message(rgb, "rgb8")
    fields = {name: getattr(made, name) for name in made.get_fields_and_field_types()}
    np.testing.assert_array_equal(to_rgb(SimpleNamespace(**fields | {"data": data})), rgb)


@given(st.sampled_from(sorted(ENCODINGS)), st.integers(0, 40), st.integers(0, 40), st.data())
def test_whatever_is_sent_gives_a_picture_or_says_why_not(encoding, width, height, data):
    made = SimpleNamespace(
        encoding=encoding,
        width=width,
        height=height,
        step=data.draw(st.integers(0, 400)),
        is_bigendian=data.draw(st.integers(0, 1)),
        data=array("B", bytes(data.draw(st.integers(0, 20_000)))),
    )
    try:
        found = to_rgb(made)
    except ImageError:
        return
    assert found.shape == (height, width, 3) and found.dtype == np.uint8


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
    yield "encoding", message(noise(HEIGHT, WIDTH), "nv24"), "'nv24'"
    yield "encoding", message(noise(HEIGHT, WIDTH), "8UC2"), "'8UC2'"
    yield "size", message(noise(21, WIDTH), "nv12"), "odd height 21"
    yield "short", message(noise(HEIGHT, WIDTH), "nv12"), f"{HEIGHT * WIDTH * 3 // 2} bytes"
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
