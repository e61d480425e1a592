# SPDX-License-Identifier: Apache-2.0
"""Our default beside what one would install instead, on the same pictures and machine.

    python -m benchmarks.peers --images 100 --yunet face_detection_yunet.onnx \\
        --mediapipe mediapipe-env/bin/python --whenet WHENet.h5

Rows that need a file or an environment you have not given say so and are not run: `mediapipe` (face
mesh, see benchmarks.peers_mediapipe), `YuNet` and `Haar` (OpenCV's face detectors) with WHENet or
our 6DRepNet on each face's head box. Scored are rendered scenes with exact truth, by the rules of
stage 5 (heads of 32 pixels at our model's input, IoU of 0.5), apart for faces towards the camera
(|yaw| < 60), at the side and from behind (> 120). What boxes and landmarks of faces need to become
heads is fitted on other scenes of the same set, so these peers are at their best.
Errors are of found heads only: read them beside recall, and see the last column, the errors of the
peer and of ours on the heads that both found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.peers_faces import (
    Alignment,
    Array,
    Detector,
    Growth,
    fit_growth,
    haar,
    landmark_boxes,
    owners,
    rays,
    yunet,
)
from hpe_vlm_ros import metrics
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.data.sample import Sample
from training.data.synthetic import read_synthetic
from training.scoring import input_scale, true_heads

SCENES = Path(__file__).parents[1] / "training" / "testsets" / "scenes"
Poses = Callable[[Any, Array], Array]
"""An RGB image and head boxes (N, 4) to rotations (N, 3, 3)."""


@dataclass
class Result:
    """What a peer found in each scene, and how long it took, in milliseconds."""

    heads: list[metrics.Heads]
    times: list[float]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        "python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--images", type=int, default=100, metavar="N", help="scenes to score (100)")
    add("--fit-images", type=int, default=100, metavar="N", help="others to fit peers on (100)")
    add("--scenes", type=Path, default=SCENES, metavar="DIR", help="labelled scenes")
    add("--model", metavar="DIR", help="ours (default: the embedded one)")
    add("--mediapipe", metavar="PYTHON", help="of an environment with mediapipe 0.10.21")
    add("--yunet", type=Path, metavar="ONNX", help="YuNet's weights, from OpenCV's model zoo")
    add("--whenet", type=Path, metavar="H5", help="WHENet's, if not installed (training.whenet)")
    add("--sixdrepnet", type=Path, metavar="PT", help="checkpoint of training.baselines.sixdrepnet")
    return result


def ours(perceiver: HeadPerceiver, samples: Sequence[Sample]) -> Result:
    perceiver(samples[0].load())  # to warm up
    result = Result([], [])
    for sample in tqdm(samples, desc="ours", file=sys.stderr):
        image = sample.load()
        started = time.perf_counter()
        found = perceiver(image)
        result.times.append(1000 * (time.perf_counter() - started))
        triples = [(h.yaw, h.pitch, h.roll) for h in found]
        boxes, turns = [h.box for h in found], [h.rotation for h in found]
        result.heads.append(metrics.heads(boxes, turns, triples))
    return result


def detector_and_regressor(
    name: str, detect: Detector, pose: Poses, fit_on: Sequence[Sample], samples: Sequence[Sample]
) -> Result:
    grow, result = fit_growth(detect, fit_on), Result([], [])
    pose(samples[0].load(), np.array([[0.0, 0.0, 64.0, 64.0]]))  # to warm up
    for sample in tqdm(samples, desc=name, file=sys.stderr):
        image = sample.load()
        started = time.perf_counter()
        boxes = grow(detect(image))
        turns = rays(boxes, image.shape[:2]) @ pose(image, boxes)
        result.times.append(1000 * (time.perf_counter() - started))
        result.heads.append(metrics.heads(boxes, turns))
    return result


def mediapipe(python: str, fit_on: Sequence[Sample], samples: Sequence[Sample]) -> Result:
    script = Path(__file__).with_name("peers_mediapipe.py")
    paths = "".join(f"{s.image_path}\n" for s in (*fit_on, *samples))
    done = subprocess.run(
        [python, str(script)], input=paths, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it failed silently"])[-1])
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    boxes, turns = [], []
    for answer, sample in zip(answers, fit_on, strict=False):
        faces = landmark_boxes(answer["faces"])
        for i, head in owners(faces, sample.heads):
            boxes.append((faces[i], head.box))
            if head.rotation is not None:
                (ray,) = rays(head.box[None], (sample.height, sample.width))
                turns.append((np.array(answer["faces"][i]), ray.T @ head.rotation))
    grow, align, result = Growth.fit(boxes), Alignment.fit(turns), Result([], [])
    for answer, sample in zip(answers[len(fit_on) :], samples, strict=True):
        started = time.perf_counter()
        found = grow(landmark_boxes(answer["faces"]))
        seen = np.array([align(np.array(face)) for face in answer["faces"]]).reshape(-1, 3, 3)
        seen = rays(found, (sample.height, sample.width)) @ seen
        own = 1000 * (time.perf_counter() - started)
        result.times.append(answer["ms"] + own)
        result.heads.append(metrics.heads(found, seen))
    return result


def whenet(weights: Path | None) -> Poses:
    from training.whenet import load_whenet

    model = load_whenet(weights)
    return lambda image, boxes: model.rotations(image, list(boxes))


def sixdrepnet(checkpoint: Path | None) -> Poses:
    if checkpoint is None:
        raise FileNotFoundError("give --sixdrepnet, trained by training.baselines.sixdrepnet")
    import torch

    from training.baselines.crops import crop
    from training.baselines.sixdrepnet import SixDRepNet

    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = SixDRepNet(pretrained=False)
    model.load_state_dict(stored["model"])
    model.eval()

    def pose(image: Any, boxes: Array) -> Array:
        if not len(boxes):
            return np.zeros((0, 3, 3))
        pixels = torch.stack([crop(image, box, 96) for box in boxes])
        with torch.inference_mode():
            return np.asarray(model(pixels).double().numpy())

    return pose


def peers(
    options: argparse.Namespace, fit_on: Sequence[Sample], samples: Sequence[Sample]
) -> dict[str, Result | str]:
    """What each peer found, or why it was not run."""

    def need(value: Any, text: str) -> Any:
        if value is None:
            raise FileNotFoundError(text)
        return value

    def pair(name: str, detect: Callable[[], Detector], pose: Callable[[], Poses]) -> Result:
        return detector_and_regressor(name, detect(), pose(), fit_on, samples)

    def net() -> Detector:
        return yunet(need(options.yunet, "give --yunet"))

    def mesh() -> Result:
        python = need(options.mediapipe, "give --mediapipe, see benchmarks.peers_mediapipe")
        return mediapipe(python, fit_on, samples)

    ways: dict[str, Callable[[], Result]] = {
        "mediapipe face mesh": mesh,
        "YuNet + WHENet": lambda: pair("YuNet + WHENet", net, lambda: whenet(options.whenet)),
        "Haar + WHENet": lambda: pair("Haar + WHENet", haar, lambda: whenet(options.whenet)),
        "YuNet + 6DRepNet": lambda: pair(
            "YuNet + 6DRepNet", net, lambda: sixdrepnet(options.sixdrepnet)
        ),
    }
    found: dict[str, Result | str] = {}
    for name, way in ways.items():
        try:
            found[name] = way()
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            found[name] = f"{error}".splitlines()[0]
    return found


def records_of(
    result: Result, samples: Sequence[Sample], perceiver: HeadPerceiver
) -> metrics.Records:
    return metrics.merge(
        metrics.end_to_end(found, true_heads(sample), input_scale(perceiver, sample))
        for found, sample in zip(result.heads, samples, strict=True)
    )


def shared(theirs: metrics.Records, ours: metrics.Records) -> dict[str, Any]:
    """Median geodesic errors of both on the heads that both found."""
    both = theirs.found & ours.found & np.isfinite(theirs.geodesic + ours.geodesic)
    errors = {"theirs": theirs.geodesic[both], "ours": ours.geodesic[both]}
    medians = {k: round(float(np.median(v)), 3) if len(v) else None for k, v in errors.items()}
    return {"heads": int(both.sum()), **medians}


def scored(result: Result, records: metrics.Records, ours: metrics.Records) -> dict[str, Any]:
    """Numbers of one row."""
    row: dict[str, Any] = {"ms": round(float(np.median(result.times)), 1)}
    parts = [("all", metrics.score(records)), *metrics.by_yaw(records)[:3]]
    for name, part in parts:
        numbers = part.as_dict()
        chosen = ("heads", "recall", "mae", "geodesic_median")
        row[name] = {key: _rounded(numbers[key]) for key in chosen}
    row["precision"] = _rounded(parts[0][1].as_dict()["precision"])
    row["both"] = shared(records, ours)
    return row


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 3) if isinstance(value, float) else value


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Recall and median geodesic error in degrees, by where faces point."""
    parts = ("all", "front", "side", "back")
    titles = "".join(f"{part:>16}" for part in parts)
    lines = [f"{'':<22}{'ms':>9}{'precision':>11}{titles}{'both: it, ours':>18}"]
    for name, row in rows.items():
        if "not_run" in row:
            lines.append(f"{name:<22}{'not run':>9}  {row['not_run']}")
            continue
        cells = "".join(f"{_part(row[part]):>16}" for part in parts)
        precision = "-" if row["precision"] is None else f"{row['precision']:.2f}"
        both = (
            "-" if row["both"]["ours"] is None else "{theirs:.1f} {ours:.1f}".format(**row["both"])
        )
        lines.append(f"{name:<22}{row['ms']:>9.1f}{precision:>11}{cells}{both:>18}")
    return "\n".join([*lines, "columns by yaw: recall, median geodesic error in degrees"])


def _part(part: dict[str, Any]) -> str:
    error = part["geodesic_median"]
    recall = part["recall"]
    return ("-" if recall is None else f"{recall:.2f}") + (
        "      -" if error is None else f" {error:6.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.images < 1 or options.fit_images < 1:
        parser().error("--images and --fit-images need 1 or more")
    every = read_synthetic(options.scenes)
    order = np.random.default_rng(0).permutation(len(every))
    samples = [every[i] for i in order[: options.images]]
    fit_on = [every[i] for i in order[options.images : options.images + options.fit_images]]
    perceiver = HeadPerceiver.load(options.model, "cpu")
    results: dict[str, Result | str] = {"ours": ours(perceiver, samples)}
    results |= peers(options, fit_on, samples)
    records = {
        name: records_of(result, samples, perceiver)
        for name, result in results.items()
        if isinstance(result, Result)
    }
    rows = {
        name: scored(result, records[name], records["ours"])
        if isinstance(result, Result)
        else {"not_run": result}
        for name, result in results.items()
    }
    print(f"{len(samples)} scenes; ours is {perceiver.model_id}")
    print(table(rows))
    print(json.dumps({"model": perceiver.model_id, "images": len(samples), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
