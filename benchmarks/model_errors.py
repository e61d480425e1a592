# SPDX-License-Identifier: Apache-2.0
"""How wrong a model's answers are on rendered scenes with exact truth, head by head.

    python -m benchmarks.model_errors --images 200

Writes benchmarks/model_errors.json, from which `benchmarks.simulated_tracking` draws its noise,
and prints what the node's parameters rotation_noise and looking_angle should know: the rotation's
scatter about each axis, how well one answer tells who looks at the camera, and how far the distance
from a box's size is off.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from benchmarks.scores import area_under_curve
from hpe_vlm_ros.attention import gaze_angle
from hpe_vlm_ros.geometry import CameraIntrinsics, box_iou, head_position
from hpe_vlm_ros.metrics import match_boxes
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.tracking.motion import vector_of
from training.data.labels import read_synthetic
from training.testsets import SCENES

FILE = Path(__file__).with_name("model_errors.json")
LEAST = 32.0  # pixels of a head at the model's input: smaller ones are not scored
LOOKING = 15.0  # degrees


def measure(perceiver: HeadPerceiver, images: int) -> dict[str, Any]:
    """Records of matched heads, and counts of missed and invented ones, on so many scenes."""
    heads: list[dict[str, Any]] = []
    false: list[float] = []  # scores
    counts = {"images": images, "true": 0, "found": 0, "answered": 0}
    every = read_synthetic(SCENES)
    chosen = np.random.default_rng(0).permutation(len(every))[:images]
    for sample in tqdm([every[i] for i in chosen], desc="scenes", file=sys.stderr):
        rgb = cv2.cvtColor(cv2.imread(str(sample.image_path)), cv2.COLOR_BGR2RGB)
        found = perceiver(rgb)
        scale = perceiver.input_size / sample.height
        true = [
            h
            for h in sample.heads
            if (h.box[3] - h.box[1]) * scale >= LEAST and h.visible > 0.2 and h.rotation is not None
        ]
        pairs = match_boxes([h.box for h in found], [h.box for h in true])
        counts["true"] += len(true)
        counts["found"] += len(pairs)
        # An answer on a head too small or hidden to be scored is no false alarm.
        taken, labelled = {int(i) for i, _ in pairs}, [h.box for h in sample.heads]
        alarms = [f for i, f in enumerate(found) if i not in taken and not _near(f.box, labelled)]
        counts["answered"] += len(pairs) + len(alarms)
        false.extend(round(float(f.score), 3) for f in alarms)
        for i, j in pairs:
            heads.append(record(found[i], true[j], sample.camera, perceiver))
    return {"model": perceiver.model_id, **counts, "false_scores": false, "heads": heads}


def _near(box: Any, labelled: list[Any]) -> bool:
    return bool(labelled) and bool((box_iou([box], labelled) > 0.2).any())


def record(found: Any, true: Any, camera: CameraIntrinsics, perceiver: HeadPerceiver) -> dict:
    """One head: errors of rotation (vector, degrees), box (in heights) and distance (relative)."""
    height = true.box[3] - true.box[1]
    place = head_position(found.box, camera, found.rotation, perceiver.head_shape)
    distance = float(np.linalg.norm(true.position))
    return {
        "turn": np.degrees(vector_of(found.rotation @ true.rotation.T)).round(2).tolist(),
        "box": ((np.asarray(found.box) - true.box) / height).round(4).tolist(),
        "score": round(float(found.score), 3),
        "whole": bool(true.visible > 0.9),
        "range": round(float(np.linalg.norm(place)) / distance - 1, 4),
        "gaze": round(np.degrees(gaze_angle(found.rotation, place, np.zeros(3))), 2),
        "true_gaze": round(np.degrees(gaze_angle(true.rotation, true.position, np.zeros(3))), 2),
    }


def summary(measured: dict[str, Any]) -> dict[str, Any]:
    heads = measured["heads"]
    turns = np.array([h["turn"] for h in heads])
    geodesic = np.linalg.norm(turns, axis=1)
    whole = [h for h in heads if h["whole"]]
    gaze, truth = (np.array([h[k] for h in heads]) for k in ("gaze", "true_gaze"))
    return {
        "model": measured["model"],
        "images": measured["images"],
        "heads": len(heads),
        "recall": round(measured["found"] / max(measured["true"], 1), 3),
        "rotation_median_deg": round(float(np.median(geodesic)), 1),
        # Robust: for a round Gaussian the median of the angle is 1.538 standard deviations.
        "rotation_deviation_deg": round(float(np.median(geodesic)) / 1.538, 1),
        "looking_auc_single_images": area_under_curve(-gaze, truth <= LOOKING),
        "distance_median_error": round(float(np.median(np.abs([h["range"] for h in whole]))), 3),
        "distance_bias": round(float(np.median([h["range"] for h in whole])), 3),
    }


def main(images: int = 200, model: Path | None = None) -> None:
    """Measure and write.

    Args:
        images: how many of the 1,000 test scenes.
        model: model folder; the embedded default if left out.
    """
    measured = measure(HeadPerceiver.load(model), images)
    FILE.write_text(json.dumps(measured, indent=None) + "\n", encoding="utf-8")
    found = summary(measured)
    for name, value in found.items():
        print(f"{name:<28} {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
