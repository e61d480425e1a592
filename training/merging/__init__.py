# SPDX-License-Identifier: Apache-2.0
"""Merging two models of one architecture, shard by shard; see `training.stage3_merge`."""
