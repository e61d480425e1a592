# SPDX-License-Identifier: Apache-2.0
"""The paper's tables and figures beside our own (see `training.reproduction.report`)."""
