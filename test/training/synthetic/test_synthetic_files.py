# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from training.synthetic.clothes.glasses import STYLES, fit_of, spectacles
from training.synthetic.clothes.meshes import blend_weights, read_mhclo, read_obj
from training.synthetic.clothes.shells import SHELLS, shell_shift, shell_thickness
from training.synthetic.scene import lights
from training.synthetic.scene.lights import load_panoramas

OBJ = """
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
vt 0.5 0.5
g one
f 1/1 2/2 3/3 4/4
g two
f 1/5 2/2 3/3
"""

MHCLO = """# comment
name shirt
x_scale 0 1 2.0
z_scale 0 2 4.0
y_scale 0 3 1.0
verts 0
0 1 2 0.5 0.25 0.25 0.1 0.2 0.3
3
delete_verts
2 - 4 7
"""


def test_obj_corners_split_where_texture_coordinates_differ(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text(OBJ)
    mesh = read_obj(path)
    assert len(mesh.points) == 4 and len(mesh.corners) == 5 and len(mesh.triangles) == 3
    first = mesh.triangles[2, 0]
    assert mesh.corners[first] == 0 and mesh.uv[first].tolist() == [0.5, 0.5]
    assert len(read_obj(path, "two").triangles) == 1


def test_clothes_follow_the_body_they_are_fitted_to(tmp_path):
    path = tmp_path / "shirt.mhclo"
    path.write_text(MHCLO)
    fit = read_mhclo(path)
    assert fit.deleted.tolist() == [2, 3, 4, 7]
    # Anny axes: x, back, up; the file's are x, up, front. Scales: x 4/2, front 2/4, up 3/1.
    body = np.array([[0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 0, 3]], np.float32)
    placed = fit.apply(body)
    on_body = 0.5 * body[0] + 0.25 * body[1] + 0.25 * body[2]
    np.testing.assert_allclose(placed[0], on_body + [2 * 0.1, 0.5 * -0.3, 3 * 0.2], atol=1e-6)
    np.testing.assert_allclose(placed[1], body[3])


def test_a_file_without_vertices_is_named(tmp_path):
    path = tmp_path / "broken.mhclo"
    path.write_text("name nothing\n")
    with pytest.raises(ValueError, match="broken.mhclo"):
        read_mhclo(path)


def test_a_folder_without_panoramas_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no .exr"):
        load_panoramas(tmp_path, "train")


def test_panoramas_are_in_one_order_wherever_they_were_unpacked(tmp_path, monkeypatch):
    """Scenes draw them by their number."""
    monkeypatch.setattr(lights, "read_panorama", lambda path: np.zeros((2, 4, 3), np.float32))
    orders = []
    for first, second in (("blender", "npm"), ("usr", "package")):
        for folder, names in ((first, ("city.exr", "sea.exr")), (second, ("alley.exr.js",))):
            (tmp_path / first / folder).mkdir(parents=True)
            for name in names:
                (tmp_path / first / folder / name).touch()
        found = load_panoramas(tmp_path / first, "train")
        orders.append([panorama.name.split("/")[1] for panorama in found])
    assert orders == [["city", "sea", "alley"]] * 2


def test_skinning_is_inherited_from_the_body():
    bones = np.array([[0, 1, 0, 0], [1, 2, 0, 0]])
    weights = np.array([[0.5, 0.5, 0, 0], [1.0, 0, 0, 0]], np.float32)
    shares = np.array([[0.5, 0.5, 0.0]], np.float32)
    new_bones, new_weights = blend_weights(np.array([[0, 1, 1]]), shares, bones, weights)
    found = dict(zip(new_bones[0].tolist(), new_weights[0].tolist(), strict=True))
    assert found[1] == pytest.approx(0.75, abs=1e-4) and found[0] == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda s: s.name)
def test_shells_leave_the_eyes_free_and_stay_thin(shell):
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.09, -0.17, 0.55], [0.09, 0.09, 0.88], (4000, 3))
    thickness = shell_thickness(shell, points)
    assert 0 < thickness.max() <= shell.thickness + 1e-9
    eyes = np.array([[0.03, -0.14, 0.735], [-0.03, -0.14, 0.735]])
    assert not shell_thickness(shell, eyes).any()
    assert np.nan_to_num(np.abs(shell_shift(shell, points))).max() < 0.06


@pytest.mark.parametrize("style", STYLES)
def test_spectacles_scale_with_the_head(style):
    points, uv, triangles = spectacles(style)
    assert triangles.max() < len(points) == len(uv)
    np.testing.assert_allclose(points[:, 0].min(), -points[:, 0].max(), atol=3e-3)  # both sides
    rng = np.random.default_rng(1)
    template = rng.normal(size=(12000, 3)).astype(np.float32)
    fit = fit_of(points, template)
    placed = fit.apply(2 * template)
    np.testing.assert_allclose(placed, 2 * (points + template[132]), atol=1e-5)
