# SPDX-License-Identifier: Apache-2.0
"""Losses, and read-outs that exist only while the model is trained."""
