# SPDX-License-Identifier: Apache-2.0
"""The questions that a model can be asked, each in one file; numpy only.

A new one is a file with a `TASK` and its name in the line below, or a call of `register`.
"""

from __future__ import annotations

from typing import Any

from . import act, facing, gesture, heads, keypoints, pose, referring, yes_no
from .task import Parsed, Reason, Task

__all__ = ["TASKS", "Parsed", "Reason", "Task", "register"]

TASKS: dict[str, Task[Any]] = {}


def register(task: Task[Any]) -> None:
    """Make a task known by its name; ValueError if another one has it."""
    if TASKS.setdefault(task.name, task) is not task:
        raise ValueError(f"there is a task {task.name!r} already")


for _module in (heads, pose, referring, facing, gesture, keypoints, act, yes_no):
    register(_module.TASK)
