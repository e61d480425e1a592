# SPDX-License-Identifier: Apache-2.0
"""What all training stages share: data, model, steps, checkpoints, log."""
