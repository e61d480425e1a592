# SPDX-License-Identifier: Apache-2.0
"""The refiner: squares to learn from (candidates, crops), the network, its losses, its run."""
