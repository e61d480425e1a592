# SPDX-License-Identifier: Apache-2.0
"""What benchmarks share: their options, the cores they run on, and progress on stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def described(program: str, text: str | None) -> argparse.ArgumentParser:
    """A parser that prints `text` as it stands."""
    how = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(program, description=text, formatter_class=how)


def take_cores(count: int) -> None:
    """Confines this process and all it starts to so many cores; ValueError when there are fewer."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < count:
            raise ValueError(f"--threads {count}, but this process may use {len(cores)} cores only")
        os.sched_setaffinity(0, cores[:count])


def say(text: str) -> None:
    """A line about progress, on stderr, where it mixes with no table."""
    print(text, file=sys.stderr, flush=True)


def cell(value: float | None, digits: int = 2) -> str:
    """A number of a table; "-" for one that was not measured."""
    return "-" if value is None else f"{value:.{digits}f}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """A table of these cells, columns aligned at their right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def resident_megabytes(pid: int) -> float:
    """Megabytes (2**20 bytes) of a process in memory (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
