# SPDX-License-Identifier: Apache-2.0
"""What the paper says its tables show, and whether ours show it, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .tables import Result

Number = Callable[..., float]


class Missing(LookupError):
    """A result, or a number in it, that is not there."""


@dataclass(frozen=True)
class Claim:
    """`holds` is given a function that looks numbers up: number(result, key, ...)."""

    table: str
    text: str
    holds: Callable[[Number], bool]


def _mae(name: str) -> Callable[[Number], float]:
    return lambda number: number(name, "summary", "mae")


CLAIMS = (
    Claim("III", "HPE-CogVLM's MAE is below 6DRepNet's",
          lambda n: _mae("stage4")(n) < _mae("sixdrepnet")(n)),
    Claim("III", "it is below that of the model without merging",
          lambda n: _mae("stage4")(n) < _mae("non_merging")(n)),
    Claim("III", "task arithmetic answers invalidly far more often (ten times) than layer merging",
          lambda n: n("task_arithmetic", "summary", "e_angle_free")
          > 10 * max(n("stage4", "summary", "e_angle_free"), 1e-4)),
    Claim("III", "expressions are found within three points of the original model",
          lambda n: n("stage4", "summary", "rec_acc") > n("base", "summary", "rec_acc") - 0.03),
    Claim("III", "the frozen model with visual tokens does worse than the tower on crops",
          lambda n: _mae("frozen_visual")(n) > _mae("vision_tower")(n)),
    Claim("IV", "learning poses alone makes the model forget expressions",
          lambda n: n("forgetting_1000", "summary", "rec_acc")
          < 0.5 * n("forgetting_0", "summary", "rec_acc")),
    Claim("V", "the more is rehearsed, the more is kept",
          lambda n: n("rehearsal_0", "summary", "rec_acc") < n("rehearsal_1", "summary", "rec_acc")
          < n("rehearsal_10", "summary", "rec_acc")),
    Claim("VI", "more original layers: better expressions, worse poses",
          lambda n: n("keep_0", "summary", "rec_acc") < n("keep_32", "summary", "rec_acc")
          and _mae("keep_0")(n) < _mae("keep_32")(n)),
    Claim("VII", "the HPE-oriented model's MAE is below 6DRepNet's",
          lambda n: _mae("stage2")(n) < _mae("sixdrepnet")(n)),
    Claim("VIII", "reading loosely accepts more answers and costs accuracy",
          lambda n: n("task_arithmetic", "formats", "regex-loose", "e_angle")
          < n("task_arithmetic", "formats", "none", "e_angle")
          and n("task_arithmetic", "formats", "regex-loose", "mae")
          > n("task_arithmetic", "formats", "none", "mae")),
    Claim("VIII", "a full grammar leaves no invalid answer",
          lambda n: n("stage4", "formats", "grammar", "e_angle") == 0),
    Claim("IX", "under task arithmetic single heads fail more often than several",
          lambda n: n("task_arithmetic", "scenes", "single front", "e_angle")
          > n("task_arithmetic", "scenes", "multi front", "e_angle")),
    Claim("X", "HPE-CogVLM is better than 6DRepNet in front and at the back",
          lambda n: all(n("stage4", "ranges", r, "geodesic") < n("sixdrepnet", "ranges", r,
                        "geodesic") for r in ("front", "back"))),
    Claim("X", "the back is at most one and a half times as hard as the front",
          lambda n: n("stage4", "summary", "mae_back") <= 1.5 * n("stage4", "summary",
                                                                  "mae_front")),
    Claim("XI", "other wordings keep invalid answers below one percent",
          lambda n: max(row["e_angle"] for row in n("stage4", "prompts").values()) < 0.01),
)  # fmt: skip


def verdicts(table: str, results: Mapping[str, Result]) -> list[str]:
    """A line for each claim of a table: whether it shows here."""
    return [f"- {c.text}: {_verdict(c, results)}." for c in CLAIMS if c.table == table]


def _verdict(claim: Claim, results: Mapping[str, Result]) -> str:
    def number(name: str, *keys: str) -> Any:
        value: Any = results.get(name)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or value == {}:
            raise Missing(name)
        return value

    try:
        return "**shows here**" if claim.holds(number) else "**does not show here**"
    except Missing as missing:
        return f"cannot be told, no number of `{missing}`"
