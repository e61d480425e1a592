# SPDX-License-Identifier: Apache-2.0
"""Readers: every data set becomes the same `Sample`."""
