# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes of people with exact head-pose labels (see `training.synthetic.render`)."""
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Integers = NDArray[Any]
