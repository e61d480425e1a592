# SPDX-License-Identifier: Apache-2.0
"""What a trained model is given before it is used: head shape, scores, calibrated spreads."""
