# SPDX-License-Identifier: Apache-2.0
"""Ground truth in every format gives the same heads, or an error that says what to do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted import START, STEP, TYPES, entries, heads_of, truth_rows, write_bag

from hpe_vlm_ros.geometry import face_rotation, quaternion_from_matrix, rotation_from_angles
from hpe_vlm_ros.recordings.bags import HEADS
from hpe_vlm_ros.recordings.folders import Pictures
from hpe_vlm_ros.recordings.frames import FrameInfo, ReplayError
from hpe_vlm_ros.recordings.recorded_heads import head_of
from hpe_vlm_ros.recordings.records import FrameRecord
from hpe_vlm_ros.recordings.result_bag import Builder
from hpe_vlm_ros.recordings.sources import open_sources
from hpe_vlm_ros.recordings.truth import Entry, match, seconds
from hpe_vlm_ros.recordings.truth_files import read_truth
from hpe_vlm_ros.recordings.truth_heads import true_head
from hpe_vlm_ros.replay.results import Wanted, find_truth

FRAMES = 8


@pytest.fixture
def recordings(tmp_path):
    return open_sources([str(write_bag(tmp_path / "bag", entries(FRAMES)))])


def painted():
    """The heads of each frame as (box, yaw, pitch)."""
    return {("bag", n): [(h[:4], h[4], h[5]) for h in heads_of(n)] for n in range(FRAMES)}


def plain(truth):
    return {
        key: [(tuple(map(int, h.box)), round(h.yaw), round(h.pitch)) for h in heads]
        for key, heads in truth.heads.items()
    }


def read(path, recordings, **options):
    return find_truth(recordings, Wanted(truth=path, **options))


def test_json_csv_and_their_ways_of_naming_frames_agree(tmp_path, recordings):
    rows = truth_rows(FRAMES)
    by_stamp = tmp_path / "stamp.json"
    by_stamp.write_text(json.dumps(rows))
    lines = tmp_path / "lines.jsonl"
    lines.write_text(
        "\n".join(
            json.dumps({"frame": n, "recording": "bag", "heads": row["heads"]})
            for n, row in enumerate(rows)
        )
    )
    matrices = tmp_path / "matrices.json"
    for row in rows:
        row["stamp"] = seconds(row.pop("stamp_ns"))
        for head in row["heads"]:
            angles = [head.pop(name) for name in ("yaw", "pitch", "roll")]
            head["rotation"] = rotation_from_angles(*angles).tolist()
    matrices.write_text(json.dumps({"frames": rows}))
    for path in (by_stamp, lines, matrices):
        assert plain(read(path, recordings)) == painted(), path.name


@pytest.mark.parametrize("quaternion", [False, True])
def test_csv(tmp_path, recordings, quaternion):
    names = ["qx", "qy", "qz", "qw"] if quaternion else ["yaw", "pitch", "roll"]
    lines = [",".join(["stamp", "x0", "y0", "x1", "y1", *names, "visible", "x", "y", "z"])]
    for n in range(FRAMES):
        stamp = seconds(START + n * STEP)
        for *box, yaw, pitch in heads_of(n):
            pose = [yaw, pitch, 0]
            if quaternion:
                pose = list(quaternion_from_matrix(face_rotation(rotation_from_angles(*pose))))
            lines.append(",".join(map(str, [stamp, *box, *pose, 0.5, 0.1, 0.2, 1.5])))
        if not heads_of(n):
            lines.append(f"{stamp},,,,,{',' * len(names)},,,")
    path = tmp_path / "truth.csv"
    path.write_text("\n".join(lines))
    truth = read(path, recordings)
    assert plain(truth) == painted()
    head = truth.heads["bag", 0][0]
    assert head.visible == 0.5 and head.position == (0.1, 0.2, 1.5)


def test_coco_style(tmp_path):
    folder = Pictures("p", "p", tuple(FrameInfo(i, 0, i + 1, name=f"{i}.png") for i in range(2)))
    note = {"id": 1, "image_id": 7, "bbox": [10, 20, 30, 40], "euler_angles": [5, -170, 3]}
    images = [{"id": 7, "file_name": "x/1.png"}, {"id": 8, "file_name": "0.png"}]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": [note]}))
    truth = read(path, [folder])
    assert plain(truth) == {("p", 1): [((10, 20, 40, 60), -170, 5)], ("p", 0): []}
    del note["euler_angles"]
    path.write_text(json.dumps({"images": images, "annotations": [note]}))
    with pytest.raises(ReplayError, match="euler_angles' is missing.*need image_id"):
        read(path, [folder])


def test_a_topic_of_the_bag_itself(tmp_path):
    messages, build = entries(FRAMES), Builder(TYPES, "truth")
    for n in range(FRAMES):
        heads = tuple(
            true_head(h[:4], rotation_from_angles(h[4], h[5], 0), position=(0, 0, 2))
            for h in heads_of(n)
        )
        stamp = START + n * STEP
        record = FrameRecord("bag", n, stamp, stamp, "", "f", 160, 120, heads)
        messages.append(("/truth", stamp + 2000, HEADS, build.array(record)))
    bag = write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1]))
    recordings = open_sources([str(bag)])
    truth = find_truth(recordings, Wanted(truth_topic="/truth"))
    assert plain(truth) == painted()
    assert truth.heads["bag", 0][0].position == (0, 0, 2)
    with pytest.raises(ReplayError, match="name one topic of HeadPoseArray; there are: /truth"):
        find_truth(recordings, Wanted(truth_topic="/other"))


def test_truth_that_matches_no_frame_shows_the_nearest_stamps(tmp_path, recordings):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps([{"stamp_ns": START - 2 * 10**9, "heads": []}]))
    with pytest.raises(ReplayError) as error:
        read(path, recordings)
    message = str(error.value)
    assert "none of its 1 entries matches a frame" in message
    assert (
        "stamp 1699999998.000000000; nearest frame 1700000000.000000000 (-2.000000 s off)"
        in message
    )
    assert "--truth-tolerance" in message
    assert read(path, recordings, tolerance=2 * 10**9).heads == {("bag", 0): ()}
    path.write_text(json.dumps([{"frame": 99, "heads": []}]))
    with pytest.raises(ReplayError, match="frame 99; there are frames 0 up to 8"):
        read(path, recordings)
    path.write_text(json.dumps([{"frame": 1, "recording": "bog", "heads": []}]))
    with pytest.raises(ReplayError, match="recordings are called bag"):
        read(path, recordings)


def test_entries_beyond_the_recording_are_noted(tmp_path, recordings):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth_rows(FRAMES + 3)))
    truth = read(path, recordings)
    assert len(truth.heads) == FRAMES
    assert truth.notes[0].startswith("3 of 11 entries")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "a,b\n1,2", "columns are a, b; needed are one of stamp"),
        ("a.csv", "", "columns are missing"),
        ("a.csv", "stamp,x0,y0,x1,y1,yaw,pitch,roll\n1,5,5,1,9,0,0,0", "line 2.*x0 < x1"),
        ("a.csv", "stamp,x0,y0,x1,y1,yaw,pitch,roll\n1,1,1,5,9,nan,0,0", "line 2.*finite"),
        ("a.csv", "stamp,x0,y0,x1,y1,yaw,pitch,roll\nx,1,1,5,9,0,0,0", "line 2.*no number of s"),
        ("a.csv", "stamp,x0,y0,x1,y1,yaw,pitch,roll\n1,1,1,5,9,0,0,", "line 2.*'roll'|missing"),
        ("a.json", "[{]", "line 1: not JSON"),
        ("a.json", '[{"heads": []}]', "frame 1.*names no frame"),
        ("a.json", '[{"frame": 1}]', "frame 1.*'heads' is missing"),
        ("a.json", '[{"frame": 1, "heads": [{"box": [0, 0, 1, 1]}]}]', "'yaw' is missing"),
        ("a.json", '[{"frame": 0, "heads": [{"box": [0, 0, 1], "yaw": 0, "pitch": 0, "roll": 0}]}]',
         "four numbers"),
        ("a.txt", "", "must be a .csv, .json or .jsonl"),
        ("a.json", "[]", "holds no ground truth"),
    ],
)  # fmt: skip
def test_bad_files_are_named_with_their_remedy(tmp_path, recordings, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ReplayError, match=said) as error:
        read(path, recordings)
    assert name in str(error.value)


angle = st.floats(-89, 89)


@given(st.floats(-179.9, 180), angle, angle, st.integers(0, 2**62))
def test_any_pose_and_stamp_survives_csv(tmp_path_factory, yaw, pitch, roll, stamp):
    path = tmp_path_factory.mktemp("csv") / "truth.csv"
    path.write_text(
        f"stamp,x0,y0,x1,y1,yaw,pitch,roll\n{seconds(stamp)},1,2,3,4,{yaw!r},{pitch!r},{roll!r}\n"
    )
    (entry,), _ = read_truth(path)
    assert entry.stamp == stamp
    np.testing.assert_allclose(entry.heads[0].angles, (yaw, pitch, roll), atol=1e-4)


def test_a_stamp_finds_the_nearest_frame_within_the_tolerance(recordings):
    found = match([Entry((), stamp=START + STEP + 900)], recordings, "x", tolerance=1000)
    assert list(found.heads) == [("bag", 1)]
    with pytest.raises(ReplayError):
        match([Entry((), stamp=START + STEP + 1100)], recordings, "x", tolerance=1000)


@pytest.mark.parametrize("source", [1, 2])
def test_a_bag_tells_where_a_position_comes_from(source):
    """2 is POSITION_DEPTH, which a live node may have answered."""
    head = true_head((1, 2, 30, 40), np.eye(3), position=(0.1, 0.2, 2.0))
    head = replace(head, position_source=source)
    record = FrameRecord("bag", 0, START, START, "", "camera", 64, 48, (head,))
    (pose,) = Builder(TYPES, "model").array(record).heads
    assert pose.position_source == source
    assert head_of(pose).position_source == source
