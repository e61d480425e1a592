# SPDX-License-Identifier: Apache-2.0
"""The gate of new weights, on made-up answers whose losses are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from training import guard

PICTURES, SIDE = 100, 320
BOX, ELSEWHERE = [100.0, 100, 160, 170], [200.0, 200, 260, 260]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """100 scenes of one head each, seen from the front; the labels are all that is read."""
    folder = tmp_path_factory.mktemp("data") / "made_up"
    folder.mkdir()
    head = {"box": BOX, "rotation": rotation_from_angles(10, 0, 0).tolist(), "visible": 1.0}
    lines = []
    for number in range(PICTURES):
        (folder / f"{number:04d}.jpg").touch()
        lines.append({"image": f"{number:04d}.jpg", "width": SIDE, "height": SIDE, "focal": None})
        lines[-1]["heads"] = [head]
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    photos = [
        {"image": line["image"], "width": SIDE, "height": SIDE, "whole": True}
        | {"heads": [{"box": BOX, "facing": "F", "source": "eye"}]}
        for line in lines
    ]
    (folder / "photos.jsonl").write_text("".join(json.dumps(line) + "\n" for line in photos))
    return folder


def model(folder, data, missed=0, error=0.0, false=0, false_score=0.5, seconds=0.03):
    """Answers of a model that misses so many heads of the first pictures, is off by `error` degrees
    of yaw, and takes the same place for a head in so many of the last pictures."""
    (folder / "made_up").mkdir(parents=True)
    scenes, photos = [], []
    jitter = np.random.default_rng(len(str(folder))).normal(1, 0.02, PICTURES)
    for number in range(PICTURES):
        own = [] if number < missed else [[*BOX, 10 + error, 0, 0, 0.9 - number / 1000]]
        own += [[*ELSEWHERE, 0, 0, 0, false_score]] * (number >= PICTURES - false)
        name = "/".join((data / f"{number:04d}.jpg").parts[-3:])
        scenes.append({"scene": name, "own": own, "given": [[10 + error, 0, 0]]})
        photos.append({"image": f"{number:04d}.jpg", "side": SIDE, "own": own})
        photos[-1]["seconds"] = seconds * jitter[number]
    result = {"model": "0ddba11", "data": "made_up", "pictures": PICTURES, "side": SIDE}
    (folder / "made_up" / "result.json").write_text(json.dumps(result))
    for file, lines in (("made_up/answers-0ddba11-0.jsonl", scenes), ("photos.jsonl", photos)):
        (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def judge(data, tmp_path, capsys):
    """Losses of one model against another by name, with the exit status."""

    def judged(before, after):
        old = model(tmp_path / "old", data, **before)
        new = model(tmp_path / "new", data, **after)
        status = guard.main(old, new, [data], data / "photos.jsonl")
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert last["kept"] == (status == 0)
        return status, last["losses"]

    return judged


def test_the_same_answers_lose_nothing(judge):
    status, losses = judge({"missed": 20, "false": 10}, {"missed": 20, "false": 10})
    assert status == 0 and len(losses) == 4
    for name, one in losses.items():
        wanted = 0.0 if name != "photos_time" else pytest.approx(0, abs=0.01)
        assert one["loss"] == wanted and one["kept"]


@pytest.mark.parametrize(
    ("error", "seconds", "kept"), [(0.9, 0.0306, True), (2.1, 0.033, False), (0.0, 0.02, True)]
)
def test_errors_and_times_have_their_limits(judge, error, seconds, kept):
    """An error of yaw alone is three times the mean of all three angles."""
    status, losses = judge({}, {"error": error, "seconds": seconds})
    mae, time = losses["made_up_mae"], losses["photos_time"]
    # the same in every picture, so that nothing is uncertain
    assert mae["loss"] == mae["high"] == pytest.approx(error / 3, abs=1e-3)
    assert time["loss"] == pytest.approx(seconds / 0.03 - 1, abs=0.01)
    assert mae["kept"] == time["kept"] == kept and status == (0 if kept else 1)


def test_the_bound_decides_and_not_the_estimate(judge):
    """One head lost in 100 pictures may be three, more than either limit."""
    status, losses = judge({}, {"missed": 1})
    scenes, photos = losses["made_up_recall"], losses["photos_recall"]
    assert scenes["loss"] == photos["loss"] == pytest.approx(0.01)
    # bounds of a binomial share of 1 in 100
    assert scenes["high"] == photos["high"] == pytest.approx(0.03, abs=0.01)
    assert status == 1 and not scenes["kept"] and not photos["kept"]


def test_recall_is_compared_at_equal_precision(judge):
    """False alarms with low scores cost nothing that a higher least score does not mend."""
    _, losses = judge({"missed": 20, "false": 10}, {"missed": 20, "false": 60, "false_score": 0.3})
    assert losses["made_up_recall"]["loss"] == losses["photos_recall"]["loss"] == 0


def test_sure_false_alarms_cost_recall(judge):
    status, losses = judge({"false": 10}, {"false": 60, "false_score": 0.99})
    assert losses["made_up_recall"]["after"] == 0 and status == 1


def test_a_model_that_says_nothing_loses_everything(judge):
    _, losses = judge({"missed": 20}, {"missed": PICTURES})
    assert losses["made_up_recall"]["loss"] == losses["photos_recall"]["loss"] == 0.8


def test_what_was_not_asked_is_named_with_the_command(data, tmp_path):
    old = model(tmp_path / "old", data)
    with pytest.raises(ValueError, match=r"old has no answers about scenes: run .*--out .*scenes"):
        guard.main(old, old)
    answers = old / "made_up" / "answers-0ddba11-0.jsonl"
    lines = answers.read_text().splitlines(keepends=True)
    answers.write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"no answers about .*0099.jpg"):
        guard.main(old, old, [data], data / "photos.jsonl")
    answers.write_text("".join(lines))
    (old / "photos.jsonl").unlink()
    with pytest.raises(ValueError, match=r"about photographs: run .*photos PHOTOS --out"):
        guard.main(old, old, [data], data / "photos.jsonl")


def test_other_photographs_are_refused(data, tmp_path):
    old, new = (model(tmp_path / name, data) for name in ("old", "new"))
    lines = (new / "photos.jsonl").read_text().splitlines(keepends=True)
    (new / "photos.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(ValueError, match="the same photographs"):
        guard.main(old, new, [data], data / "photos.jsonl")
