# SPDX-License-Identifier: Apache-2.0
"""Which modules import which, read from their sources."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules_of(*folders: str) -> dict[str, Path]:
    """All modules below these folders of the repository by name."""
    names = {}
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            names[".".join(parts).removesuffix(".__init__")] = file
    return names


def imports_of(name: str, known: Mapping[str, Path], types: bool = False) -> frozenset[str]:
    """Modules that one of the `known` imports anywhere in it, also within functions; those for type
    checkers alone count with `types`."""
    file = known[name]
    package = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if not types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            below = {f"{base}.{alias.name}" for alias in node.names} & known.keys()
            found |= below or {base}
    return frozenset(found)


def check_no_cycle(graph: Mapping[str, Iterable[str]]) -> None:
    """Fails the test with the modules of a cycle, if there is one."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")
