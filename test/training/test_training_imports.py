# SPDX-License-Identifier: Apache-2.0
"""Who may import whom inside training/: rooms form layers, and no two modules import each other."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from import_graph import check_no_cycle, imports_of, modules_of

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "training"
# What each room of training/ may import of the others. The stages, at the top, may import all.
ROOMS = {
    "testsets": set(),
    "data": set(),
    "merging": set(),
    "supervision": {"data"},
    "synthetic": {"data"},
    "model": {"supervision", "merging"},
    "loop": {"data", "model", "supervision"},
    "labelling": {"data", "model", "supervision", "testsets"},
    "evaluation": {"data", "labelling", "testsets"},
    "refiner": {"data", "model", "supervision"},
    "release": {"data", "evaluation", "refiner", "testsets"},
}
ROOMS["reproduction"] = {*ROOMS, "stages"}


@cache
def modules() -> dict[str, Path]:
    """All modules of training/ by name."""
    return modules_of("training")


def imports(name: str) -> frozenset[str]:
    """What a module imports, for type checkers too."""
    return imports_of(name, modules(), types=True)


def room_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else "stages"


def test_every_room_has_its_place():
    rooms = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert rooms == ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_it_may(room):
    for name in modules():
        if room_of(name) != room:
            continue
        others = {room_of(other) for other in imports(name) if other.startswith("training.")}
        assert others - {room} <= ROOMS[room], name


def test_rooms_form_layers():
    tuple(TopologicalSorter(ROOMS).static_order())


def test_no_modules_import_each_other():
    check_no_cycle({name: imports(name) & modules().keys() for name in modules()})


def test_training_needs_neither_ros_nor_what_runs_on_it():
    banned = ("rclpy", "hpe_vlm_ros.nodes", "hpe_vlm_ros.replay", "demo", "benchmarks")
    for name in modules():
        for other in imports(name):
            assert not other.startswith(banned), f"{name} imports {other}"


def test_nothing_that_runs_imports_training():
    for folder in ("hpe_vlm_ros", "demo", "examples", "launch"):
        for file in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(n.split(".")[0] == "training" for n in names), file
