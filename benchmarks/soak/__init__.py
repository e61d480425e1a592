# SPDX-License-Identifier: Apache-2.0
"""The node under load for a long time: `python -m benchmarks.soak`."""
