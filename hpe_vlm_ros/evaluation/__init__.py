# SPDX-License-Identifier: Apache-2.0
"""Measures of head poses, with and without ground truth."""
