# SPDX-License-Identifier: Apache-2.0
"""Readers and writers of recordings: bags, videos, folders, ground truth, results."""
