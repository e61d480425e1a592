# SPDX-License-Identifier: Apache-2.0
"""The virtual camera's labels against plain projection of 3-D points."""

from pathlib import Path

import numpy as np
import pytest

from hpe_vlm_ros.geometry import geodesic_degrees, rotation_from_angles
from training.data.augment import Augmentation, render_view
from training.data.sample import Head, Sample

SPHERE = 0.12  # metres
SIZE = (224, 224)


def project_sphere(centre, focal, width, height):
    """Box of a small ball seen by a pinhole camera, from points on its surface."""
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(4000, 3))
    points = centre + SPHERE * normals / np.linalg.norm(normals, axis=1, keepdims=True)
    u = points[:, 0] / points[:, 2] * focal[0] + width / 2
    v = points[:, 1] / points[:, 2] * focal[1] + height / 2
    return np.array([u.min(), v.min(), u.max(), v.max()])


def scene(centre=(0.3, -0.2, 2.0), angles=(40, 10, -5)):
    centre = np.array(centre)
    box = project_sphere(centre, (300, 300), 320, 240)
    return Sample(Path("none"), 320, 240, 300.0, [Head(box, rotation_from_angles(*angles))]), centre


def test_without_rng_the_picture_is_only_resized():
    sample, _ = scene()
    image = np.zeros((240, 320, 3), np.uint8)
    view, heads = render_view(sample, image, SIZE)
    assert view.shape == (224, 224, 3)
    np.testing.assert_allclose(heads[0].box, sample.heads[0].box * np.array([0.7, 224 / 240] * 2))
    np.testing.assert_array_equal(heads[0].rotation, sample.heads[0].rotation)


@pytest.mark.parametrize("seed", range(8))
def test_box_and_rotation_follow_the_turned_camera(seed, monkeypatch):
    """Recover the camera turn from the drawn label, then project the ball again with that
    camera."""
    sample, centre = scene()
    image = np.zeros((240, 320, 3), np.uint8)
    options = Augmentation(mirror=False, colour=False, aspect_share=0.0, zoom=(1.2, 1.2))
    _, heads = render_view(sample, image, SIZE, np.random.default_rng(seed), options)
    turn = heads[0].rotation @ sample.heads[0].rotation.T
    assert 0 < geodesic_degrees(turn, np.eye(3)) < 25
    focal = 300 * 1.2 * np.array([224 / 320, 224 / 240])
    expected = project_sphere(turn @ centre, focal, 224, 224)
    np.testing.assert_allclose(heads[0].box, np.clip(expected, 0, 224), atol=0.8)


def test_pixels_move_with_the_box():
    """A white ball painted where the box is must be inside the warped box, and nothing outside."""
    sample, _ = scene()
    image = np.zeros((240, 320, 3), np.uint8)
    x0, y0, x1, y1 = sample.heads[0].box.round().astype(int)
    ys, xs = np.mgrid[:240, :320]
    ball = ((xs - (x0 + x1) / 2) / ((x1 - x0) / 2)) ** 2 + (
        (ys - (y0 + y1) / 2) / ((y1 - y0) / 2)
    ) ** 2 < 1
    image[ball] = 255
    checked = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        view, heads = render_view(sample, image, SIZE, rng, Augmentation(colour=False))
        if heads[0].visible < 0.99:
            continue
        fill = view[0, 0].astype(int)
        bright = (view.astype(int).min(-1) > 200) & (np.abs(view.astype(int) - fill).sum(-1) > 30)
        if fill.min() > 150 or not bright.any():
            continue
        rows, columns = np.nonzero(bright)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(heads[0].box, found, atol=2.5)
        checked += 1
    assert checked >= 5


def test_truncated_head_loses_visibility():
    sample, _ = scene()
    sample.heads[0].box = np.array([300.0, 100, 340, 140])
    options = Augmentation(
        pan=0, tilt=0, roll=0, zoom=(1, 1), aspect_share=0, mirror=False, colour=False
    )
    image = np.zeros((240, 320, 3), np.uint8)
    _, heads = render_view(sample, image, (240, 320), np.random.default_rng(0), options)
    assert heads[0].box[2] == 320
    assert heads[0].visible == pytest.approx(0.5, abs=0.02)


def test_same_seed_same_view():
    sample, _ = scene()
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    first = render_view(sample, image, SIZE, np.random.default_rng(3))
    second = render_view(sample, image, SIZE, np.random.default_rng(3))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1][0].box, second[1][0].box)


def test_a_closer_view_shows_a_small_head_enlarged_and_leaves_large_ones_alone():
    far, _ = scene(centre=(1.1, -0.5, 4.0))
    near, _ = scene(centre=(0.0, 0.0, 0.6))
    image = np.zeros((240, 320, 3), np.uint8)
    usual = {"aspect_share": 0, "mirror": False, "colour": False, "zoom": (1, 1)}
    still = {"pan": 0, "tilt": 0, "roll": 0, "turned": 0}
    options = Augmentation(closer_share=1.0, closer=(2, 2), **usual, **still)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        _, (head,) = render_view(far, image, (240, 320), rng, options)
        grown = np.prod(head.box[2:] - head.box[:2]) / np.prod(
            np.ptp(far.heads[0].box.reshape(2, 2), 0)
        )
        assert head.visible > 0.5 and 1.8**2 < grown / head.visible < 2.4**2
        _, (head,) = render_view(near, image, (240, 320), rng, options)
        np.testing.assert_allclose(head.box, near.heads[0].box, atol=0.8)


def test_strong_shrinking_averages_pixels():
    sample = Sample(Path("none"), 1280, 960, 1200.0, [])
    checks = (np.indices((960, 1280)).sum(0) % 2 * 255).astype(np.uint8)
    image = np.repeat(checks[..., None], 3, 2)
    options = Augmentation(0, 0, 0, 0, zoom=(1, 1), aspect_share=0, mirror=False, colour=False)
    view, _ = render_view(sample, image, (240, 320), np.random.default_rng(0), options)
    assert view[20:-20, 20:-20].std() < 3
