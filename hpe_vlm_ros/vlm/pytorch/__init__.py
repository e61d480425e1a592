# SPDX-License-Identifier: Apache-2.0
"""The model in PyTorch: layers, weights, and the runtime that asks it."""
