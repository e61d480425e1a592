# SPDX-License-Identifier: Apache-2.0
"""Who may import whom inside training/: rooms form layers, and no two modules import each other."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

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
    "release": {"data", "evaluation", "testsets"},
}
ROOMS["reproduction"] = {*ROOMS, "stages"}


@cache
def modules() -> dict[str, Path]:
    """All modules of training/ by name."""
    names = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = file
    return names


def imports(name: str) -> set[str]:
    """Modules that a module imports anywhere in it, also within functions."""
    file = modules()[name]
    package = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            below = {f"{base}.{alias.name}" for alias in node.names} & modules().keys()
            found |= below or {base}
    return found


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
    graph = {name: imports(name) & modules().keys() for name in modules()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


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
