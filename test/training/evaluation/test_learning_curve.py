# SPDX-License-Identifier: Apache-2.0
"""Logs become curves over pictures, and bad ones are named."""

import json
import math

import pytest

from training.evaluation.learning_curve import main, read_run


def write(folder, *lines):
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def first(tmp_path):
    return write(
        tmp_path / "first",
        {"step": 20, "loss": 3.0},
        {"step": 200, "val_angle_error": 30.0, "val_dense_angle": 0.25},
        {"step": 100, "val_angle_error": 40.0, "val_dense_angle": 1.0},
        {"step": 200, "val_angle_error": 28.0, "val_dense_angle": 0.5},  # repeated after a kill
        {"step": 250, "train_runtime": 9.0},
    )


def test_pictures_are_counted_and_the_last_repetition_holds(first):
    run = read_run(first, "one", 8, before=1000)
    assert run.points["val_angle_error"] == [(1800, 40.0), (2600, 28.0)]
    assert run.points["val_dense_angle"] == [(1800, 180.0), (2600, 90.0)]
    assert run.points["val_recall"] == [] and run.end == 3000


def test_runs_are_drawn_one_after_the_other(first, tmp_path, capsys):
    second = write(tmp_path / "second", {"step": 10, "val_angle_error": 20.0, "val_recall": 0.8})
    out = tmp_path / "pictures" / "curve.png"
    options = [str(first), str(second / "log.jsonl"), "--out", str(out), "--chained"]
    main([*options, "--batch", "8", "16", "--names", "tower", "decoder"])
    ends = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert ends["tower"]["pictures"] == 2000 and ends["tower"]["val_angle_error"] == 28.0
    assert ends["decoder"] == {"pictures": 2160, "val_angle_error": 20.0, "val_recall": 0.8}
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 10_000


def test_what_is_no_log_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.*OUT folder"):
        read_run(tmp_path / "none", "", 16)
    untold = write(tmp_path / "untold", {"step": 20, "loss": math.pi})
    with pytest.raises(ValueError, match="untold.*first checkpoint"):
        read_run(untold, "", 16)
    torn = write(tmp_path / "torn", {"step": 20, "val_angle_error": 9.0})
    with (torn / "log.jsonl").open("a") as file:
        file.write('{"step": ')
    with pytest.raises(ValueError, match="torn.*line 2"):
        read_run(torn, "", 16)


def test_lists_must_fit(first, capsys):
    for wrong in (["--batch", "8", "16"], ["--names", "a", "b"]):
        with pytest.raises(SystemExit):
            main([str(first), *wrong])
        assert "for 1 runs" in capsys.readouterr().err
