# SPDX-License-Identifier: Apache-2.0
"""Rendered things of thirty categories with named points (see `things.render`)."""
