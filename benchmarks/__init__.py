# SPDX-License-Identifier: Apache-2.0
"""Measurements of the package on the machine at hand."""
