# SPDX-License-Identifier: Apache-2.0
"""Two minutes at 30 images a second, people entering and leaving, the node paused now and then.

They pass while other tests run; see `soak` in conftest.py. With the shipped weights and for hours:
`python -m benchmarks.soak`.
"""

from __future__ import annotations

import fcntl
import json
import time

MINUTES = 2.0


def ended(output):
    """Whether the soak has let go of its output."""
    with output.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_two_minutes_of_people_coming_and_going(soak):
    give_up = time.monotonic() + 600
    while not ended(soak):
        assert time.monotonic() < give_up, soak.read_text()
        time.sleep(0.2)
    said = soak.read_text()
    assert said.endswith("}\n"), said
    found = json.loads(said.splitlines()[-1])
    assert found["memory_growth"] <= 0.05, found
    assert found["threads_growth"] <= 0 and found["files_growth"] <= 0, found
    assert found["transitions"] >= 10 and found["transitions_lost"] == 0, found
    assert found["frames_in"] >= 2000 and found["frames_out"] >= 200, found
    assert found["max_age_exceeded"] == 0 and found["ids_switched"] == 0, found
    assert not found["traceback"]
