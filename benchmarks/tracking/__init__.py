# SPDX-License-Identifier: Apache-2.0
"""How well people are followed: `python -m benchmarks.tracking`."""
