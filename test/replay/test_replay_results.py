# SPDX-License-Identifier: Apache-2.0
"""What a run writes: bag, tables, report; and the command line around it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from painted import entries, heads_of, png, raw, truth_rows, write_bag

from hpe_vlm_ros.evaluation.gate import condition, conditions, shut
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.sources import open_sources
from hpe_vlm_ros.recordings.tables import write_csv
from hpe_vlm_ros.replay import work
from hpe_vlm_ros.replay.__main__ import main
from hpe_vlm_ros.replay.results import Wanted, find_truth
from training.testsets import SCENES

FRAMES = 10


pytestmark = pytest.mark.usefixtures("painted_perceiver")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth_rows(20, turned=4)))
    return path


def run(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet"])


def decoded(bag: Path) -> list[tuple[str, int, object]]:
    """Topic, time and message of an MCAP file as ROS itself reads them."""
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CameraInfo, CompressedImage
    from tf2_msgs.msg import TFMessage

    from hpe_vlm_ros.msg import HeadPoseArray

    kinds = {k.__name__: k for k in (HeadPoseArray, TFMessage, CompressedImage, CameraInfo)}
    found = []
    with next(bag.glob("*.mcap")).open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            kind = kinds[schema.name.split("/")[-1]]
            assert schema.data, "no definition: Foxglove could not read it"
            found.append((channel.topic, message.log_time, deserialize_message(message.data, kind)))
    return found


def test_the_result_bag_is_what_ros_reads_under_the_original_headers(bag, tmp_path):
    assert run(bag, "--out", tmp_path / "run", "--frames", FRAMES) == 0
    messages = decoded(tmp_path / "run" / "result")
    arrays = [m for topic, _, m in messages if topic == "/perception/head_poses"]
    assert len(arrays) == FRAMES
    source = entries(FRAMES, info=False)
    for number, (array, (_, _, _, image)) in enumerate(zip(arrays, source, strict=True)):
        stamp = array.header.stamp
        assert (stamp.sec, stamp.nanosec) == (image.header.stamp.sec, image.header.stamp.nanosec)
        assert array.header.frame_id == "painted_optical" and array.model_id == "painted"
        yaws = [round(float(np.degrees(head.yaw)), 3) for head in array.heads]
        assert yaws == [head[4] for head in heads_of(number)]
        assert all(
            head.position_source == 1 and head.pose.pose.position.z > 0.3 for head in array.heads
        )
    frames = [t for topic, _, m in messages if topic == "/tf" for t in m.transforms]
    assert {t.child_frame_id for t in frames} == {"face_0", "gaze_0", "face_1", "gaze_1"}
    assert {t.header.frame_id for t in frames} == {"painted_optical"}
    times = {t for topic, t, _ in messages if topic == "/perception/head_poses"}
    assert times == {time for _, time, _, _ in source}


def test_nobody_is_shown_unless_that_is_asked_for(bag, truth, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    folder = tmp_path / "run"
    assert run(bag, "--out", folder, "--truth", truth) == 0
    assert {topic for topic, _, _ in decoded(folder / "result")} == {
        "/perception/head_poses",
        "/tf",
    }
    page = (folder / "report.html").read_text()
    assert "image/jpeg" not in page and "image/png" not in page
    kinds = {f.suffix for f in folder.rglob("*") if f.is_file()}
    assert kinds == {".csv", ".json", ".jsonl", ".html", ".mcap", ".yaml"}
    assert run(bag, "--out", folder, "--overwrite", "--video") == 1
    options = ["--truth", truth, "--save-images", "--video", "--parquet"]
    assert run(bag, "--out", folder, "--overwrite", *options) == 0
    topics = [topic for topic, _, _ in decoded(folder / "result")]
    assert topics.count("/cam/image/compressed") == 20 and "/cam/camera_info" in topics
    assert (folder / "report.html").read_text().count("image/jpeg") == 10
    capture = cv2.VideoCapture(str(folder / "000_bag.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 20
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10, rel=0.01)
    table = parquet.read_table(folder / "heads.parquet")
    lines = (folder / "heads.csv").read_text().splitlines()
    assert table.num_rows == len(lines) - 1 and table.column_names == lines[0].split(",")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text, self.open = "", list[str]()

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_whole_page_without_network(bag, truth, tmp_path):
    folder = tmp_path / "run"
    assert run(bag, "--out", folder, "--truth", truth) == 0
    page = _Page()
    source = (folder / "report.html").read_text()
    page.feed(source)
    assert not page.open, "tags that never end"
    assert page.addresses and all(a.startswith("data:image/svg+xml") for a in page.addresses)
    assert not re.search(r"<script|@import|url\(", source)
    report = json.loads((folder / "report.json").read_text())
    assert report["scores"]["mae_yaw"]["value"] == pytest.approx(4)
    assert report["scores"]["recall"]["value"] == report["scores"]["precision"]["value"] == 1
    for text in ("4.0°", report["run"]["command"], "painted", "How to repeat it"):
        assert text in page.text, text
    assert len(report["worst"]) == 10
    assert "too few" in page.text  # two seconds are one block


def test_the_same_bag_twice_gives_the_same_bytes_apart_from_times(bag, truth, tmp_path):
    folder = tmp_path / "run"
    found = []
    for _ in range(2):
        assert run(bag, "--out", folder, "--truth", truth, "--overwrite") == 0
        report = json.loads((folder / "report.json").read_text())
        assert report.pop("times")["created"]
        found.append((json.dumps(report), (folder / "heads.csv").read_bytes()))
    assert found[0] == found[1]


def test_a_report_can_be_made_again_with_other_truth(bag, truth, tmp_path):
    folder = tmp_path / "run"
    assert run(bag, "--out", folder) == 0
    report = json.loads((folder / "report.json").read_text())
    assert report["truth"] is None and "mae" not in report["scores"]
    assert main(["report", str(folder), "--truth", str(truth), "--no-bag"]) == 0
    report = json.loads((folder / "report.json").read_text())
    assert report["scores"]["mae_yaw"]["value"] == pytest.approx(4)


def test_runs_are_compared_in_pairs(bag, tmp_path, truth, capsys):
    for name, options in (("a", []), ("b", ["--every", "2"])):
        assert run(bag, "--out", tmp_path / name, "--truth", truth, *options) == 0
    capsys.readouterr()
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert main(["compare", a, b, "--out", str(tmp_path / "c.json")]) == 0
    said = capsys.readouterr().out
    assert "10 frames in both, 10 only in A, 0 only in B; 10 with ground truth" in said
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["scores"]["mae_yaw"]["delta"] == 0 and found["apart"]["geodesic_max"] == 0
    assert main(["compare", a, b, "--fail-if", "delta_mae_yaw > 0.1"]) == 0
    assert main(["compare", a, b, "--fail-if", "mae_yaw > 3.9"]) == 3
    other = write_bag(tmp_path / "other", entries(2, first=30))
    assert run(other, "--out", tmp_path / "o") == 0
    assert main(["compare", a, str(tmp_path / "o")]) == 1
    assert "no frame in common" in capsys.readouterr().err


def test_paired_differences_are_those_of_the_same_frames(tmp_path, bag, truth, monkeypatch):
    from painted import Painted

    from hpe_vlm_ros.evaluation.summary import Scoring
    from hpe_vlm_ros.replay.comparison import compare_runs

    class Askew(Painted):
        """Two degrees nearer to the truth, which is four off."""

        def __call__(self, image, *more, **named):
            image = image.copy()
            image[..., 1] = np.where(image[..., 0] == 255, image[..., 1] + 2, image[..., 1])
            return super().__call__(image, *more, **named)

    assert run(bag, "--out", tmp_path / "a", "--truth", truth, "--block-seconds", 0.2) == 0
    monkeypatch.setattr(work, "Loader", lambda *_: Askew)
    assert run(bag, "--out", tmp_path / "b", "--truth", truth, "--block-seconds", 0.2) == 0
    found = compare_runs(tmp_path / "a", tmp_path / "b", Scoring(block_seconds=0.2))
    cell = found["scores"]["mae_yaw"]
    assert (cell["a"], cell["b"], cell["delta"]) == pytest.approx((4, 2, -2))
    assert (cell["low"], cell["high"]) == pytest.approx((-2, -2))  # paired: no spread


def test_the_gate(bag, truth, tmp_path, capsys):
    where = [bag, "--out", tmp_path / "run", "--truth", truth, "--overwrite"]
    assert run(*where, "--fail-if", "mae_yaw > 3.5", "--fail-if", "recall < 0.5") == 3
    assert "mae_yaw > 3.5 holds: mae_yaw is 4" in capsys.readouterr().err
    limits = tmp_path / "limits.txt"
    limits.write_text("# nightly\nrecall < 0.5\n\nmae_yaw >= 8 # degrees\n")
    assert run(*where, "--thresholds", limits) == 0


def test_a_gate_that_cannot_be_judged_does_not_stand_open():
    values = {"mae_yaw": 4.0, "mae_back": None}
    with pytest.raises(ReplayError, match="no such measure; there is mae_yaw"):
        shut([condition("mae_jaw > 8")], values)
    with pytest.raises(ReplayError, match="mae_back has no value here"):
        shut([condition("mae_back > 8")], values)


def test_conditions_are_read_or_refused():
    rule = condition(" mae.high>=1e1 ")
    assert (rule.name, rule.comparison, rule.limit) == ("mae.high", ">=", 10)
    assert shut([rule], {"mae.high": 10.0}) == 3 and shut([rule], {"mae.high": 9.9}) == 0
    for text in ("", "mae", "mae > x", "mae > nan", "mae == 3", "> 3", "mae > 3 4"):
        with pytest.raises(ReplayError, match="write a measure"):
            condition(text)
    with pytest.raises(ReplayError, match="cannot be read"):
        conditions([], Path("/nonexistent"))


@pytest.mark.parametrize("make", [raw, png])
def test_run_may_be_left_out_and_errors_are_one_line(tmp_path, make, capsys):
    bag = write_bag(tmp_path / "bag", entries(2, make))
    assert main(["run", str(bag), "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("bag /cam/image") and "2 frames" in shown[0]
    assert json.loads(shown[-1])["heads_per_frame"] == 2
    assert run(tmp_path / "gone", "--out", tmp_path / "x") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "gone" in lines[0]
    assert not (tmp_path / "x").exists()


def test_truth_that_does_not_fit_is_refused_before_anything_is_perceived(
    bag, tmp_path, monkeypatch
):
    def never(*_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(work, "Loader", lambda *_: never)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps([{"stamp": "12.5", "heads": []}]))
    assert run(bag, "--out", tmp_path / "run", "--truth", path) == 1


def test_tracking_gives_ids_and_predicts_through_gaps(tmp_path):
    bag = write_bag(tmp_path / "bag", entries(14))  # frames 6 and 13 show nobody
    assert run(bag, "--out", tmp_path / "run", "--track") == 0
    arrays = [m for topic, _, m in decoded(tmp_path / "run" / "result") if topic.endswith("poses")]
    ids = [[head.id for head in array.heads] for array in arrays]
    assert ids[0] == ["", ""] and ids[5] == ids[7] == ["h0001", "h0002"]
    assert [head.status for head in arrays[6].heads] == [1, 1]  # predicted


def test_the_shipped_model_end_to_end(tmp_path, monkeypatch):
    """Two rendered scenes through the real perceiver, scored against their exact truth."""
    monkeypatch.undo()
    for name in ("000000.jpg", "000001.jpg"):
        (tmp_path / "scenes").mkdir(exist_ok=True)
        (tmp_path / "scenes" / name).write_bytes((SCENES / "images" / name).read_bytes())
    options = ["--truth", SCENES / "labels.jsonl", "--free-every", 1, "--device", "cpu"]
    assert run(tmp_path / "scenes", "--out", tmp_path / "run", *options) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["frames"]["perceived"] == 2 and report["truth"]["labelled_frames"] == 2
    assert report["scores"]["recall"]["value"] > 0.3
    assert report["scores"]["geodesic_median"]["value"] < 60
    assert report["e_angle"]["asked"] == report["frames"]["heads"] > 0


def test_the_table_of_heads_is_itself_ground_truth(tmp_path, bag, perceive):
    store = perceive(bag)
    write_csv(tmp_path / "heads.csv", store.records())
    truth = find_truth(open_sources([str(bag)]), Wanted(truth=tmp_path / "heads.csv"))
    assert truth.heads.keys() == {record.key for record in store.records()}
    for record in store.records():
        for ours, theirs in zip(record.heads, truth.heads[record.key], strict=True):
            np.testing.assert_allclose(ours.matrix, theirs.matrix, atol=1e-6)
            assert ours.box == theirs.box and ours.angles == theirs.angles
