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
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
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
from training.testsets import SCENES

Poses = Callable[[Any, Array], Array]
"""An RGB image and head boxes (N, 4) to rotations (N, 3, 3)."""


Peer = Callable[[Sample, Any], tuple[metrics.Heads, float]]
"""A scene and its RGB image to the heads found and the milliseconds it took."""


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


def ours(perceiver: HeadPerceiver) -> Peer:
    def find(sample: Sample, image: Any) -> tuple[metrics.Heads, float]:
        started = time.perf_counter()
        found = perceiver(image)
        elapsed = 1000 * (time.perf_counter() - started)
        triples = [(h.yaw, h.pitch, h.roll) for h in found]
        boxes, turns = [h.box for h in found], [h.rotation for h in found]
        return metrics.heads(boxes, turns, triples), elapsed

    return find


def detector_and_regressor(detect: Detector, pose: Poses, fit_on: Sequence[Sample]) -> Peer:
    grow = fit_growth(detect, fit_on)

    def find(sample: Sample, image: Any) -> tuple[metrics.Heads, float]:
        started = time.perf_counter()
        boxes = grow(detect(image))
        turns = rays(boxes, image.shape[:2]) @ pose(image, boxes)
        return metrics.heads(boxes, turns), 1000 * (time.perf_counter() - started)

    return find


def mediapipe(python: str, fit_on: Sequence[Sample]) -> Peer:
    """Ours aligns what the other program finds, one picture at a time."""
    mesh = Mesh(python)
    boxes, turns = [], []
    for sample in fit_on:
        landmarks = mesh(sample)["faces"]
        faces = landmark_boxes(landmarks)
        for i, head in owners(faces, sample.heads):
            boxes.append((faces[i], head.box))
            if head.rotation is not None:
                (ray,) = rays(head.box[None], (sample.height, sample.width))
                turns.append((np.array(landmarks[i]), ray.T @ head.rotation))
    grow, align = Growth.fit(boxes), Alignment.fit(turns)

    def find(sample: Sample, image: Any) -> tuple[metrics.Heads, float]:
        answer = mesh(sample)
        started = time.perf_counter()
        found = grow(landmark_boxes(answer["faces"]))
        seen = np.array([align(np.array(face)) for face in answer["faces"]]).reshape(-1, 3, 3)
        seen = rays(found, image.shape[:2]) @ seen
        elapsed = answer["ms"] + 1000 * (time.perf_counter() - started)
        return metrics.heads(found, seen), elapsed

    return find


class Mesh:
    """The program `peers_mediapipe` in the environment of this Python."""

    def __init__(self, python: str):
        script = str(Path(__file__).with_name("peers_mediapipe.py"))
        self._log = TemporaryFile("w+")
        self._process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True,
        )  # fmt: skip
        weakref.finalize(self, self._process.kill)

    def __call__(self, sample: Sample) -> dict[str, Any]:
        """ "ms" and "faces"; RuntimeError with its last words if it has died."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{sample.image_path}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            self._process.wait()
            self._log.seek(0)
            raise RuntimeError(([*self._log.read().split("\n")[-2:-1], "it failed silently"])[0])
        found: dict[str, Any] = json.loads(answer)
        return found


def whenet(weights: Path | None) -> Poses:
    from training.whenet import load_whenet

    model = load_whenet(weights)
    return lambda image, boxes: model.rotations(image, list(boxes))


def sixdrepnet(checkpoint: Path | None) -> Poses:
    if checkpoint is None:
        raise FileNotFoundError("give --sixdrepnet, trained by training.baselines.sixdrepnet")
    from training.baselines.sixdrepnet import load_sixdrepnet

    model = load_sixdrepnet(checkpoint)
    return lambda image, boxes: model.turns(image, list(boxes))


def peers(options: argparse.Namespace, fit_on: Sequence[Sample]) -> dict[str, Peer | str]:
    """Each peer, made ready, or why it is not run."""

    def need(value: Any, text: str) -> Any:
        if value is None:
            raise FileNotFoundError(text)
        return value

    def pair(detect: Callable[[], Detector], pose: Callable[[], Poses]) -> Peer:
        return detector_and_regressor(detect(), pose(), fit_on)

    def net() -> Detector:
        return yunet(need(options.yunet, "give --yunet"))

    def mesh() -> Peer:
        python = need(options.mediapipe, "give --mediapipe, see benchmarks.peers_mediapipe")
        return mediapipe(python, fit_on)

    ways: dict[str, Callable[[], Peer]] = {
        "mediapipe face mesh": mesh,
        "YuNet + WHENet": lambda: pair(net, lambda: whenet(options.whenet)),
        "Haar + WHENet": lambda: pair(haar, lambda: whenet(options.whenet)),
        "YuNet + 6DRepNet": lambda: pair(net, lambda: sixdrepnet(options.sixdrepnet)),
    }
    ready: dict[str, Peer | str] = {}
    for name, way in tqdm(ways.items(), desc="fitting peers", file=sys.stderr):
        try:
            ready[name] = way()
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            ready[name] = f"{error}".splitlines()[0]
    return ready


def take_turns(ready: dict[str, Peer | str], samples: Sequence[Sample]) -> dict[str, list]:
    """What each peer found in each scene, and how long it took; all meet the same load."""
    for peer in ready.values():
        if callable(peer):  # to warm up
            peer(samples[0], samples[0].load())
    results: dict[str, list] = {name: [] for name, peer in ready.items() if callable(peer)}
    for sample in tqdm(samples, desc="scenes", file=sys.stderr):
        image = sample.load()
        for name in results:
            results[name].append(ready[name](sample, image))  # type: ignore[operator]
    return results


def records_of(
    result: list, samples: Sequence[Sample], perceiver: HeadPerceiver
) -> metrics.Records:
    return metrics.merge(
        metrics.end_to_end(found, true_heads(sample), input_scale(perceiver, sample))
        for (found, _), sample in zip(result, samples, strict=True)
    )


def shared(theirs: metrics.Records, ours: metrics.Records) -> dict[str, Any]:
    """Median geodesic errors of both on the heads that both found."""
    both = theirs.found & ours.found & np.isfinite(theirs.geodesic + ours.geodesic)
    errors = {"theirs": theirs.geodesic[both], "ours": ours.geodesic[both]}
    medians = {k: round(float(np.median(v)), 3) if len(v) else None for k, v in errors.items()}
    return {"heads": int(both.sum()), **medians}


def scored(result: list, records: metrics.Records, ours: metrics.Records) -> dict[str, Any]:
    """Numbers of one row."""
    row: dict[str, Any] = {"ms": round(float(np.median([elapsed for _, elapsed in result])), 1)}
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
    parts = ("all", *metrics.sides([]))
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
    ready: dict[str, Peer | str] = {"ours": ours(perceiver)} | peers(options, fit_on)
    results = take_turns(ready, samples)
    records = {name: records_of(found, samples, perceiver) for name, found in results.items()}
    rows: dict[str, dict[str, Any]] = {name: {"not_run": why} for name, why in ready.items()}
    for name, found in results.items():
        rows[name] = scored(found, records[name], records["ours"])
    print(f"{len(samples)} scenes; ours is {perceiver.model_id}")
    print(table(rows))
    print(json.dumps({"model": perceiver.model_id, "images": len(samples), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
