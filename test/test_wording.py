# SPDX-License-Identifier: Apache-2.0
"""Spans of time in sentences."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.wording import seconds

UNITS = {"s": 1.0, "ms": 1e-3, "ns": 1e-9}


@pytest.mark.parametrize(
    ("span", "text"),
    [(0, "0 ns"), (30, "30 ns"), (12_000, "0.012 ms"), (7 * 10**8, "0.700 s"), (10**11, "100.0 s")],
)
def test_the_unit_fits(span, text):
    assert seconds(span) == text


@given(st.integers(1, 10**19))
def test_nothing_is_rounded_to_nothing(span):
    number, unit = re.fullmatch(r"([\d.]+) (\w+)", seconds(span)).groups()
    assert float(number) * UNITS[unit] == pytest.approx(span / 1e9, rel=0.51 / 1)
    assert float(number) > 0
