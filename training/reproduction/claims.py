# SPDX-License-Identifier: Apache-2.0
"""What the paper says its tables show, and whether ours show it, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .tables import Result

Number = Callable[..., Any]
OURS, CNN, TA = "stage4", "sixdrepnet", "task_arithmetic"


class Missing(LookupError):
    """A result, or a number in it, that is not there."""


@dataclass(frozen=True)
class Claim:
    """`holds` is given a function that looks numbers up: number(result, key, ...)."""

    table: str
    text: str
    holds: Callable[[Number], bool]


def mae(number: Number, name: str) -> float:
    """Mean error of yaw, pitch and roll in degrees, of a result by name."""
    return number(name, "summary", "mae")


def accuracy(number: Number, name: str) -> float:
    """Share of right boxes for expressions with a pair of traits that training withheld."""
    return number(name, "summary", "rec_acc")


def invalid(number: Number, name: str, *group: str) -> float:
    """Share of heads whose answer is invalid: without a grammar, or in a group of a result."""
    key = ("summary", "e_angle_free") if not group else (*group, "e_angle")
    return number(name, *key)


def _forgets(number: Number) -> bool:
    return accuracy(number, "forgetting_1000") < 0.5 * accuracy(number, "forgetting_0")


def _rehearsal_keeps(number: Number) -> bool:
    kept = [accuracy(number, f"rehearsal_{ratio}") for ratio in (0, 1, 10)]
    return kept[0] < kept[1] < kept[2]


def _originals_trade(number: Number) -> bool:
    words = accuracy(number, "keep_0") < accuracy(number, "keep_32")
    return words and mae(number, "keep_0") < mae(number, "keep_32")


def _loose_costs(number: Number) -> bool:
    rarer, worse = (
        [number(TA, "formats", name, key) for name in ("none", "regex-loose")]
        for key in ("e_angle", "mae")
    )
    return rarer[1] < rarer[0] and worse[1] > worse[0]


def _singles_fail(number: Number) -> bool:
    single, several = (invalid(number, TA, "scenes", f"{s} front") for s in ("single", "multi"))
    return single > several


def _both_ranges(number: Number) -> bool:
    return all(
        number(OURS, "ranges", side, "geodesic") < number(CNN, "ranges", side, "geodesic")
        for side in ("front", "back")
    )


def _back_is_near(number: Number) -> bool:
    front, back = (number(OURS, "summary", f"mae_{side}") for side in ("front", "back"))
    return back <= 1.5 * front


def _wordings(number: Number) -> bool:
    return max(row["e_angle"] for row in number(OURS, "prompts").values()) < 0.01


CLAIMS = (
    Claim("III", "HPE-CogVLM's MAE is below 6DRepNet's", lambda n: mae(n, OURS) < mae(n, CNN)),
    Claim(
        "III",
        "it is below that of the model without merging",
        lambda n: mae(n, OURS) < mae(n, "non_merging"),
    ),
    Claim(
        "III",
        "task arithmetic answers invalidly far more often (ten times) than layer merging",
        lambda n: invalid(n, TA) > 10 * max(invalid(n, OURS), 1e-4),
    ),
    Claim(
        "III",
        "expressions are found within three points of the original model",
        lambda n: accuracy(n, OURS) > accuracy(n, "base_grounding") - 0.03,
    ),
    Claim(
        "III",
        "the frozen model with visual tokens does worse than the tower on crops",
        lambda n: mae(n, "frozen_visual") > mae(n, "vision_tower"),
    ),
    Claim("IV", "learning poses alone makes the model forget half of its words or more", _forgets),
    Claim("V", "the more is rehearsed, the more is kept", _rehearsal_keeps),
    Claim("VI", "more original layers: better expressions, worse poses", _originals_trade),
    Claim(
        "VII",
        "the HPE-oriented model's MAE is below 6DRepNet's",
        lambda n: mae(n, "stage2") < mae(n, CNN),
    ),
    Claim("VIII", "reading loosely accepts more answers and costs accuracy", _loose_costs),
    Claim(
        "VIII",
        "a full grammar leaves no invalid answer",
        lambda n: invalid(n, OURS, "formats", "grammar") == 0,
    ),
    Claim("IX", "under task arithmetic single heads fail more often than several", _singles_fail),
    Claim("X", "HPE-CogVLM is better than 6DRepNet in front and at the back", _both_ranges),
    Claim("X", "the back is at most one and a half times as hard as the front", _back_is_near),
    Claim("XI", "other wordings keep invalid answers below one percent", _wordings),
)


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
