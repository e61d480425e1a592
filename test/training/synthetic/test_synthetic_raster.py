# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from training.synthetic.drawing.compose import Canvas, Mesh
from training.synthetic.drawing.raster import FLAG_ALPHA, FLAG_CULL, parallel_view, skin
from training.synthetic.drawing.shade import irradiance
from training.synthetic.drawing.textures import TextureStore, linear_to_srgb, srgb_to_linear
from training.synthetic.scene.camera import Camera, tilted
from training.synthetic.scene.clutter import SHAPES
from training.synthetic.scene.lights import Light, light_of, sphere

CAMERA = Camera(64, 48, 50.0, tilted(0, 0), np.zeros(3))
WHITE = Light(
    np.eye(9, 3, dtype=np.float32) * 0 + np.array([[3.5449], *[[0]] * 8], np.float32),
    np.array([0, 0, 1], np.float32),
    np.zeros(3, np.float32),
)


def square(y, half, texture=0, flags=0, flip=False):
    """A square facing the camera at depth y, white in white light."""
    points = np.array(
        [[-half, y, -half], [half, y, -half], [half, y, half], [-half, y, half]], np.float32
    )
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    if flip:
        triangles = triangles[:, ::-1].copy()
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    maps = np.hstack([np.eye(3) * 0.5, np.zeros((3, 1))])[None].astype(np.float32)
    return Mesh(
        points,
        np.tile(np.array([0, -1, 0], np.float32), (4, 1)),
        uv,
        triangles,
        np.zeros(2, np.uint8),
        np.array([0, 1], np.uint8),
        np.ones(4, np.float32),
        np.array([texture]),
        np.array([flags]),
        np.zeros(1, np.float32),
        maps,
        points[0],
        0.0,
    )


@pytest.fixture(scope="module")
def textures():
    store = TextureStore()
    half = np.full((8, 8, 4), 255, np.uint8)
    half[:, :4, 3] = 0  # the left half is a hole
    assert store.add(half) == 1
    return store


@pytest.fixture
def canvas(textures):
    return Canvas(64, 48, 2, *textures.arrays())


def test_a_square_covers_its_pixels_with_its_colour_and_owners(canvas):
    screen = canvas.add(square(2.0, 0.4), 3, CAMERA, WHITE)  # 20 pixels wide
    owners = canvas.owners()
    assert (owners > 0).sum() == 400
    assert 150 < (owners == 4).sum() < 250  # the triangle of the head
    np.testing.assert_allclose(screen[:, :2].min(0), [22, 14], atol=1e-4)
    image = canvas.over(np.zeros((48, 64, 3), np.float32))
    np.testing.assert_allclose(image[24, 32], 0.5, atol=0.01)
    assert image[2, 2].max() == 0


def test_the_nearer_square_wins_whatever_the_order(canvas):
    for order in ((1, 2), (2, 1)):
        canvas.clear()
        for number in order:
            canvas.add(square(1.0 + number, 0.3 * number), 10 * number, CAMERA, WHITE)
        assert canvas.owners()[24, 32] in (10, 11)


def test_holes_and_backs_are_not_drawn(canvas):
    canvas.add(square(2.0, 0.4, texture=1, flags=FLAG_ALPHA), 1, CAMERA, WHITE)
    owners = canvas.owners()
    assert owners[24, 26] == 0 and owners[24, 38] > 0
    shown = []
    for flip in (False, True):
        canvas.clear()
        canvas.add(square(2.0, 0.4, flags=FLAG_CULL, flip=flip), 1, CAMERA, WHITE)
        shown.append((canvas.owners() > 0).any())
    assert shown == [True, False]


def test_nothing_behind_the_camera_is_drawn(canvas):
    screen = canvas.add(square(-2.0, 0.4), 1, CAMERA, WHITE)
    assert not canvas.owner_of.any()
    assert (screen[:, 2] == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_oriented_outwards(shape):
    points, uv, triangles = shape()
    assert triangles.max() < len(points) == len(uv)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    outwards = (np.cross(b - a, c - a) * (a + b + c)).sum(1)
    assert (outwards > -1e-6).mean() > 0.75  # the dummy's hollows look back at the middle


def test_skinning_blends_bone_transforms():
    rng = np.random.default_rng(0)
    rest = rng.normal(size=(5, 3)).astype(np.float32)
    bones = np.array([[0, 1, 0, 0]] * 5, np.int16)
    weights = np.array([[0.25, 0.75, 0, 0]] * 5, np.float32)
    linear = np.stack([np.eye(3), 2 * np.eye(3)]).astype(np.float32)
    shift = np.array([[0, 0, 1], [1, 0, 0]], np.float32)
    out, normals = np.empty_like(rest), np.empty_like(rest)
    skin(rest, rest, bones, weights, linear, shift, out, normals)
    np.testing.assert_allclose(out, 1.75 * rest + [0.75, 0, 0.25], atol=1e-6)
    np.testing.assert_allclose(normals, 1.75 * rest, atol=1e-6)


def test_a_parallel_view_looks_from_the_light():
    points = np.array([[0, 0, 0], [0, 0, 0.5], [0.2, 0, 0]], np.float32)
    screen = parallel_view(points, np.array([0.0, 0, 1]), np.zeros(3), 1.0, 100)
    np.testing.assert_allclose(screen[0, :2], [50, 50])
    assert screen[1, 2] > screen[0, 2]  # nearer to the light
    assert np.hypot(*(screen[2, :2] - 50)) == pytest.approx(10, abs=1e-4)


def test_even_light_gives_even_irradiance_and_no_key():
    light = light_of(np.full((64, 128, 3), 0.7, np.float32))
    for x, y, z in ((1, 0, 0), (0, 0, -1), (0.6, -0.8, 0)):
        assert irradiance(light.sh, x, y, z, 0) == pytest.approx(0.7, rel=0.01)
    assert light.colour.max() < 1e-3


def test_the_key_light_comes_from_the_lamp():
    directions, _ = sphere(64)
    lamp = np.array([0.6, -0.64, 0.48])
    image = 0.1 + 500.0 * (directions @ lamp > 0.995)[..., None] * np.ones(3)
    light = light_of(image.astype(np.float32))
    assert light.direction @ lamp > 0.99
    assert light.colour.min() > 0.1


def test_the_transfer_curve_inverts():
    values = np.linspace(0, 1, 50)
    np.testing.assert_allclose(srgb_to_linear(linear_to_srgb(values)), values, atol=1e-9)
