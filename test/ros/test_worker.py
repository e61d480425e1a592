# SPDX-License-Identifier: Apache-2.0
"""Newest item only, and warnings that do not repeat."""

import threading

import pytest

from hpe_vlm_ros.nodes import worker as module
from hpe_vlm_ros.nodes.worker import NewestOnly, ThrottledWarnings

LONG = 60.0  # seconds; only a failing test waits that long


class Gate:
    """Work that stands still until it is let through, so that nothing depends on time."""

    def __init__(self):
        self.done, self.entered, self.open = [], threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, key, item):
        self.entered.release()
        assert self.open.acquire(timeout=LONG)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)


def fail(key, error):
    raise AssertionError(error)


@pytest.fixture
def gate():
    return Gate()


def test_only_the_newest_waits_and_the_rest_are_counted(gate):
    worker = NewestOnly(gate, fail, lambda key: 0.0)
    worker.put(1)
    assert gate.entered.acquire(timeout=LONG)
    for item in (2, 3, 4):
        worker.put(item)
    gate.open.release(2)
    assert gate.entered.acquire(timeout=LONG)
    assert worker.stop(LONG)
    assert gate.done == [1, 4]
    worker.drop()
    assert worker.take_dropped() == 3
    assert worker.take_dropped() == 0


def test_a_failure_is_reported_and_the_next_item_is_worked_on(gate):
    failures = []
    worker = NewestOnly(gate, lambda key, error: failures.append(error), lambda key: 0.0)
    gate.open.release(2)
    worker.put(ValueError("bad"))
    assert gate.entered.acquire(timeout=LONG)
    worker.put("good")
    assert gate.entered.acquire(timeout=LONG)
    assert worker.stop(LONG)
    assert gate.done == ["good"]
    assert [str(error) for error in failures] == ["bad"]


def test_stop_says_when_the_work_does_not_end_in_time(gate):
    worker = NewestOnly(gate, fail, lambda key: 0.0)
    worker.put(1)
    assert gate.entered.acquire(timeout=LONG)
    assert not worker.stop(0.0)
    assert worker.stopping
    gate.open.release()
    assert worker.stop(LONG)


def test_the_rate_limit_holds_the_next_item_back_but_not_its_replacement(gate):
    periods = iter([0.0])
    worker = NewestOnly(gate, fail, lambda key: next(periods, 3600.0))
    gate.open.release(2)
    worker.put(1)
    assert gate.entered.acquire(timeout=LONG)
    worker.put(2)
    worker.put(3)
    assert worker.stop(LONG)
    assert gate.done == [1]
    assert worker.take_dropped() == 1


def test_cameras_take_turns_however_often_they_send(gate):
    worker = NewestOnly(gate, fail, lambda key: 0.0)
    worker.put("front 0", "front")
    assert gate.entered.acquire(timeout=LONG)
    for n in range(1, 4):  # while the first is worked on, front sends most
        worker.put(f"front {n}", "front")
    worker.put("rear 0", "rear")
    worker.put("left 0", "left")
    gate.open.release()
    assert gate.entered.acquire(timeout=LONG)
    worker.put("rear 1", "rear")
    for _ in range(3):
        gate.open.release()
        assert gate.entered.acquire(timeout=LONG)
    gate.open.release()
    assert worker.stop(LONG)
    assert gate.done == ["front 0", "rear 0", "left 0", "front 3", "rear 1"]
    assert worker.take_dropped("front") == 2 and worker.take_dropped("rear") == 0


def test_complaints_are_passed_on_once_a_period_and_kind(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    complaints = []
    complain = ThrottledWarnings(complaints.append, period=5.0)
    for _ in range(3):
        complain("size", "too small")
    complain("empty", "nothing in it")
    now[0] += 5.0
    complain("size", "too small")
    complain("size", "too small")
    now[0] += 5.0
    complain("empty", "nothing in it")
    assert complaints == ["too small", "nothing in it", "too small (2 more since)", "nothing in it"]
