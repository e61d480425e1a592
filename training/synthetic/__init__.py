# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes of people with exact head-pose labels (see `training.synthetic.render`)."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]  # of real numbers; docstrings give shapes
Integers = NDArray[Any]
