# SPDX-License-Identifier: Apache-2.0
"""Labelled scenes as the metrics take them."""

from __future__ import annotations

import numpy as np

from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.perceiver import HeadPerceiver

from ..data.sample import Sample

UNKNOWN = np.full((3, 3), np.nan)


def true_heads(sample: Sample) -> metrics.Heads:
    """The labels of a scene; a head of unknown pose counts as a box only."""
    return metrics.heads(
        [head.box for head in sample.heads],
        [UNKNOWN if head.rotation is None else head.rotation for head in sample.heads],
        visible=[head.visible for head in sample.heads],
    )


def input_scale(perceiver: HeadPerceiver, sample: Sample) -> tuple[float, float]:
    """Pixels of the model's input per pixel of the scene, across and down."""
    return perceiver.input_size / sample.width, perceiver.input_size / sample.height
