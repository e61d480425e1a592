# SPDX-License-Identifier: Apache-2.0
"""Which modules import which, read from their sources. As a program, it draws the rooms of a tree:

python test/import_graph.py [TREE] | dot -Tsvg > rooms.svg
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules_of(*folders: str, root: Path = ROOT) -> dict[str, Path]:
    """All modules below these folders of the repository by name."""
    names = {}
    for folder in folders:
        for file in (root / folder).rglob("*.py"):
            parts = file.relative_to(root).with_suffix("").parts
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


def rooms_as_dot(root: Path) -> str:
    """The rooms of hpe_vlm_ros, how many imports lead from one to another, and in red those that
    also lead back, as text for Graphviz. What lies loose in the package is `core`, but for what
    stands above the rooms."""
    above = {"__main__", "perceiver", "two_models"}
    known = modules_of("hpe_vlm_ros", root=root)

    def room(name: str) -> str:
        parts = name.split(".")
        folder = len(parts) > 2 or known[name].stem == "__init__" and len(parts) > 1
        return parts[1] if folder or parts[-1] in above else "core"

    pairs = Counter(
        (room(name), room(other)) for name in known for other in imports_of(name, known) & {*known}
    )
    lines = ["digraph rooms {", "node [shape=box, fontname=sans]; edge [fontname=sans];"]
    for (one, other), count in sorted(pairs.items()):
        if one != other:
            colour = "red" if (other, one) in pairs else "gray40"
            lines.append(f'{one} -> {other} [label={count}, color="{colour}"];')
    return "\n".join([*lines, "}"])


if __name__ == "__main__":
    print(rooms_as_dot(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
