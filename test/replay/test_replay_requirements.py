# SPDX-License-Identifier: Apache-2.0
"""Without the extra requirements: one sentence that names their file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from painted import entries, write_bag
from test_replay_live import launch_file  # noqa: F401

from hpe_vlm_ros.requirements import REPLAY, TORCH, remedy

ROOT = Path(__file__).parents[2]
OUTCOME = "install this package's requirements-replay.txt, for "
PROGRAMS = (
    ("-m", "hpe_vlm_ros.replay", "bag", "--out", "out"),
    ("-m", "hpe_vlm_ros.replay", "report", "out"),
    (str(ROOT / "scripts" / "replay"), "bag", "--out", "out"),
    ("-m", "hpe_vlm_ros.nodes.live_replay", "bag", "--out", "out"),
    (str(ROOT / "scripts" / "replay_live"), "bag", "--out", "out"),
)


def modules_of(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {found.group(0) for line in lines if (found := re.match(r"[a-z]\w*", line))}


def test_each_requirement_leads_to_its_file() -> None:
    assert set(REPLAY) == modules_of("requirements-replay.txt")
    assert modules_of("requirements-torch.txt") - {"pillow"} | {"PIL"} <= set(TORCH)
    for module, file in (("mcap.records", "-replay"), ("torch", "-torch"), ("cv2", "")):
        text = remedy(ModuleNotFoundError(f"No module named '{module}'", name=module))
        assert f"install this package's requirements{file}.txt" in text and module in text


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_says_what_to_install(program: tuple[str, ...], tmp_path: Path) -> None:
    for name in REPLAY:
        missing = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (tmp_path / f"{name}.py").write_text(missing)
    places = f"{tmp_path}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, *program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert OUTCOME in line, line


def test_the_launch_file_says_it_and_shows_its_arguments_all_the_same(
    launch_file,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert launch_file.generate_launch_description().get_launch_arguments()
    for name in [n for n in sys.modules if n.startswith("hpe_vlm_ros.recordings.bag")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n.split(".")[0] == "rosbags"]:
        monkeypatch.setitem(sys.modules, name, None)
    context = launch_file.LaunchContext()
    context.launch_configurations.update(bag="bag", out="out", topic="", rate="1", wait="false")
    with pytest.raises(RuntimeError, match=OUTCOME):
        launch_file.start(context)


def test_signals_that_come_again_and_again_leave_the_recording_whole(tmp_path: Path) -> None:
    """The player waits for a node that never comes; its own file is closed all the same."""
    bag = write_bag(tmp_path / "bag", entries(2))
    out = tmp_path / "live"
    program = [sys.executable, "-m", "hpe_vlm_ros.nodes.live_replay", str(bag), "--out", str(out)]
    places = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    player = subprocess.Popen(
        program, env={**os.environ, "PYTHONPATH": places}, stderr=-1, text=True
    )
    while not out.exists():
        assert player.poll() is None
        time.sleep(0.05)
    while player.poll() is None:
        player.send_signal(signal.SIGINT)
        time.sleep(0.004)
    assert player.returncode == 130 and "Traceback" not in player.stderr.read()
    assert (out / "metadata.yaml").is_file()


def test_reading_needs_no_ros(bag):
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'geometry_msgs', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "from hpe_vlm_ros.recordings.sources import open_sources\n"
        "import hpe_vlm_ros.replay.results, hpe_vlm_ros.replay.run\n"
        "import hpe_vlm_ros.evaluation.compare\n"
        f"(recording,) = open_sources([{str(bag)!r}])\n"
        "print(sum(frame.rgb().shape[2] for frame in recording.read()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "60", done.stderr
