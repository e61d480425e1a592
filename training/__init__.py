# SPDX-License-Identifier: Apache-2.0
"""Data, training and scoring; nothing here is needed to run the node."""
