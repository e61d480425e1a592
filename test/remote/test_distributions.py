# SPDX-License-Identifier: Apache-2.0
"""Angles' distributions from tokens' alternatives, against those that the tokens came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from talking_model import bell

from hpe_vlm_ros.remote.distributions import Token, angle_weights
from hpe_vlm_ros.vlm.decoding.numbers import circular_deviation, circular_mean

Weights = NDArray[np.float64]
DIGITS = "0123456789"


def mass(row: Weights, prefix: str) -> float:
    width = 10 ** (3 - len(prefix))
    first = int(prefix or "0") * width
    return float(row[first : first + width].sum())


def spelt(row: Weights, widths: tuple[int, ...] = (1, 1, 1), before: str = "") -> list[Token]:
    """Tokens of so many digits as a server tells them of a greedy answer; the first begins with
    `before`. Other letters take half of the probability."""
    tokens, written = [], ""
    for width in widths:
        texts = [f"{n:0{width}d}" for n in range(10**width)]
        total = mass(row, written) or 1.0
        likely = {text: mass(row, written + text) / total for text in texts}
        text = max(likely, key=lambda t: likely[t])
        top = sorted(likely, key=lambda t: -likely[t])[:20]
        told = {before + t: likely[t] / 2 for t in top} | {"well": 0.4, before + "1x": 0.1}
        tokens.append(Token(before + text, likely[text] / 2, told))
        written, before = written + text, ""
    return tokens


def answer(rows: list[Weights], widths: tuple[int, ...] = (1, 1, 1)) -> list[Token]:
    """Tokens of a whole answer."""
    between = [Token(",", 1.0, {",": 1.0})]
    yaw, pitch, roll = (spelt(row, widths) for row in rows)
    start = [Token("The head orientation angles are ", 1.0), Token("{", 1.0, {"{": 1.0})]
    return [*start, *yaw, *between, *pitch, *between, *roll, Token("}.", 1.0)]


ANGLE, DEVIATION = st.floats(0, 359.9), st.floats(1.5, 25)


@given(ANGLE, DEVIATION)
def test_digit_by_digit_the_distribution_is_nearly_recovered(mean: float, deviation: float) -> None:
    row = bell(mean, deviation)
    weights = angle_weights(answer([row, bell(7, 2), row]))
    assert weights is not None and weights.sum(1) == pytest.approx(1)
    off = (circular_mean(weights[0]) - mean + 180) % 360 - 180
    assert abs(off) < 0.25 + deviation / 7
    ratio = circular_deviation(weights[0]) / circular_deviation(row)
    assert 0.8 < ratio < 1.2


@settings(max_examples=20)  # a thousand tokens each
@given(ANGLE, st.floats(1.5, 3))
def test_from_whole_number_tokens_it_is_recovered_exactly(mean: float, deviation: float) -> None:
    row = bell(mean, deviation)
    weights = angle_weights(answer([row] * 3, (3,)))
    assert weights is not None
    assert weights[1] == pytest.approx(row, abs=2e-3)


@given(ANGLE, DEVIATION, st.sampled_from([(2, 1), (1, 2), (1, 1, 1)]))
def test_what_the_server_tells_for_sure_is_kept(
    mean: float, deviation: float, widths: tuple[int, ...]
) -> None:
    """The units behind the written tens, and the mass of all tens behind the written hundreds."""
    row = bell(mean, deviation)
    weights = angle_weights(answer([row] * 3, widths))
    assert weights is not None
    if widths == (1, 1, 1):
        hundreds = "".join(t.text for t in answer([row] * 3))[33]
        for prefix in [*"0123", *(hundreds + d for d in DIGITS)]:
            assert mass(weights[0], prefix) == pytest.approx(mass(row, prefix), abs=1e-9)


def test_a_token_may_begin_before_the_number() -> None:
    row = bell(120, 4)
    joined = [
        *spelt(row, before="are {"),
        *spelt(row, before=","),
        *spelt(row, before=","),
        Token("}", 1.0),
    ]
    plain = angle_weights(answer([row] * 3))
    assert plain is not None
    assert angle_weights(joined) == pytest.approx(plain)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [Token("no angles", 1.0, {"no": 1.0})],
        [Token("{001,002,003}", 1.0)],
        [Token(c, 1.0) for c in "{001,002,003}"],
        [Token(c, 0.0, {c: 0.0}) for c in "{001,002,003}"],
        [Token(c, 1.0, {c: 1.0}) for c in "{360,002,003}"],
        [Token(c, 1.0, {c: 1.0}) for c in "{001,002"],
    ],
)
def test_where_nothing_is_told_nothing_is_made_up(tokens: list[Token]) -> None:
    assert angle_weights(tokens) is None


def test_the_last_group_counts() -> None:
    sure = [Token(c, 1.0, {c: 1.0}) for c in "{001,002,003} no, {000,180,007}"]
    weights = angle_weights(sure)
    assert weights is not None
    assert [int(row.argmax()) for row in weights] == [0, 180, 7]
    assert weights.max(1) == pytest.approx(1)
