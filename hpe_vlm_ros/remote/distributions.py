# SPDX-License-Identifier: Apache-2.0
"""The probabilities of an angle's 360 values, from the alternatives that a server tells of tokens.

A server tells what else could have stood in place of each token it wrote, given those before it.
So the hundreds are known, the tens behind the written hundreds, and the units behind the written
tens. What would have followed the digits that were not written stays unknown. Errors are small more
often than large, so those numbers are taken to lie near the written one:

    P(n | prefix)  ~  exp(-|n - written| / s)     over the numbers n with that prefix,

with |.| on the circle. s is the deviation behind the written hundreds, were all numbers as near to
the written one as their digits allow, and at least NEAREST. For wrapped normals this gives the
deviation to about 20 % up to 25 degrees, see the tests. Of two bells far apart it understates the
deviation. Tokens of several digits need no such guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CIRCLE = 360
NEAREST = 1.0  # degrees
ANGLES = re.compile(r"\{([0-9]{3}),([0-9]{3}),([0-9]{3})\}")
_DIGITS = re.compile(r"[0-9]+")

Weights = NDArray[np.float64]


class Token(NamedTuple):
    """A token of an answer: its text, probability, and those of the texts most likely there."""

    text: str
    probability: float
    alternatives: Mapping[str, float] = {}


class _Branch(NamedTuple):
    prefix: str
    weight: float


def angle_weights(tokens: Sequence[Token]) -> Weights | None:
    """(3, 360), rows sum to one: of yaw, pitch and roll in the last {yyy,ppp,rrr} of an answer.

    None where there is no such group, a number above 359, or a digit without alternatives.
    """
    groups = list(ANGLES.finditer("".join(token.text for token in tokens)))
    if not groups:
        return None
    rows = [_number(tokens, *groups[-1].span(group)) for group in (1, 2, 3)]
    known = [row for row in rows if row is not None]
    return np.stack(known) if len(known) == len(rows) else None


def _number(tokens: Sequence[Token], start: int, end: int) -> Weights | None:
    """(360,) of the number at these places of the text."""
    written, branches, carried, place = "", list[_Branch](), 1.0, 0
    for token in tokens:
        first, place = place, place + len(token.text)
        if place <= start or first >= end:
            continue
        before = token.text[: max(start - first, 0)]
        own = token.text[len(before) : end - first]
        weights = _continuations(token, before, written)
        total = sum(weights.values())
        if not token.alternatives or own not in weights or not total:
            return None
        branches += [
            _Branch(written + text, carried * weight / total)
            for text, weight in weights.items()
            if text != own
        ]
        carried *= weights[own] / total
        written += own
    branches.append(_Branch(written, carried))
    return _filled(branches, written)


def _continuations(token: Token, before: str, written: str) -> dict[str, float]:
    """Probabilities of the digits that may follow `written`, by what each alternative says.

    `before` is what the token says ahead of the number, and so must each alternative.
    """
    found: dict[str, float] = {}
    for text, probability in {token.text: token.probability, **token.alternatives}.items():
        digits = _DIGITS.match(text, len(before)) if text.startswith(before) else None
        if digits is None:
            continue
        number = written + digits.group()
        after = text[digits.end() :]
        follows = len(number) < 3 and not after or len(number) == 3 and after[:1] in ("", ",", "}")
        if follows and len(_values(number)):
            found[digits.group()] = found.get(digits.group(), 0.0) + probability
    return found


def _values(prefix: str) -> NDArray[np.int64]:
    """The numbers 0..359 that begin with these digits."""
    width = 10 ** (3 - len(prefix))
    low = int(prefix) * width
    return np.arange(low, min(low + width, CIRCLE))


def _filled(branches: Sequence[_Branch], written: str) -> Weights:
    """(360,): the weight of each branch laid on its numbers."""
    at = int(written)
    weights = np.array([branch.weight for branch in branches])
    turns = [_turn(_values(branch.prefix), at) for branch in branches]
    nearest = np.array([turn[np.abs(turn).argmin()] for turn in turns])
    behind = np.array([branch.prefix[0] == written[0] for branch in branches])
    scale = max(_deviation(nearest[behind], weights[behind]), NEAREST)
    result = np.zeros(CIRCLE)
    for branch, turn in zip(branches, turns, strict=True):
        # from the nearest of the branch on, or the shares of far ones would all underflow to 0
        shares = np.exp((np.abs(turn).min() - np.abs(turn)) / scale)
        result[_values(branch.prefix)] += branch.weight * shares / shares.sum()
    return result / result.sum()


def _deviation(values: Weights, weights: Weights) -> float:
    middle = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - middle) ** 2, weights=weights)))


def _turn(values: NDArray[np.int64], at: int) -> Weights:
    """Degrees from `at` to each value, the shorter way."""
    return np.asarray((values - at + CIRCLE / 2) % CIRCLE - CIRCLE / 2, np.float64)
