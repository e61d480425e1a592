# SPDX-License-Identifier: Apache-2.0
"""What benchmarks share: their options, the cores they run on, and progress on stderr."""

from __future__ import annotations

import argparse
import os
import sys
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
    print(text, file=sys.stderr, flush=True)


def resident_megabytes(pid: int) -> float:
    """Megabytes (2**20 bytes) of a process in memory (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
