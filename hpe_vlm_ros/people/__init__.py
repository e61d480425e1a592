# SPDX-License-Identifier: Apache-2.0
"""The people a camera sees: ids and poses over time, positions, attention, questions."""
