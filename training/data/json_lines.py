# SPDX-License-Identifier: Apache-2.0
"""Files of JSON lines: written whole, or by long runs that go on behind the last whole line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_lines(file: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line; the file is there when all of it is, its folder is made."""
    lines = (json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    with unfinished.open("w", encoding="utf-8") as out:
        out.writelines(lines)
    unfinished.replace(file)


def whole_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a file that may not exist yet; a last one that a kill cut short is cut off."""
    if not file.exists():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        file.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]


def same_settings(file: Path, settings: dict[str, Any]) -> None:
    """Keep what a run is made with; ValueError where the run before was made with something else.

    Settings are numbers, words and lists, so that they come back from JSON as they were.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings, indent=2) + "\n")
    elif json.loads(file.read_text()) != settings:
        raise ValueError(f"{file}: these labels were begun with other settings; use another folder")
