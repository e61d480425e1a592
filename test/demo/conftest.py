# SPDX-License-Identifier: Apache-2.0
"""A private ROS graph, a tiny model, and small things to play."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from domains import domain
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
TIMEOUT = 900.0  # seconds; only a failing test waits that long


@pytest.fixture(scope="session", autouse=True)
def private_domain() -> Iterator[None]:
    """A domain of its own for these processes; to loopback the demo keeps by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain()))
        yield


@pytest.fixture(scope="session")
def faces() -> list[NDArray[np.uint8]]:
    """Six different RGB crops of the astronaut, 160 x 120."""
    from skimage import data

    astronaut = data.astronaut()
    return [astronaut[20 * i : 20 * i + 120, 120:280].copy() for i in range(6)]


class Running:
    """A command under test, in a process group of its own as under a terminal."""

    def __init__(self, module: str, *arguments: object) -> None:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._timer = threading.Timer(TIMEOUT, self.kill)
        self._timer.start()
        self.output = ""

    def read_until(self, line: str) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.output += text
            if text.startswith(line):
                return
        raise AssertionError(f"no line {line!r} in:\n{self.output}")

    def interrupt(self, number: int) -> None:
        """A signal to all its processes, as a terminal sends it."""
        os.killpg(self.process.pid, number)

    def finish(self) -> int:
        """All that it prints, in `output`, and its exit status."""
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        return self.process.wait()

    def left_over(self) -> bool:
        """Whether any process of its group lives on."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        self._timer.cancel()
        if self.left_over():
            self.interrupt(9)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts `python -m module arguments...`; what is left of it is ended afterwards."""
    started: list[Running] = []

    def run(module: str, *arguments: object) -> Running:
        started.append(Running(module, *arguments))
        return started[-1]

    yield run
    for running in started:
        running.kill()
        running.process.wait()
