# SPDX-License-Identifier: Apache-2.0
"""A run's report as a page, as plots, as tables for the terminal."""
