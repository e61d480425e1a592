# SPDX-License-Identifier: Apache-2.0
"""Accuracy beside programs that one would install instead: `python -m benchmarks.peers`."""
