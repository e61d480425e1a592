# SPDX-License-Identifier: Apache-2.0
"""Numbers in sentences."""

from __future__ import annotations


def seconds(nanoseconds: float) -> str:
    """A span of time, never rounded to nothing: "12.3 s", "0.045 s", "0.8 ms", "30 ns"."""
    size = abs(nanoseconds)
    if size >= 10 * 10**9:
        return f"{nanoseconds / 1e9:.1f} s"
    if size >= 10**6:
        return f"{nanoseconds / 1e9:.3f} s"
    if size >= 1000:
        return f"{nanoseconds / 1e6:.3f} ms"
    return f"{nanoseconds:.0f} ns"
