# SPDX-License-Identifier: Apache-2.0
"""AGORA's pickled tables, written by pandas, with labels derived DirectMHP's way by SciPy."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import angles_from_rotation
from training.data.readers.agora import MATCHED, agora_lens, read_agora
from training.data.readers.landmarks import REFERENCE_FACE

SIZE = (320, 180)  # 1280 x 720 in small
OUTDOORS = "ag_trainset_renderpeople_bfh_flowers_5_15_00001.png"
CLEAR, HIDDEN = 12.5, 93.0
Y_UP = Rotation.from_euler("x", 180, degrees=True)


@pytest.fixture
def joints(face_points):
    """127 joints (metres, optical frame) of a person with this head; the rest is about the head."""

    def place(angles, where):
        body = np.random.default_rng(0).normal(0, 0.2, (127, 3)) + where
        body[MATCHED] = face_points(angles, np.array(where))[:13]
        return body.astype(np.float32)

    return place


def pixels(joints, name, width=3840):
    """What AGORA's files say: pixels of the full-size picture."""
    millimetres = 50 if "hdri" in name else 18 if "cam0" in name else 28
    focal = millimetres / 36 * width
    return joints[:, :2] / joints[:, 2:] * focal + (width / 2, width * 9 / 32)


def table(rows):
    """A DataFrame of pandas of 2021: plain objects throughout."""
    columns = {
        "imgPath": [name for name, _ in rows],
        "isValid": [[hidden < 90 for hidden, _ in people] for _, people in rows],
        "occlusion": [[hidden for hidden, _ in people] for _, people in rows],
        "kid": [[False for _ in people] for _, people in rows],
        "gt_joints_2d": [[pixels(j, name) for _, j in people] for name, people in rows],
        "gt_joints_3d": [[j for _, j in people] for _, people in rows],
    }
    series = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    frame = pd.DataFrame(series | {"camX": pd.Series([0.5] * len(rows))})
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    return frame


@pytest.fixture
def agora(tmp_path, picture):
    """Writes a table as pandas does and its pictures."""

    def write(rows, name="train_0_withjv.pkl", protocol=4):
        (tmp_path / "Cam").mkdir(exist_ok=True)
        table(rows).to_pickle(tmp_path / "Cam" / name, protocol=protocol)
        for image, _ in rows:
            small = image.replace(".png", "_1280x720.png")
            picture(tmp_path / "images" / "train_0" / small, *SIZE)
        return tmp_path / "Cam", tmp_path / "images"

    return write


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_heads_of_a_picture(agora, joints, report, head_matrix, protocol):
    people = [
        (CLEAR, joints((20, 10, -5), (-1.0, -0.3, 6))),
        (CLEAR, joints((170, -25, 8), (1.2, 0.2, 8))),
        (HIDDEN, joints((0, 0, 0), (0, 0, 7))),
        (CLEAR, joints((0, 0, 0), (9, 0, 7))),  # beside the picture
    ]
    (sample,) = read_agora(*agora([(OUTDOORS, people)], protocol=protocol), report)
    assert (sample.width, sample.height, sample.all_heads) == (*SIZE, True)
    assert sample.focal == pytest.approx(28 / 36 * 320)
    first, second = sample.heads
    np.testing.assert_allclose(first.rotation, head_matrix(20, 10, -5), atol=1e-5)
    assert angles_from_rotation(second.rotation) == pytest.approx((170, -25, 8), abs=1e-3)
    np.testing.assert_allclose(first.position, people[0][1][76 + 10])
    # about 0.36 m across, 6 m away
    assert first.box[3] - first.box[1] == pytest.approx(0.36 / 6 * 28 / 36 * 320, abs=2)
    assert report.left_out == {
        "person hidden to 90 % or more": 1,
        "head outside the picture": 1,
    }


def test_the_same_labels_as_directmhp_makes(agora, joints):
    """DirectMHP fits in the body's frame, before the person is turned, moved and seen by a camera
    that looks down, reads Euler angles off camR R diag(1, -1, -1), and projects its sphere."""
    body = joints((35, -20, 15), (0.1, 0.4, 0.2)).astype(float)  # diag(1, -1, -1) undone already
    yaw, cam_yaw, cam_pitch = 200.0, 135.0, 30.0
    turn = Rotation.from_euler("y", yaw - 90, degrees=True)
    look = Rotation.from_euler("x", cam_pitch, degrees=True)
    look = look * Rotation.from_euler("y", -cam_yaw, degrees=True)
    person = np.array([0.3, 0.0, 1.0])
    camera = person - look.inv().apply([0.4, -0.1, 6])
    cam_rotation, cam_shift = look * turn, look.apply(person - camera)
    name = "ag_trainset_renderpeople_bfh_archviz_5_10_cam02_00003.png"
    projected = look.apply(turn.apply(body) + person - camera)
    (sample,) = read_agora(*agora([(name, [(CLEAR, projected)])]))

    face, reference = body[MATCHED], REFERENCE_FACE[:13]
    fit, _ = Rotation.align_vectors(face - face.mean(0), reference - reference.mean(0))
    x, y, z = (cam_rotation * fit * Y_UP).as_euler("XYZ", degrees=True)
    candidates = [(y, -x, z), (180 - y, 180 - x, z - 180)]  # yaw, pitch, roll
    wrapped = [(np.array(c) + 180) % 360 - 180 for c in candidates]
    (expected,) = [c for c in wrapped if abs(c[1]) < 90 and abs(c[2]) < 90]
    found = angles_from_rotation(sample.heads[0].rotation)
    np.testing.assert_allclose(found, expected, atol=1e-4)

    helmet = [
        fit.apply(0.01 * np.add(18 * np.array([c * s, n * s, h]), [0, 5, -5]))
        + face.mean(0) - 0.01 * fit.apply(reference.mean(0))
        for c, n in [(np.cos(t), np.sin(t)) for t in np.radians(range(0, 360, 10))]
        for s, h in [(np.sin(p), np.cos(p)) for p in np.radians(range(0, 180, 10))]
    ]  # fmt: skip
    points = cam_rotation.apply(helmet) + cam_shift
    corners = pixels(points, name, width=320)
    expected_box = [int(v) for v in (*corners.min(0), *corners.max(0))]
    assert list(sample.heads[0].box) == expected_box


@pytest.mark.parametrize(
    "name, millimetres",
    [
        ("ag_trainset_renderpeople_body_hdri_50mm_5_10_00001.png", 50),
        ("ag_trainset_renderpeople_bfh_archviz_5_10_cam02_00001.png", 18),
        ("ag_validationset_renderpeople_bfh_brushifyforest_5_15_00001.png", 28),
    ],
)
def test_cameras(name, millimetres):
    lens = agora_lens(name, (1280, 720))
    focal = millimetres / 36 * 1280  # 36 x 20.25 mm is 16:9, so both axes have the same
    np.testing.assert_allclose(lens.matrix, [[focal, 0, 640], [0, focal, 360], [0, 0, 1]])


def test_what_cannot_be_labelled_is_counted(agora, joints, report):
    upside_down = [
        (CLEAR, joints((10, 0, 0), (0, 0, 7))),
        (CLEAR, joints((0, 150, 0), (1, 0, 7))),
        (CLEAR, joints((0, 0, 0), (0, 0, 7))[:24]),  # an SMPL person: too few joints
        (np.nan, joints((10, 0, 0), (0, 0, 7))),
    ]
    rows = [(OUTDOORS, upside_down)]
    rows += [(OUTDOORS.replace("01", f"0{n}"), [(CLEAR, upside_down[0][1])]) for n in (2, 3)]
    rows += [(OUTDOORS.replace("01", "04"), [(HIDDEN, upside_down[0][1])])]
    annotations, images = agora(rows)
    (images / "train_0" / rows[1][0].replace(".png", "_1280x720.png")).unlink()
    (images / "train_0" / rows[2][0].replace(".png", "_1280x720.png")).write_bytes(b"PNG?")
    (sample,) = read_agora(annotations, images, report)
    assert len(sample.heads) == 1 and not sample.all_heads
    assert report.left_out == {
        "head without a valid angle triple": 1,
        "person without 127 joints": 1,
        "person hidden to 90 % or more": 2,
        "picture missing": 1,
        "picture unreadable": 1,
        "picture without a usable head": 1,
    }


def test_joints_that_do_not_fit_the_camera_are_counted(agora, joints, report):
    """A picture whose name tells of another camera than the one that saw the joints."""
    annotations, images = agora([(OUTDOORS, [(CLEAR, joints((10, 0, 0), (1, 0, 7)))])])
    frame = pd.read_pickle(annotations / "train_0_withjv.pkl")
    frame["gt_joints_2d"] = pd.Series([[p * 1.5 for p in frame["gt_joints_2d"][0]]], dtype=object)
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    frame.to_pickle(annotations / "train_0_withjv.pkl")
    assert read_agora(annotations, images, report) == []
    assert report.left_out["person whose joints do not project to where the file says"] == 1


def test_other_tables_are_refused(agora, joints):
    annotations, images = agora([(OUTDOORS, [(CLEAR, joints((10, 0, 0), (1, 0, 7)))])])
    file = annotations / "train_0_withjv.pkl"
    without = pd.read_pickle(file).drop(columns="gt_joints_3d")
    without.columns = pd.Index(list(without.columns), dtype=object)
    without.to_pickle(file)
    with pytest.raises(ValueError, match=r"no column gt_joints_3d; take the file with joints"):
        read_agora(annotations, images)
    with pytest.raises(FileNotFoundError, match="withjv"):
        read_agora(images, images)


def test_tables_as_pandas_3_and_gzip_write_them(agora, joints, report):
    """A compressed copy beside the table counts once, and a file of macOS not at all."""
    annotations, images = agora([(OUTDOORS, [(CLEAR, joints((10, 0, 0), (1, 0, 7)))])])
    file = annotations / "train_0_withjv.pkl"
    frame = pd.read_pickle(file)
    frame["imgPath"] = frame["imgPath"].astype("str")
    frame.columns = frame.columns.astype("str")
    frame.to_pickle(annotations / "train_0_withjv.pkl.gz")
    (annotations / "._train_0_withjv.pkl").write_bytes(b"\0\5")
    assert len(read_agora(annotations, images)) == 1
    file.unlink()
    (sample,) = read_agora(annotations, images, report)
    assert len(sample.heads) == 1 and not report.left_out
