# SPDX-License-Identifier: Apache-2.0
"""Questions about a picture, asked through constrained decoding; numpy only."""
