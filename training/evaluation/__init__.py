# SPDX-License-Identifier: Apache-2.0
"""Scoring models: ask them once, keep what they say, compute every number from that."""
