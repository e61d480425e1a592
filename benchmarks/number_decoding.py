# SPDX-License-Identifier: Apache-2.0
"""What to make of an angle's probabilities: ways to choose the number, ways to state its spread.

    python -m benchmarks.number_decoding SCENES --images 200

All ways read the same answers about the true boxes of the scenes' heads. Numbers: the likeliest;
the mean near the likeliest (15 and 60 degrees); the mean over the circle, whole as an answer prints
it and as estimates give it. Spreads, each with the scale and floor that suit it best, by the mean
negative log likelihood of the true rotation (lower is better): the same for all heads; yaw, pitch
and roll as if independent; roll following pitch as `hpe_vlm_ros.spread` has it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from hpe_vlm_ros.answers import grid_box
from hpe_vlm_ros.geometry import (
    angles_from_rotations,
    circular_difference,
    geodesic_degrees,
    rotation_from_angles,
)
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.spread import Calibration, turn_covariance
from hpe_vlm_ros.tracking.motion import vector_of
from hpe_vlm_ros.vlm.decoding import expected, most_likely
from hpe_vlm_ros.vlm.numbers import circular_mean, near_angle
from hpe_vlm_ros.vlm.poses import Pose
from training.data.labels import read_synthetic
from training.data.sample import Head, Sample
from training.release.calibration import Stated, likelihood

Array = NDArray[np.float64]
LEAST = 32.0  # pixels of a head at the model's input
VISIBLE = 0.2


def asked(perceiver: HeadPerceiver, sample: Sample) -> list[Head]:
    """The heads of a scene that are large and visible enough."""
    across, down = perceiver.input_size / sample.width, perceiver.input_size / sample.height
    sizes = [np.sqrt(np.prod((h.box[2:] - h.box[:2]) * (across, down))) for h in sample.heads]
    heads = zip(sample.heads, sizes, strict=True)
    return [h for h, s in heads if s >= LEAST and h.visible > VISIBLE and h.rotation is not None]


def answers(
    perceiver: HeadPerceiver, samples: Sequence[Sample]
) -> tuple[list[Pose], list[Pose], Array]:
    """Poses with the likeliest numbers, with the mean ones, and true rotations (N, 3, 3)."""
    likely: list[Pose] = []
    mean: list[Pose] = []
    truths: list[Array] = []
    for sample in tqdm(samples, "scenes", file=sys.stderr):
        heads = asked(perceiver, sample)
        boxes = [grid_box(head.box, sample.width, sample.height) for head in heads]
        image = sample.load()
        likely += perceiver.look(image, most_likely).estimates(boxes)
        mean += perceiver.look(image, expected).estimates(boxes)
        truths += [head.rotation for head in heads if head.rotation is not None]
    return likely, mean, np.array(truths)


def near(pose: Pose, reach: int) -> list[float]:
    """Means within `reach` degrees of the numbers written."""
    pairs = zip(pose.probabilities, pose.written, strict=True)
    return [circular_mean(near_angle(weights, round(n) % 360, reach)) for weights, n in pairs]


def scores(angles: Sequence[Sequence[float]], truths: Array) -> dict[str, float]:
    """Errors in degrees of triples (N, 3)."""
    rotations = rotation_from_angles(*np.array(angles).T)
    geodesic = geodesic_degrees(rotations, truths)
    (said, known), (true, valid) = (angles_from_rotations(r) for r in (rotations, truths))
    error = np.abs(circular_difference(said, true))[known & valid]
    return {
        "geodesic_mean": float(geodesic.mean()),
        "geodesic_median": float(np.median(geodesic)),
        "geodesic_90": float(np.percentile(geodesic, 90)),
        "mae": float(error.mean()),
    }


def independent(angles: Sequence[float], deviations: Sequence[float]) -> Array:
    """(3, 3) rad^2 as if pitch and roll knew nothing of each other: too much at the profile."""
    yaw, pitch, _ = angles
    axes = np.stack(
        [
            rotation_from_angles(0.0, pitch, 0.0)[:, 1],
            [-1.0, 0.0, 0.0],
            rotation_from_angles(yaw, pitch, 0.0)[:, 2],
        ],
        axis=1,
    )
    covariance: Array = axes @ np.diag(np.radians(deviations) ** 2) @ axes.T
    return covariance


def best(turns: Array, covariances: Array) -> tuple[float, Calibration]:
    """The least negative log likelihood over scale and floor, and where it is."""
    nothing = np.zeros(0)
    stated = Stated(turns, covariances, np.zeros(len(turns)), nothing, nothing.astype(bool))

    def cost(logs: Array) -> float:
        return likelihood(stated, Calibration(*np.exp(logs)))

    found = minimize(cost, np.log([0.7, 8.0]), method="Nelder-Mead", options={"xatol": 1e-3})
    return float(found.fun), Calibration(*np.exp(found.x))


def spreads(poses: Sequence[Pose], truths: Array) -> dict[str, float]:
    """Negative log likelihoods by way of stating the spread; prints them."""
    rotations = rotation_from_angles(*np.array([p.angles for p in poses]).T)
    pairs = zip(truths, rotations, strict=True)
    turns = np.array([vector_of(truth @ rotation.T) for truth, rotation in pairs])
    ways: dict[str, Callable[..., Array]] = {
        "constant": lambda *_: np.zeros((3, 3)),
        "independent": independent,
        "conditional": turn_covariance,
    }
    out = {}
    for name, way in ways.items():
        covariances = np.array([way(p.angles, p.deviations) for p in poses])
        out[name], found = best(turns, covariances)
        print(f"{name:<34}{out[name]:8.3f}{found.rotation_scale:8.2f}{found.rotation_floor:8.1f}")
    return out


def main(scenes: Path, model: Path | None = None, images: int = 200) -> None:
    """Ask, and compare.

    Args:
        scenes: labelled scenes, as `training.synthetic.render` writes them.
        model: model folder; the embedded default if left out.
        images: how many scenes, drawn once.
    """
    perceiver = HeadPerceiver.load(model)
    every = read_synthetic(scenes)
    chosen = np.random.default_rng(0).permutation(len(every))[:images]
    likely, mean, truths = answers(perceiver, [every[i] for i in chosen])
    ways = {
        "likeliest": [p.written for p in likely],
        "mean within 15 of the likeliest": [near(p, 15) for p in likely],
        "mean within 60 of the likeliest": [near(p, 60) for p in likely],
        "circular mean, as written": [p.written for p in mean],
        "circular mean": [p.angles for p in mean],
    }
    print(f"{perceiver.model_id}: {len(truths)} heads of {len(chosen)} scenes\n")
    print(f"{'degrees':<34}{'mean':>8}{'median':>8}{'90 %':>8}{'MAE':>8}")
    found = {name: scores(angles, truths) for name, angles in ways.items()}
    for name, values in found.items():
        print(f"{name:<34}" + "".join(f"{v:8.2f}" for v in values.values()))
    print(f"\n{'spread':<34}{'nll':>8}{'scale':>8}{'floor':>8}")
    rounded = {n: {k: round(v, 2) for k, v in values.items()} for n, values in found.items()}
    nll = {name: round(value, 3) for name, value in spreads(mean, truths).items()}
    print(json.dumps({"heads": len(truths), "numbers": rounded, "spread_nll": nll}))


if __name__ == "__main__":
    auto_cli(main)
