# SPDX-License-Identifier: Apache-2.0
"""Conditions such as "mae_yaw > 8" that shut the gate of a continuous integration."""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from hpe_vlm_ros.recordings.frames import ReplayError

SHUT = 3
"""Exit status of a run whose gate is shut; 1 means an error, 2 options that are wrong."""
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """Fail if the measure `name` compares so with `limit`."""

    name: str
    comparison: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether this value makes the check fail."""
        return _COMPARISONS[self.comparison](value, self.limit)

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.limit:g}"


def conditions(texts: Sequence[str], file: Path | None = None) -> list[Condition]:
    """Those of the command line and of a file (one a line, # begins a remark)."""
    lines = list(texts)
    if file is not None:
        try:
            content = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ReplayError(f"--thresholds {file}: cannot be read ({error})") from error
        lines += [text for line in content if (text := line.partition("#")[0].strip())]
    return [condition(line) for line in lines]


def condition(text: str) -> Condition:
    """Reads one; ReplayError when it is not of the form "name > number"."""
    parts = _FORM.fullmatch(text)
    try:
        limit = float(parts[3]) if parts else math.nan
    except ValueError:
        limit = math.nan
    if parts is None or math.isnan(limit):
        raise ReplayError(
            f"condition {text!r}: write a measure, one of > >= < <=, and a number, such as "
            '"mae_yaw > 8"'
        )
    return Condition(parts[1], parts[2], limit)


def shut(shut_if: Sequence[Condition], values: Mapping[str, float | None]) -> int:
    """The exit status, after saying which conditions hold. ReplayError for a measure that is not
    known, or has no value here: a gate that cannot be judged must not stand open."""
    holding = []
    for rule in shut_if:
        if rule.name not in values:
            near = get_close_matches(rule.name, values, 3) or sorted(values)
            raise ReplayError(f"condition {rule}: no such measure; there is {', '.join(near)}")
        value = values[rule.name]
        if value is None:
            raise ReplayError(
                f"condition {rule}: {rule.name} has no value here; does it need ground truth?"
            )
        if rule.holds(value):
            holding.append(f"{rule} holds: {rule.name} is {value:g}")
    for line in holding:
        print(f"failed: {line}", file=sys.stderr)
    return SHUT if holding else 0
