# SPDX-License-Identifier: Apache-2.0
"""One head before pinhole, cut, binned, rectified and bent pictures: one place, one pose."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cameras import DIAMETER, OFFSET, SIZE, Camera, bent, smallest_turn, tell
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpe_vlm_ros.camera_model import MISSING, Calibration, described, is_rectified, known_camera
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape, geodesic_degrees, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, seen_by
from hpe_vlm_ros.lens import LensCamera, as_numbers, fisheye_points, fisheye_rays, from_numbers
from hpe_vlm_ros.mounting import Mounting
from hpe_vlm_ros.people.distance import Source, locate

SHAPE = HeadShape(DIAMETER, OFFSET)
BARREL = (-0.3, 0.1, 0.001, -0.002, 0.0)
RATIONAL = (0.4, -0.1, 0.001, 0.002, 0.05, 0.6, -0.05, 0.01)
RECTIFIED = {"p": (420.0, 430.0, 310.0, 250.0), "rectified": True}
STEREO = smallest_turn(np.array([0.03, -0.02, np.sqrt(1 - 0.0013)]))
CAMERAS = {
    "pinhole": Camera(),
    "four coefficients": Camera(d=BARREL[:4]),
    "plumb_bob": Camera(d=BARREL),
    "eight coefficients": Camera(model="rational_polynomial", d=RATIONAL),
    "twelve coefficients": Camera(
        model="rational_polynomial", d=(*RATIONAL, 0.01, -0.005, 0.008, 0.002)
    ),
    "fourteen, no tilt": Camera(
        model="rational_polynomial", d=(*RATIONAL, 0.01, -0.005, 0.008, 0.002, 0.0, 0.0)
    ),
    "fisheye": Camera(focal=(200.0, 205.0), model="equidistant", d=(0.01, 0.02, -0.004, 0.001)),
    "ideal fisheye": Camera(focal=(200.0, 200.0), model="equidistant", d=(0.0,) * 4),
    "region": Camera(cut=(60, 40, 420, 400)),
    "binned": Camera(binned=(2, 2)),
    "binned in one direction": Camera(binned=(2, 1)),
    "half the size": Camera(shrunk=0.5),
    "three quarters of the size": Camera(shrunk=0.75),
    "region, binned, bent": Camera(d=BARREL, cut=(60, 40, 420, 400), binned=(2, 2)),
    "region of a fisheye, shrunk": Camera(
        focal=(200.0, 205.0), model="equidistant", d=(0.01,), cut=(60, 40, 420, 400), shrunk=0.5
    ),
    "rectified": Camera(d=BARREL, **RECTIFIED),
    "rectified fisheye": Camera(model="equidistant", d=(0.01,), **RECTIFIED),
    "rectified, region, binned": Camera(
        d=BARREL, cut=(60, 40, 420, 400), binned=(2, 2), **RECTIFIED
    ),
    "right camera of a pair": Camera(d=BARREL, tx=-42.0, **RECTIFIED),
    "raw, of a pair": Camera(d=BARREL, p=RECTIFIED["p"], axes=STEREO),
}
heads = st.tuples(
    st.floats(-0.35, 0.35), st.floats(-0.25, 0.25), st.floats(1, 5), st.floats(-170, 170)
)


def seen(told, rectified, quarters=0):
    """Rotation and position as the package finds them."""
    known = described(Calibration.read(told.info), *told.size, rectified)
    assert not known.warning
    mounting = Mounting(90 * quarters, told.size)
    camera, size = mounting.camera(known.camera), mounting.upright_size
    head = HeadEstimate(told.box, 0.0, 0.0, 0.0, told.rotation_told, 0.9)
    (found,) = seen_by(camera, [head], size, mounting.turn)
    return found.rotation, locate(told.box, found.rotation, camera, SHAPE)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("name", CAMERAS)
@settings(max_examples=15)
@given(heads)
def test_one_head_before_every_camera(name, quarters, head):
    x, y, distance, yaw = head
    rotation = rotation_from_angles(yaw, 20, -10)
    sellion = distance * np.array([x, y, 1.0])
    told = tell(CAMERAS[name], sellion, rotation, quarters)
    turned, place = seen(told, CAMERAS[name].rectified, quarters)
    assert geodesic_degrees(turned, rotation) < 0.5
    assert place.source is Source.BOX_SIZE
    assert np.linalg.norm(place.point - sellion) < 0.01 * np.linalg.norm(sellion)


def test_the_width_may_be_that_of_the_published_image():
    """As many drivers have it: K of the full picture, but the size of what they publish."""
    base = described(Calibration.read(Camera().info()), *SIZE)
    for camera in (
        Camera(middle=(330 + 160, 235 + 120), cut=(160, 120, *SIZE)),  # a region beyond the picture
        Camera(middle=(330 + 160, 235 + 120), cut=(160, 120, 0, 0)),  # and one without a size
        Camera(focal=(1000, 1020), middle=(660, 470), binned=(2, 2)),
        Camera(focal=(1000, 1020), middle=(980, 710), binned=(2, 2), cut=(320, 240, *SIZE)),
    ):
        assert described(Calibration.read(camera.info()), *SIZE) == base


def test_a_binning_or_a_region_that_is_over_changes_nothing():
    base = described(Calibration.read(Camera().info()), *SIZE)
    for camera in (
        Camera(binned=(2, 2)),
        Camera(cut=(160, 120, 320, 240)),
        Camera(cut=(160, 120, *SIZE)),  # K of the region, width and height likewise
        Camera(cut=(160, 120, 0, 0)),
    ):
        assert described(Calibration.read(camera.info()), *SIZE) == base


def test_a_reading_that_is_in_doubt_is_said():
    """Neither with nor without the binning does the principal point come near the middle."""
    found = described(Calibration.read(Camera(middle=(110, 80), binned=(2, 2)).info()), *SIZE)
    assert "640x480 pixels with a binning of 2x2, the image has 640x480" in found.warning
    assert "(110, 80)" in found.warning
    assert found.camera == CameraIntrinsics(500.0, 510.0, 110.0, 80.0)


def test_a_region_that_was_rectified_by_itself():
    """do_rectify: the rectified picture shows the region's corners as the lens undone has them."""
    camera = Camera(d=BARREL, cut=(60, 40, 420, 400), **RECTIFIED)
    info = camera.info()
    info.roi.do_rectify = True
    # where (60, 40) and (480, 440) of the raw picture lie in the rectified one, by bisection
    corners = []
    for x, y in ((60, 40), (60, 440), (480, 40), (480, 440)):
        flat = np.array([[(x - 330) / 500, (y - 235) / 510]])
        undone = flat.copy()
        for _ in range(200):
            there = bent(np.column_stack([undone, [1.0]]), "plumb_bob", BARREL)
            undone += 0.5 * (flat - there)
        corners.append(undone[0] * (420, 430) + (310, 250))
    (a, b, c, d) = corners
    low = np.ceil([min(a[0], b[0]), min(a[1], c[1])])
    high = np.floor([max(c[0], d[0]), max(b[1], d[1])])
    width, height = (high - low).astype(int)
    assert (width, height) != (420, 400)
    found = described(Calibration.read(info), int(width), int(height), True).camera
    assert found == CameraIntrinsics(420.0, 430.0, 310 - low[0], 250 - low[1])
    same = described(Calibration.read(info), 420, 400, True).camera  # as image_proc publishes it
    assert same == CameraIntrinsics(420.0, 430.0, 250.0, 210.0)


def test_where_only_p_is_filled_it_counts():
    info = Camera(d=BARREL, p=(420.0, 430.0, 310.0, 250.0)).info()
    info.k = np.zeros(9)
    for rectified in (False, True):
        found = described(Calibration.read(info), *SIZE, rectified).camera
        assert found == CameraIntrinsics(420.0, 430.0, 310.0, 250.0)


def test_rectified_images_without_p():
    plain = Camera().info()
    assert described(Calibration.read(plain), *SIZE, True).camera.fx == 500.0
    with pytest.raises(ValueError, match="no P that describes.*rectified to false"):
        described(Calibration.read(Camera(d=BARREL).info()), *SIZE, True)


def test_sizes_that_are_not_set_fit_every_image():
    info = Camera().info()
    info.width = info.height = 0
    assert described(Calibration.read(info), 123, 456).camera.fx == 500.0
    info.binning_x = info.binning_y = 2
    assert described(Calibration.read(info), 123, 456).camera.fx == 250.0


@pytest.mark.parametrize("size", [(640, 360), (1280, 960), (500, 333), (320, 480), (611, 458)])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=r"for 640x480 pixels.* {}x{}, .*unknown".format(*size)):
        described(Calibration.read(Camera().info()), *size)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"k": np.zeros(9)}, "focal lengths 0 and 0"),
        ({"k": np.full(9, np.nan)}, "focal lengths nan"),
        ({"k": np.array([500, 0, np.nan, 0, 500, 240, 0, 0, 1])}, "principal point .nan, 240"),
        ({"k": np.array([-500, 0, 320, 0, 500, 240, 0, 0, 1.0])}, "focal lengths -500"),
        ({"k": ()}, "focal lengths 0"),
        ({"k": np.array([0.8, 0, 0.5, 0, 1.1, 0.5, 0, 0, 1])}, "640x480 pixels focal lengths 0.8"),
        ({"k": np.array([500, 0, 1e9, 0, 500, 240, 0, 0, 1])}, "principal point .1e.09, 240"),
        ({"d": np.array([0.1, np.nan, 0, 0])}, "distortion coefficients"),
        ({"d": np.array([0.1, np.inf, 0, 0]), "distortion_model": "equidistant"}, "coefficients"),
    ],
)
def test_calibrations_without_use_say_why(fields, words):
    info = SimpleNamespace(**vars(Camera().info()) | fields)
    with pytest.raises(ValueError, match=words) as caught:
        described(Calibration.read(info), *SIZE)
    assert "positions are unknown" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("double_sphere", (0.5, -0.2)),
        ("omni", ()),
        ("none", (0.1,)),
        ("", (0.1, 0, 0, 0)),
        ("equidistant", (0.1, 0.1, 0.1, 0.1, 0.1)),
        ("plumb_bob", (0.1,) * 15),
    ],
)
def test_models_that_are_not_undone_are_named(model, d):
    camera = Camera(model=model, d=d)
    found = described(Calibration.read(camera.info()), *SIZE)
    assert f"'{model}'" in found.warning and "overlooked" in found.warning
    assert found.camera == CameraIntrinsics(500.0, 510.0, 330.0, 235.0)
    rectified = described(Calibration.read(replace(camera, **RECTIFIED).info()), *SIZE, True)
    assert not rectified.warning, "nothing is left to be undone"


@pytest.mark.parametrize("model", ["", "none", "pinhole", "plumb_bob", "rational_polynomial"])
@pytest.mark.parametrize("d", [(), (0.0,), (0.0,) * 5, (0.0,) * 8, (0.0,) * 20])
def test_no_distortion_needs_no_model(model, d):
    found = described(Calibration.read(Camera(model=model, d=d).info()), *SIZE)
    assert found.camera == CameraIntrinsics(500.0, 510.0, 330.0, 235.0) and not found.warning


@pytest.mark.parametrize("given", [(-0.3,), (-0.3, 0.1), (-0.3, 0.1, 0, 0, 0, 0, 0, 0, 0)])
def test_missing_and_idle_coefficients_are_zeros(given):
    found = described(Calibration.read(Camera(d=given).info()), *SIZE)
    assert found.camera.distortion == (-0.3, *given[1:2], *(0,) * 3)[:4] and not found.warning


@pytest.mark.parametrize("r", [(), np.zeros(9), np.full(9, np.nan), -np.eye(3).ravel()])
def test_an_r_that_is_no_rotation_turns_nothing(r):
    info = SimpleNamespace(**vars(Camera().info()) | {"r": r})
    assert described(Calibration.read(info), *SIZE).camera.turn == pytest.approx(np.eye(3))


@pytest.mark.parametrize(
    ("wish", "topic", "expected"),
    [
        ("auto", "/camera/image_raw", False),
        ("auto", "/camera/image_rect", True),
        ("auto", "/camera/image_rect_color/compressed", True),
        ("auto", "/camera/infra1/image_rect_raw", True),
        ("auto", "/image_rect", True),
        ("auto", "", False),
        ("true", "/camera/image_raw", True),
        (True, "/camera/image_raw", True),
        ("false", "/camera/image_rect", False),
        (False, "/camera/image_rect", False),
    ],
)
def test_rectified_by_name_or_wish(wish, topic, expected):
    assert is_rectified(wish, topic) is expected


def test_equal_messages_are_equal_even_where_they_hold_nan():
    """Else a bag would keep as many calibrations as messages."""
    messages = [SimpleNamespace(**vars(Camera().info()) | {"k": np.full(9, np.nan)}) for _ in "ab"]
    first, second = (Calibration.read(info, time) for time, info in enumerate(messages))
    assert first == second and first.recorded != second.recorded


def test_no_camera_info():
    with pytest.raises(ValueError, match="no camera_info has come.*camera_info_topic"):
        described(None, *SIZE)
    assert known_camera(None, SIZE, False) == (None, MISSING)
    assert known_camera(None, SIZE, False, missing="") == (None, "")


def test_reasons_and_warnings_are_those_of_described():
    info = Calibration.read(Camera(model="double_sphere", d=(0.1,) * 6).info())
    found = described(info, *SIZE)
    assert known_camera(info, SIZE, False) == (found.camera, found.warning) and found.warning
    camera, reason = known_camera(info, (100, 100), False)
    assert camera is None and "camera_info is for 640x480 pixels" in reason


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("quarters", range(4))
def test_a_camera_survives_a_file(name, quarters):
    known = described(Calibration.read(CAMERAS[name].info()), *CAMERAS[name].size).camera
    camera = Mounting(90 * quarters, CAMERAS[name].size).camera(known)
    numbers = as_numbers(camera)
    assert from_numbers(numbers) == camera
    assert all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers)
    with pytest.raises(ValueError, match="5 numbers"):
        from_numbers(numbers[:4] + (0,))


def test_where_a_lens_has_no_ray_nothing_is_claimed():
    """Beyond 180 degrees of a fisheye, and beyond where a polynomial turns back."""
    wide = LensCamera(100.0, 100.0, 320.0, 240.0, (0.0,) * 4, True)
    folded = LensCamera(300.0, 300.0, 320.0, 240.0, (-0.35, 0.12, 0, 0, -0.02))
    box = (10.0, 10.0, 40.0, 40.0)
    answer = HeadEstimate(box, 20.0, 0.0, 0.0, rotation_from_angles(20, 0, 0), 0.9)
    for camera in (wide, folded):
        assert np.isnan(camera.directions([[20, 20]])).all()
        assert locate(box, np.eye(3), camera, SHAPE).source is Source.NONE
        (head,) = seen_by(camera, [answer], SIZE)
        np.testing.assert_allclose(head.rotation, answer.rotation, atol=1e-12)


@given(st.floats(-1.5, 1.5), st.floats(-1, 1), st.floats(0.5, 6))
def test_a_sphere_is_found_by_trial_where_it_is_by_formula(x, y, z):
    """With a distortion too small to matter both ways must agree."""
    plain = CameraIntrinsics(400.0, 420.0, 320.0, 240.0)
    nearly = LensCamera(400.0, 420.0, 320.0, 240.0, (1e-9, 0.0, 0.0, 0.0))
    sides = []  # tangents of a circle in the plane of x and z, and in that of y and z
    for across, focal, middle in ((x, 400, 320), (y, 420, 240)):
        aim, half = np.arctan2(across, z), np.arcsin(0.125 / np.hypot(across, z))
        sides.append(middle + focal * np.tan([aim - half, aim + half]))
    (x0, x1), (y0, y1) = sides
    for camera in (plain, nearly):
        found = camera.sphere((x0, y0, x1, y1), 0.125)
        np.testing.assert_allclose(found, [x, y, z], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("degrees", [60, 85, 89, 91, 100])
@pytest.mark.parametrize("aside", [(1, 0), (-1, 0), (0, 1), (0, -1), (0.6, -0.8)])
def test_a_head_at_the_border_of_a_hemisphere(degrees, aside):
    camera = Camera(focal=(150.0, 150.0), model="equidistant", d=(0.01, 0.02, 0.0, 0.0))
    angle = np.radians(degrees)
    sellion = 2 * np.array([*np.sin(angle) * np.array(aside), np.cos(angle)])
    rotation = rotation_from_angles(30, 20, -10)
    turned, place = seen(tell(camera, sellion, rotation), False)
    assert np.linalg.norm(place.point - sellion) < 0.02
    assert geodesic_degrees(turned, rotation) < 0.5


@example((0.0, -0.02, -0.0017, 0.0), 1.34375, 0.0)
@given(st.tuples(*[st.floats(-0.02, 0.05)] * 4), st.floats(0.01, 1.5), st.floats(-math.pi, math.pi))
def test_a_fisheye_is_opencvs(coefficients, far, around):
    """Where OpenCV goes: bent radii up to pi / 2."""
    point = far * np.array([[math.cos(around), math.sin(around)]])
    (ray,) = fisheye_rays(point, coefficients)
    theirs = cv2.fisheye.undistortPoints(point[None], np.eye(3), np.array(coefficients))
    if np.isfinite(ray).all() and (np.abs(theirs) < 50).all():
        np.testing.assert_allclose(ray[:2] / ray[2], theirs.ravel(), rtol=1e-4, atol=1e-6)
        if ray[2] < 0:
            return  # beyond 90 degrees of the axis, where OpenCV can undistort but not project
        ahead = cv2.fisheye.projectPoints(
            ray.reshape(1, 1, 3), np.zeros(3), np.zeros(3), np.eye(3), np.array(coefficients)
        )[0]
        np.testing.assert_allclose(fisheye_points(ray[None], coefficients)[None], ahead, atol=1e-6)
        np.testing.assert_allclose(ahead[0], point, atol=1e-6)


sizes = st.sampled_from([0, 1, 240, 320, 480, 640, 2**32 - 1])
numbers = st.one_of(
    st.sampled_from([0.0, -1.0, 1.0, 300.0, math.nan, math.inf, -math.inf, 1e308, 1e-308]),
    st.floats(-1000, 1000),
)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=60)
@given(st.data(), st.booleans(), st.integers(0, 3))
def test_whatever_a_driver_writes_is_a_camera_or_an_error_in_words(data, rectified, quarters):
    """Nor does anything overflow unnoticed."""
    draw = data.draw
    info = SimpleNamespace(
        width=draw(sizes),
        height=draw(sizes),
        distortion_model=draw(st.sampled_from(["", "plumb_bob", "equidistant", "omni"])),
        d=draw(st.lists(numbers, max_size=15)),
        k=draw(st.lists(numbers, min_size=9, max_size=9)),
        r=draw(st.lists(numbers, min_size=9, max_size=9)),
        p=draw(st.lists(numbers, min_size=12, max_size=12)),
        binning_x=draw(st.integers(0, 4)),
        binning_y=draw(st.integers(0, 4)),
        roi=SimpleNamespace(
            x_offset=draw(sizes),
            y_offset=draw(sizes),
            width=draw(sizes),
            height=draw(sizes),
            do_rectify=draw(st.booleans()),
        ),
    )
    try:
        known = described(Calibration.read(info), 320, 240, rectified)
    except ValueError as error:
        assert "positions are unknown" in str(error)
        return
    mounting = Mounting(90 * quarters, (320, 240))
    camera = mounting.camera(known.camera)
    answer = HeadEstimate((100.0, 90.0, 130.0, 125.0), 0.0, 0.0, 0.0, np.eye(3), 0.9)
    (head,) = seen_by(camera, [answer], mounting.upright_size, mounting.turn)
    np.testing.assert_allclose(head.rotation @ head.rotation.T, np.eye(3), atol=1e-6)
    place = locate(answer.box, head.rotation, camera, SHAPE)
    assert np.isfinite(place.point).all() == (place.source is not Source.NONE)
