# SPDX-License-Identifier: Apache-2.0
"""A bag played through the live node gives the same numbers as offline; and its launch file."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import launch_stand_ins
import pytest
from graph import NodeProcess
from painted import entries, write_bag

from hpe_vlm_ros.evaluation.summary import Scoring
from hpe_vlm_ros.replay.__main__ import main
from hpe_vlm_ros.replay.comparison import compare_runs

ROOT = Path(__file__).parents[2]
FRAMES = 4


def test_live_and_offline_give_the_same_numbers(tmp_path, tiny_model):
    bag = write_bag(tmp_path / "bag", entries(FRAMES))
    node = NodeProcess(
        tmp_path / "log", autostart=True, model=tiny_model, device="cpu", tracking=False,
        image_topic="/cam/image", image_transport="compressed", max_rate=0.0, max_age=0.0,
    )  # fmt: skip
    live = tmp_path / "live"
    command = [sys.executable, "-m", "hpe_vlm_ros.nodes.live_replay", str(bag), "--out", str(live)]
    try:
        done = subprocess.run([*command, "--wait"], cwd=ROOT, capture_output=True, text=True)
        assert f"{FRAMES} images sent, {FRAMES} answered" in done.stdout, done.stderr + node.log
    finally:
        node.end()
    common = [str(bag), "--quiet"]
    offline = ["--model", str(tiny_model), "--device", "cpu", "--out", str(tmp_path / "offline")]
    assert main([*common, *offline]) == 0
    assert main([*common, "--answers", str(live), "--out", str(tmp_path / "online")]) == 0
    found = compare_runs(tmp_path / "offline", tmp_path / "online", Scoring())
    apart = found["apart"]
    assert found["frames"] == {"both": FRAMES, "only_a": 0, "only_b": 0}
    assert apart["heads_only_a"] == apart["heads_only_b"] == 0 < apart["heads_in_both"]
    assert apart["geodesic_max"] < 0.01 and apart["box_max"] < 0.01


# The launch file: with the real `launch` where that is installed, else with stand-ins for it.


class _Kept:
    def __init__(self, *given: Any, **named: Any) -> None:
        self.given, self.named = given, named


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if find_spec("launch_ros") is None:
        modules = launch_stand_ins.modules()
        sources = ModuleType("launch.launch_description_sources")
        modules["launch.launch_description_sources"] = sources
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        places = {"launch.actions": ("IncludeLaunchDescription", "Shutdown")}
        places |= {"launch_ros.actions": ("Node",)}
        places |= {"launch.launch_description_sources": ("PythonLaunchDescriptionSource",)}
        for name, classes in places.items():
            for kind in classes:
                setattr(modules[name], kind, type(kind, (_Kept,), {}))
    spec = spec_from_file_location("replay_launch", ROOT / "launch" / "replay.launch.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("IncludeLaunchDescription", "PythonLaunchDescriptionSource", "Node", "Shutdown"):
        monkeypatch.setattr(module, name, type(name, (_Kept,), {}))
    return module


def test_the_launch_file_sets_the_node_to_the_bag(launch_file, bag):
    context = launch_file.LaunchContext()
    context.launch_configurations.update(
        bag=str(bag), out="live", topic="", rate="0.5", wait="true"
    )
    include, player = launch_file.start(context)
    (source,) = include.given
    assert Path(source.given[0]).name == "perception.launch.py" and Path(source.given[0]).is_file()
    arguments = dict(include.named["launch_arguments"])
    assert arguments["image_topic"] == "/cam/image"
    assert arguments["image_transport"] == "compressed"
    assert arguments["camera_info_topic"] == "/cam/camera_info"
    assert arguments["max_age"] == arguments["max_rate"] == "0.0"
    assert player.named["arguments"] == [
        str(bag), "--out", "live", "--topic", "/cam/image/compressed", "--rate", "0.5", "--wait"
    ]  # fmt: skip
    assert type(player.named["on_exit"]).__name__ == "Shutdown"
    script = ROOT / "scripts" / player.named["executable"]
    assert script.stat().st_mode & 0o111, "not executable"
    assert f"scripts/{script.name}" in (ROOT / "CMakeLists.txt").read_text()
    described = launch_file.generate_launch_description().get_launch_arguments()
    assert {a.name for a in described} == set(context.launch_configurations)
