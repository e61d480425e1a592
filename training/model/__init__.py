# SPDX-License-Identifier: Apache-2.0
"""Weights before and between stages: starting weights, other sizes, adapters."""
