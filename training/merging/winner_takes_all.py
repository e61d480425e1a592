# SPDX-License-Identifier: Apache-2.0
"""HPE-CogVLM's layer-wise merge (arXiv 2406.01914, section III-C): a layer is taken whole.

A projection stays original if its similarity is below the threshold, or among the lowest; any
other layer comes from the tuned model. A bias goes with its weight. Layers without a similarity,
such as norms, come from the tuned model too (after LoRA they are the same in both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from .registry import Layer, merge_method


@merge_method
def winner_takes_all(
    original: Tensor,
    tuned: Tensor,
    layer: Layer,
    threshold: float = 0.95,
    lowest: float = 0.01,
    keep: float | None = None,
) -> Tensor:
    """One of the two, by the layer's similarity; options as in `originals`."""
    kept = originals(layer.similarities, threshold, lowest, keep)
    return original if layer.name in kept else tuned


def originals(
    similarities: Mapping[str, float],
    threshold: float = 0.95,
    lowest: float = 0.01,
    keep: float | None = None,
) -> set[str]:
    """Names of the layers that stay original.

    Args:
        similarities: of all layers that differ between the models.
        threshold: similarities below it keep the original.
        lowest: this share of the layers, those of lowest similarity, keeps the original in any
            case: the paper's safeguard. A fraction of a layer counts as one.
        keep: instead of `threshold`, the share of layers that is to stay original. Where a short
            run has hardly moved the weights, no fixed threshold separates anything.
    """
    for name, share in (("lowest", lowest), ("keep", keep)):
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; it is a share of the layers, 0 to 1")
    if keep is not None:
        threshold = quantile_threshold(similarities, keep)
    ranked = sorted(similarities, key=lambda name: (similarities[name], name))
    # rounded first: 0.07 * 100 is a little above 7 in floating point, and must not become 8 layers
    safe = ranked[: math.ceil(round(lowest * len(ranked), 9))]
    return {name for name in ranked if similarities[name] < threshold} | set(safe)


def quantile_threshold(similarities: Mapping[str, float], keep: float) -> float:
    """The threshold below which the share `keep` of the layers lies (fewer, if there are ties)."""
    ranked = sorted(similarities.values())
    count = round(keep * len(ranked))
    return ranked[count] if count < len(ranked) else math.inf
