# SPDX-License-Identifier: Apache-2.0
"""Labels of photographs that people judged by eye: proposals, sheets to look at, verdicts."""
