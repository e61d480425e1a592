# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, anywhere in a module and also within functions; see docs/architecture.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from import_graph import check_no_cycle, imports_of, modules_of

ROOT = Path(__file__).parents[1]
PACKAGE = "hpe_vlm_ros"
# Rooms of hpe_vlm_ros; `core` are the modules that lie loose, but for those at the bottom, and
# tasks/.
ROOMS = {
    "core": set(),
    "vlm.decoding": {"core", "vlm"},
    "vlm.families": {"core", "vlm", "vlm.decoding", "vlm.pytorch"},
    "vlm.onnxruntime": {"core", "vlm", "vlm.decoding"},
    "vlm.pytorch": {"core", "vlm", "vlm.decoding"},
    "vlm": {"core", "vlm.decoding", "vlm.families", "vlm.onnxruntime", "vlm.pytorch"},
    "remote": {"core", "vlm", "vlm.decoding"},
    "people": {"core", "vlm"},
    "recordings": {"core", "people"},
    "evaluation": {"core", "recordings"},
    "replay": {
        *("core", "evaluation", "people", "perceiver", "recordings", "remote", "two_models", "vlm")
    },
    "nodes": {"core", "people", "perceiver", "recordings", "two_models"},
    "perceiver": {"core", "remote", "vlm"},
    "two_models": {"core", "perceiver"},
    "web": {"core", "people", "recordings"},
    "__main__": {"core", "people", "perceiver", "recordings", "two_models", "vlm", "web"},
}
# What the node alone speaks, and what the model alone is made of.
ROS = ("rclpy", "sensor_msgs", "geometry_msgs", "std_msgs", "builtin_interfaces", "tf2_msgs")
MODEL = ("torch", "transformers", "onnx", "onnxruntime", "safetensors")


@cache
def modules() -> dict[str, Path]:
    """All modules of hpe_vlm_ros, demo and examples by name."""
    return modules_of(PACKAGE, "demo", "examples")


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports at run time."""
    return imports_of(name, modules())


def room_of(name: str) -> str:
    _, *parts = name.split(".")
    if not parts or parts[0] == "tasks" or len(parts) == 1 and parts[0] not in ROOMS:
        return "core"
    if parts[0] == "vlm":
        below = ".".join(parts[:2])
        return below if below in ROOMS else "vlm"
    return parts[0]


def ours() -> list[str]:
    return [name for name in modules() if name.split(".")[0] == PACKAGE]


def test_every_room_has_its_place():
    folders = {file.parent.relative_to(ROOT / PACKAGE) for file in map(modules().get, ours())}
    rooms = {".".join(folder.parts[:2]) for folder in folders} - {""}
    assert {room_of(f"{PACKAGE}.{room}.module") for room in rooms} <= ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_it_may(room):
    for name in ours():
        if room_of(name) == room:
            others = {room_of(other) for other in imports(name) & modules().keys()}
            assert others - {room} <= ROOMS[room], name


def test_no_modules_import_each_other():
    check_no_cycle({name: imports(name) & modules().keys() for name in modules()})


def test_nodes_alone_speak_ros():
    for name in ours():
        if room_of(name) != "nodes":
            spoken = {other.split(".")[0] for other in imports(name)} & {*ROS}
            # images.py makes messages where ROS 2 is; it reads them without
            assert spoken <= ({"sensor_msgs"} if name == f"{PACKAGE}.images" else set()), name


def test_the_model_lives_in_its_room():
    for name in ours():
        if not room_of(name).startswith("vlm"):
            found = {other.split(".")[0] for other in imports(name)} & {*MODEL}
            assert not found, f"{name} imports {found}"


def needed(name: str) -> set[str]:
    """All modules that one may import, and those they may, and so on."""
    found, waiting = set(), [name]
    while waiting:
        for other in imports(waiting.pop()) - found:
            found.add(other)
            waiting += [other] if other in modules() else []
    return found


@pytest.mark.parametrize(
    "name", ["demo.run", "hpe_vlm_ros.nodes.perception", "hpe_vlm_ros.replay.__main__"]
)
def test_what_runs_needs_neither_training_nor_benchmarks(name):
    found = needed(name)
    assert len(found) > 50
    assert not {other.split(".")[0] for other in found} & {"training", "benchmarks", "test"}
