# SPDX-License-Identifier: Apache-2.0
"""How fast the node is: `python -m benchmarks.node`."""
