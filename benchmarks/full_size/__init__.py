# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of the 17B model: `python -m benchmarks.full_size`."""
