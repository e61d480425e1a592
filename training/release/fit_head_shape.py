# SPDX-License-Identifier: Apache-2.0
"""Fit what the training data's head boxes enclose, so that a box says where the head is.

    python -m training.release.fit_head_shape SCENES [--model models/embedded]

The model of `hpe_vlm_ros.geometry.head_position`: a sphere of `diameter` metres is as high as the
box, and the sellion lies `offset` metres (head axes) from the sphere's centre. Written into the
checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli
from scipy.optimize import least_squares

from hpe_vlm_ros.geometry import HeadShape, head_position

from ..data.labels import read_labels
from ..data.sample import Sample

MIN_HEIGHT = 20.0  # pixels; below, rounding of the box dominates


def fit_head_shape(samples: list[Sample]) -> tuple[float, np.ndarray, np.ndarray]:
    """Diameter (m), offset (3,) (m, head axes) and residuals (N,) (m) over unoccluded heads.

    The sellion is linear in both: diameter times the centre of a sphere of one metre, plus R
    offset.
    Soft-L1 on the distance-normalised residual, since hats and hair move single boxes far.
    Raises ValueError when fewer than 50 heads qualify.
    """
    rays, rotations, truths = [], [], []
    for sample in samples:
        camera = sample.camera
        for head in sample.heads:
            known = camera and head.position is not None and head.rotation is not None
            if not (known and _qualifies(head.box, head.visible, sample)):
                continue
            rays.append(head_position(head.box, camera, np.eye(3), HeadShape(1.0, (0.0, 0.0, 0.0))))
            rotations.append(head.rotation)
            truths.append(head.position)
    if len(truths) < 50:
        raise ValueError(
            f"{len(truths)} heads qualify; at least 50 whole heads with a position are needed"
        )
    ray, rotation, truth = np.array(rays), np.array(rotations), np.array(truths)
    distance = np.linalg.norm(truth, axis=1, keepdims=True)

    def error(parameters: np.ndarray) -> np.ndarray:
        return parameters[0] * ray + rotation @ parameters[1:] - truth

    start = np.array([0.3, 0.0, 0.0, -0.1])
    fit = least_squares(
        lambda p: (error(p) / distance).ravel(), start, loss="soft_l1", f_scale=0.05
    )
    return float(fit.x[0]), fit.x[1:], np.linalg.norm(error(fit.x), axis=1)


def _qualifies(box: np.ndarray, visible: float, sample: Sample) -> bool:
    x0, y0, x1, y1 = box
    whole = x0 > 1 and y0 > 1 and x1 < sample.width - 1 and y1 < sample.height - 1
    return bool(whole and visible > 0.9 and y1 - y0 >= MIN_HEIGHT)


def main(scenes: Path, model: Path | None = None) -> None:
    """Print the fit; with `model`, write it into that checkpoint's config.json.

    Args:
        scenes: folder of rendered scenes with positions.
        model: checkpoint folder whose `head_shape` is set.
    """
    diameter, offset, residuals = fit_head_shape(read_labels(scenes))
    shape = {"diameter": round(diameter, 4), "offset": [round(float(v), 4) for v in offset]}
    median, high = np.percentile(residuals, [50, 90])
    print(
        f"{len(residuals)} heads: diameter {diameter:.3f} m, "
        f"offset {np.round(offset, 3)} m (head axes)"
    )
    print(f"position error with true boxes: median {median:.3f} m, 90 % below {high:.3f} m")
    if model is not None:
        file = model / "config.json"
        config = json.loads(file.read_text())
        config["head_shape"] = shape
        file.write_text(json.dumps(config, indent=2) + "\n")
    print(
        json.dumps(
            {
                "head_shape": shape,
                "heads": len(residuals),
                "median_error_m": round(float(median), 4),
            }
        )
    )


if __name__ == "__main__":
    auto_cli(main)
