# SPDX-License-Identifier: Apache-2.0
"""What training must mind when FSDP keeps every weight in parts, one on each process."""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, or all parts of it together: then every process has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def is_first() -> bool:
    """Whether this is the process that writes files."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether any weight is kept in parts."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())
