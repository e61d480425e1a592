# SPDX-License-Identifier: Apache-2.0
"""CMU Panoptic's folders as panoptic-toolbox leaves them."""

import shutil

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from training.data.readers.landmarks import REFERENCE_FACE
from training.data.readers.panoptic import (
    MATCHED,
    SEQUENCES,
    SOURCE_COUNTS,
    frame_step,
    read_calibration,
    read_panoptic,
)
from training.data.readers.panoptic_frames import extract_frames, main

NAME = "171026_pose3"
SIZE = (480, 270)  # a quarter of the HD cameras' 1920 x 1080
TURN = Rotation.from_euler("xyz", [100, -35, 20], degrees=True)  # dome to camera 3
SHIFT = np.array([12.0, -30.0, 280.0])  # centimetres
DISTORTION = [-0.22, 0.12, 0.0004, -0.0003, 0.02]


def camera(node, panel=0, turn=TURN, kind="hd"):
    return {
        "name": f"{panel:02d}_{node:02d}",
        "type": kind,
        "resolution": list(SIZE),
        "panel": panel,
        "node": node,
        "K": [[350.0, 0, 238], [0, 352.0, 137], [0, 0, 1]],
        "distCoef": DISTORTION,
        "R": turn.as_matrix().tolist(),
        "t": [[v] for v in SHIFT],
    }


@pytest.fixture
def person(face_points):
    """A face as hdFace3d holds it: 70 points in the dome's centimetres, with scores."""

    def make(angles, place, scores=0.8):
        seen = np.tile(np.array(place, dtype=float), (70, 1))
        seen[MATCHED] = face_points(angles, np.array(place), scale=1.0)
        dome = TURN.inv().apply(seen - SHIFT)
        sure = np.full(70, 0.8)
        sure[MATCHED] = scores
        face = {"landmarks": dome.ravel().tolist(), "averageScore": sure.tolist()}
        return {"id": -1, "face70": face}

    return make


@pytest.fixture
def dome(tmp_path, picture, write_json):
    """Writes one sequence: frames of camera 3 with the people seen in each."""

    def write(frames):
        sequence = tmp_path / NAME
        cameras = [camera(3), camera(4), camera(3, panel=1, turn=TURN.inv(), kind="vga")]
        write_json(sequence / f"calibration_{NAME}.json", {"cameras": cameras})
        for number, people in frames.items():
            picture(sequence / "hdImgs" / "00_03" / f"00_03_{number:08d}.jpg", *SIZE)
            faces = sequence / "hdFace3d" / f"faceRecon3D_hd{number:08d}.json"
            write_json(faces, {"version": 0.5, "univTime": 1.0, "people": people})
        return tmp_path

    return write


def test_heads_of_a_frame(dome, person, report, head_matrix):
    near, far = person((-40, 15, 10), (20, -10, 200)), person((150, -20, -5), (-40, 5, 260))
    outside = person((0, 0, 0), (400, 0, 300))
    (sample,) = read_panoptic(dome({0: [near, far, outside]}), "val", report)
    assert sample.image_path.name == "00_03_00000000.jpg"
    assert (sample.width, sample.height, sample.focal) == (*SIZE, 351)
    first, second = sample.heads
    np.testing.assert_allclose(first.rotation, head_matrix(-40, 15, 10), atol=1e-9)
    np.testing.assert_allclose(second.rotation, head_matrix(150, -20, -5), atol=1e-9)
    np.testing.assert_allclose(first.position, [0.2, -0.1, 2.0])  # metres
    # the sphere about the head, 36 units across, with the distortion at its edges left aside
    assert first.box[2] - first.box[0] == pytest.approx(36 / 200 * 350, rel=0.04)
    middle = (first.box[:2] + first.box[2:]) / 2
    assert np.abs(middle - [238 + 350 * 0.1, 137 - 352 * 0.05]).max() < 15
    assert sample.all_heads
    assert report.left_out["head outside the picture"] == 1
    assert report.left_out["sequence missing"] == len(SEQUENCES["val"]) - 1
    assert report.left_out["camera without frames or calibration"] == 30
    assert report.source == {"images": 16216, "heads": 32738}


def test_distortion_moves_the_box(dome, person, write_json):
    """Towards the middle, since k1 < 0, by what the lens does to the box's own middle."""
    root = dome({0: [person((0, 0, 0), (100, 0, 200))]})
    (bent,) = read_panoptic(root)
    straight = [camera(3) | {"distCoef": [0, 0, 0, 0, 0]}]
    write_json(root / NAME / f"calibration_{NAME}.json", {"cameras": straight})
    (plain,) = read_panoptic(root)
    x = 100 / 200
    moved = 350 * x * (DISTORTION[0] * x**2 + DISTORTION[1] * x**4)
    shift = (bent.heads[0].box - plain.heads[0].box)[[0, 2]].mean()
    assert moved < -8 and shift == pytest.approx(moved, abs=3)


def test_frames_that_are_left_out(dome, person, report):
    good, upside_down = person((10, 0, 0), (0, 0, 200)), person((0, 140, 0), (40, 0, 250))
    blind = person((10, 0, 0), (0, 0, 200), scores=[0.8] * 6 + [0.05] * 8)
    frames = {0: [good], 60: [good, upside_down], 120: [good, blind], 180: [], 240: [good]}
    frames |= {300: [good], 360: [good], 420: [good], 421: [good]}
    root = dome(frames)
    images, faces = root / NAME / "hdImgs" / "00_03", root / NAME / "hdFace3d"
    shutil.copy(images / "00_03_00000000.jpg", images / "notes.jpg")
    (faces / "faceRecon3D_hd00000240.json").unlink()
    (faces / "faceRecon3D_hd00000300.json").write_text("{}")
    grey = np.full((270, 480, 3), 90, np.uint8)
    cv2.imwrite(str(images / "00_03_00000360.jpg"), grey)  # what a damaged frame looks like
    (images / "00_03_00000420.jpg").write_bytes(b"cut off")
    (sample,) = read_panoptic(root, report=report)
    assert sample.image_path.name == "00_03_00000000.jpg"
    expected = {
        "frame with a face that cannot be labelled": 2,
        "head without a valid angle triple": 1,
        "face with too few landmarks": 1,
        "frame without a usable head": 1,
        "frame without face landmarks": 1,
        "frame with unreadable face landmarks": 1,
        "frame under 100 kB": 1,
        "picture unreadable": 1,
    }
    assert {k: v for k, v in report.left_out.items() if k in expected} == expected


def test_weak_landmarks_are_not_used(dome, person, head_matrix):
    """Seven sure points are enough, and the others' places do not matter."""
    sure = [0.8] * 7 + [0.1] * 7  # 0.1 is not above the threshold
    face = person((25, -10, 5), (0, 0, 200), scores=sure)
    points = np.array(face["face70"]["landmarks"]).reshape(70, 3)
    points[MATCHED[7:]] += 40
    face["face70"]["landmarks"] = points.ravel().tolist()
    (sample,) = read_panoptic(dome({0: [face]}))
    np.testing.assert_allclose(sample.heads[0].rotation, head_matrix(25, -10, 5), atol=1e-9)


def test_long_videos_are_read_more_sparsely(dome, person):
    assert frame_step(300 * 30, 30.0) == 60 and frame_step(301 * 30, 30.0) == 180
    good = [person((10, 0, 0), (0, 0, 200))]
    root = dome({0: good, 60: good, 180: good, 9060: good})
    found = [int(s.image_path.stem[-8:]) for s in read_panoptic(root)]
    assert found == [0, 180]


def test_the_calibration(tmp_path, write_json):
    file = write_json(tmp_path / "c.json", {"cameras": [camera(7), camera(7, panel=2)]})
    (number, found), *more = read_calibration(file).items()
    assert number == 7 and not more
    np.testing.assert_allclose(found["t"], SHIFT)
    for content in ({}, {"cameras": [{"panel": 0, "node": 1}]}, {"cameras": [{}]}):
        write_json(file, content)
        with pytest.raises(ValueError, match=r"c\.json: not a calibration"):
            read_calibration(file)


def test_no_sequence_at_all_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="160906_pizza1.*panoptic-toolbox"):
        read_panoptic(tmp_path, "train")


def test_the_split_is_the_papers():
    assert not set(SEQUENCES["train"]) & set(SEQUENCES["val"])
    assert [len(SEQUENCES[part]) for part in ("train", "val")] == [9, 8]
    assert SOURCE_COUNTS["val"] == {"images": 16216, "heads": 32738}
    assert len(MATCHED) == len(REFERENCE_FACE)


def test_frames_of_a_video(tmp_path):
    video = tmp_path / NAME / "hdVideos" / "hd_00_03.mp4"
    video.parent.mkdir(parents=True)
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"mp4v"), 30, (64, 48))
    for number in range(130):
        writer.write(np.full((48, 64, 3), number, np.uint8))
    writer.release()
    main(tmp_path, "val")
    folder = tmp_path / NAME / "hdImgs" / "00_03"
    names = [f"00_03_{number:08d}.jpg" for number in (0, 60, 120)]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert abs(float(cv2.imread(str(folder / names[1])).mean()) - 60) < 4
    (folder / names[2]).unlink()
    assert extract_frames(video, folder) == (1, 0)  # goes on where it was stopped
    video.write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"hd_00_03\.mp4"):
        extract_frames(video, folder)
