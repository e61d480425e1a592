# SPDX-License-Identifier: Apache-2.0
"""Where the training-only read-outs lie, which only the next stage needs."""

from __future__ import annotations

from pathlib import Path

from hpe_vlm_ros.vlm.diagnosis import READ_OUTS


def read_outs_of(base: Path | None) -> Path | None:
    """The training-only read-outs of a model folder: in it after a merge, beside it after a run."""
    places = () if base is None else (base / READ_OUTS, base.parent / READ_OUTS)
    return next((file for file in places if file.is_file()), None)
