# SPDX-License-Identifier: Apache-2.0
"""Runs: interrupted, resumed, on several processes, on a full disk; nothing lost, nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from painted import (
    CAMERA_INFO,
    COMPRESSED,
    FOCAL,
    START,
    STEP,
    TYPES,
    Fatal,
    Painted,
    camera_info,
    entries,
    header,
    heads_of,
    write_bag,
)

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord, from_json
from hpe_vlm_ros.replay import processes
from hpe_vlm_ros.replay.store import Store
from hpe_vlm_ros.replay.work import perceiver_of

ROOT = Path(__file__).parents[2]


def content(store: Store) -> list[FrameRecord]:
    """Its frames without the times that differ between runs."""
    return [replace(record, seconds=0.0) for record in store.records()]


class Stops(Painted):
    """A perceiver that the user interrupts at its `after`-th frame."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, image, *more, **named):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().__call__(image, *more, **named)


def test_every_frame_is_perceived_as_it_was_painted(bag, perceive):
    records = perceive(bag).records()
    assert [r.number for r in records] == list(range(20))
    assert [r.stamp for r in records] == [START + n * STEP for n in range(20)]
    for record in records:
        assert [(*h.box, h.yaw, h.pitch) for h in record.heads] == heads_of(record.number)
        assert (record.width, record.height, record.camera) == (160, 120, (FOCAL, FOCAL, 80, 60))


def test_poses_are_in_the_frame_of_the_bags_camera(tmp_path, perceive):
    """50 pixels to the left are 32.0 degrees before this wide lens; told for 19.8."""
    info = ("/cam/camera_info", START, CAMERA_INFO, camera_info(START, focal=80.0))
    messages = [info, *entries(1, info=False)]
    (record,) = perceive(write_bag(tmp_path / "wide", messages)).records()
    assert record.camera == (80, 80, 80, 60)
    told, *_ = heads_of(0)
    assert record.heads[0].yaw - told[4] == pytest.approx(19.8 - 32.0, abs=1)


def test_each_nth_frame_up_to_a_limit(bag, perceive):
    assert [r.number for r in perceive(bag, every=3, limit=4).records()] == [0, 3, 6, 9]


def test_an_interrupted_run_goes_on_and_equals_the_whole(bag, perceive):
    whole = content(perceive(bag, out="whole"))
    perceiver_of.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        perceive(bag, load=lambda: Stops(10))
    assert 0 < len(Store(bag.parent / "run").records()) <= 10
    seen = []

    class Counting(Painted):
        def __call__(self, image, *more, **named):
            seen.append(1)
            return super().__call__(image, *more, **named)

    resumed = perceive(bag, load=Counting, resume=True)
    assert content(resumed) == whole
    assert len(seen) == 12  # what was kept is not perceived again


def test_a_folder_in_use_is_refused_resumed_or_overwritten(bag, perceive, tmp_path):
    perceive(bag)
    with pytest.raises(ReplayError, match="--resume goes on with it, --overwrite deletes it"):
        perceive(bag)
    with pytest.raises(ReplayError, match="every: 1 then, 2 now"):
        perceive(bag, resume=True, every=2)
    assert len(perceive(bag, overwrite=True, every=2).records()) == 10
    foreign = tmp_path / "precious"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("x")
    with pytest.raises(ReplayError, match="in the way and not a run"):
        perceive(bag, out="precious", overwrite=True)
    assert (foreign / "thesis.tex").exists()


def test_another_bag_under_the_same_name_cannot_be_resumed(bag, perceive, tmp_path):
    perceive(bag)
    (tmp_path / "other").mkdir()
    other = write_bag(tmp_path / "other" / "bag", entries(7))
    with pytest.raises(ReplayError, match="recordings: "):
        perceive(other, resume=True)


def test_unreadable_frames_are_kept_with_their_reason(tmp_path, perceive):
    broken = TYPES.types[COMPRESSED](header(START), "jpeg", np.zeros(9, np.uint8))
    messages = [("/cam/image/compressed", START, COMPRESSED, broken), *entries(3)]
    records = perceive(write_bag(tmp_path / "bag", messages)).records()
    assert "cannot decode" in records[0].error and records[0].heads == ()
    assert [r.error for r in records[1:]] == [None] * 3


def test_a_full_disk_is_said_and_the_run_goes_on_later(bag, tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from painted import Load\n"
        "from hpe_vlm_ros.replay.plan import Settings\n"
        "from hpe_vlm_ros.replay.run import perceive_recordings\n"
        "from hpe_vlm_ros.recordings.sources import open_sources\n"
        f"bag = open_sources([{str(bag)!r}])\n"
        "if sys.argv[1] != '0':\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
        f"out = Path({str(tmp_path / 'run')!r})\n"
        "how = Settings('', slice=4)\n"
        "perceive_recordings(bag, how, Load(), out, resume=True, quiet=True)"
    )
    here = {"PYTHONPATH": f"{ROOT}:{ROOT / 'test' / 'recordings'}", "PATH": "/usr/bin:/bin"}

    def run(limit: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(limit)]
        return subprocess.run(command, cwd=ROOT, env=here, capture_output=True, text=True)

    # Slices differ in size: a frame without heads is short. This limit lets the shorter ones pass.
    full = run(3000)
    assert full.returncode == 1
    assert "the disk is full" in full.stderr and "--resume" in full.stderr
    kept = sorted((tmp_path / "run" / "parts").glob("*"))
    assert all(file.suffix == ".jsonl" for file in kept), "a draft was left behind"
    assert run(0).returncode == 0
    assert [r.number for r in Store(tmp_path / "run").records()] == list(range(20))


def test_several_processes_give_what_one_gives_though_workers_die(bag, perceive, tmp_path):
    alone = content(perceive(bag, out="alone"))
    deadly = Fatal(tmp_path, yaw=-60 + 9, times=2)
    many = perceive(bag, out="many", load=deadly, processes=2)
    assert content(many) == alone
    assert (tmp_path / "death1").exists()
    lines = [
        line
        for file in (tmp_path / "many" / "parts").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert len(lines) == len({from_json(line).key for line in lines}) == 20


def test_workers_that_always_die_are_given_up_on_with_a_remedy(bag, perceive, tmp_path):
    with pytest.raises(ReplayError, match="fewer --processes"):
        perceive(bag, load=Fatal(tmp_path, yaw=-60, times=99), processes=2, every=7, slice=1)


def test_many_bags_are_kept_apart(tmp_path, perceive):
    bags = [write_bag(tmp_path / f"bag{n}", entries(3 + n)) for n in range(3)]
    records = perceive(*bags).records()
    counts = [sum(r.recording == f"bag{n}" for r in records) for n in range(3)]
    assert counts == [3, 4, 5]


def test_records_survive_their_file_and_broken_ones_are_named(bag, perceive):
    store = perceive(bag)
    file = sorted((store.folder / "parts").glob("*"))[0]
    record = from_json(file.read_text().splitlines()[0])
    assert from_json(record.to_json()) == record
    file.write_text(file.read_text()[:-30])
    with pytest.raises(ReplayError, match=f"{file.name}, line 4.*delete the file and --resume"):
        store.records()
    (store.folder / "run.json").write_text(json.dumps([1]))
    with pytest.raises(ReplayError, match="not the folder of a run"):
        store.details()


def test_progress_counts_frames(bag, perceive, monkeypatch: pytest.MonkeyPatch):
    bars = []

    class Bar:
        def __init__(self, **options):
            self.initial, self.total, self.done = options["initial"], options["total"], 0
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, count):
            self.done += count

    monkeypatch.setattr(processes, "tqdm", Bar)
    perceive(bag, every=2)
    (only,) = bars
    assert (only.initial, only.total, only.done) == (0, 10, 10)
