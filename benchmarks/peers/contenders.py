# SPDX-License-Identifier: Apache-2.0
"""What is compared: programs that find heads and their poses in a picture, behind one call."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from benchmarks.peers.faces import Alignment, Array, Growth, landmark_boxes, owners, rays, within
from hpe_vlm_ros.geometry import angles_from_rotations
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.data.sample import Sample
from training.labelling.faces import Face, FaceFinder

Rgb = NDArray[np.uint8]

Peer = Callable[[Path, Rgb], tuple[list[HeadEstimate], float]]
"""A picture's file and its RGB pixels to the heads found, boxes within the picture, and the
milliseconds it took. Rotations are in the optical frame of the usual camera (`rays`)."""

Boxes = Callable[[Rgb], tuple[Array, Array]]
"""An RGB image to head boxes (N, 4), x0 y0 x1 y1 in pixels, and scores (N,), 0..1."""

Poses = Callable[[Rgb, Array], Array]
"""An RGB image and head boxes (N, 4) to rotations (N, 3, 3), relative to the ray of each head."""

Found = list[tuple[list[HeadEstimate], float]]
"""What one peer said of each picture, and how many milliseconds it took."""


def estimates(
    boxes: Array, turns: ArrayLike, scores: ArrayLike, size: tuple[int, int]
) -> list[HeadEstimate]:
    """Heads in a picture of `size` = (height, width).

    boxes: (N, 4) pixels. turns: (N, 3, 3), relative to the ray each head is seen along.
    scores: (N,). The triple is NaN where no yaw, pitch and roll name a rotation.
    """
    rotations = rays(boxes, size) @ np.asarray(turns, dtype=float).reshape(-1, 3, 3)
    angles, named = angles_from_rotations(rotations)
    angles = np.where(named[:, None], angles, np.nan)
    return [
        HeadEstimate(tuple(box), *triple, rotation, float(score))
        for box, triple, rotation, score in zip(
            boxes.tolist(), angles.tolist(), rotations, np.asarray(scores), strict=True
        )
    ]


def timed(find: Callable[[Rgb], list[HeadEstimate]]) -> Peer:
    """A peer that needs the pixels only."""

    def peer(_: Path, image: Rgb) -> tuple[list[HeadEstimate], float]:
        started = time.perf_counter()
        found = find(image)
        return found, 1000 * (time.perf_counter() - started)

    return peer


def ours(perceiver: HeadPerceiver) -> Peer:
    return timed(lambda image: list(perceiver(image)))


def detector_and_regressor(detect: Boxes, pose: Poses) -> Peer:
    def find(image: Rgb) -> list[HeadEstimate]:
        boxes, scores = detect(image)
        boxes = within(boxes, image.shape[:2])
        return estimates(boxes, pose(image, boxes), scores, image.shape[:2])

    return timed(find)


def head_boxes(faces: Sequence[Face]) -> tuple[Array, Array]:
    """Boxes (N, 4) of the heads that faces belong to, by `Face.head_box`, and scores (N,)."""
    boxes = np.array([face.head_box() for face in faces]).reshape(-1, 4)
    return boxes, np.array([face.score for face in faces])


def five_landmarks(find_faces: Callable[[Rgb], list[Face]]) -> Peer:
    """Heads from YuNet's boxes and its five landmarks alone."""

    def find(image: Rgb) -> list[HeadEstimate]:
        faces = find_faces(image)
        boxes, scores = head_boxes(faces)
        boxes = within(boxes, image.shape[:2])
        return estimates(boxes, [face.turn() for face in faces], scores, image.shape[:2])

    return timed(find)


def mediapipe(python: str, fit_on: Sequence[Sample]) -> Peer:
    """Ours aligns what the other program finds, one picture at a time. It tells no scores."""
    mesh = Mesh(python)
    boxes, turns = [], []
    for sample in fit_on:
        landmarks = mesh(sample.image_path)["faces"]
        faces = landmark_boxes(landmarks)
        for i, head in owners(faces, sample.heads):
            boxes.append((faces[i], head.box))
            if head.rotation is not None:
                (ray,) = rays(head.box[None], (sample.height, sample.width))
                turns.append((np.array(landmarks[i]), ray.T @ head.rotation))
    grow, align = Growth.fit(boxes), Alignment.fit(turns)

    def find(path: Path, image: Rgb) -> tuple[list[HeadEstimate], float]:
        answer = mesh(path)
        started = time.perf_counter()
        found = within(grow(landmark_boxes(answer["faces"])), image.shape[:2])
        aligned = [align(np.array(face)) for face in answer["faces"]]
        heads = estimates(found, aligned, np.ones(len(found)), image.shape[:2])
        return heads, answer["ms"] + 1000 * (time.perf_counter() - started)

    return find


class Mesh:
    """The program `face_mesh` in the environment of this Python."""

    def __init__(self, python: str):
        script = str(Path(__file__).with_name("face_mesh.py"))
        self._log = TemporaryFile("w+")
        self._process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True,
        )  # fmt: skip
        weakref.finalize(self, self._process.kill)

    def __call__(self, picture: Path) -> dict[str, Any]:
        """ "ms" and "faces"; RuntimeError with its last words if it has died."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{picture}\n")
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
    from training.labelling.networks.whenet import load_whenet

    model = load_whenet(weights)
    return lambda image, boxes: model.rotations(image, list(boxes))


def sixdrepnet(checkpoint: Path | None) -> Poses:
    if checkpoint is None:
        raise FileNotFoundError(
            "give --sixdrepnet, trained by training.reproduction.baselines.sixdrepnet"
        )
    from training.labelling.networks.sixdrepnet import load_sixdrepnet

    model = load_sixdrepnet(checkpoint)
    return lambda image, boxes: model.turns(image, list(boxes))


def need(value: Any, text: str) -> Any:
    """The value; FileNotFoundError with this text if there is none."""
    if value is None:
        raise FileNotFoundError(text)
    return value


def face_finder(file: Path | None, least: float) -> FaceFinder:
    return FaceFinder(need(file, "give --yunet"), least)


def mediapipe_or_why(python: str | None, fit_on: Sequence[Sample]) -> Peer:
    return mediapipe(need(python, "give --mediapipe, see benchmarks.peers.face_mesh"), fit_on)


def make_ready(ways: Mapping[str, Callable[[], Peer]]) -> dict[str, Peer | str]:
    """Each peer, made ready, or why it is not run."""
    ready: dict[str, Peer | str] = {}
    for name, way in tqdm(ways.items(), desc="fitting peers", file=sys.stderr):
        try:
            ready[name] = way()
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            ready[name] = f"{error}".splitlines()[0]
    return ready


def take_turns(
    ready: Mapping[str, Peer | str], pictures: Sequence[tuple[Path, Callable[[], Rgb]]]
) -> dict[str, Found]:
    """What each peer found in each picture (its file, and how to load it); all meet the same
    load."""
    running = {name: peer for name, peer in ready.items() if not isinstance(peer, str)}
    path, load = pictures[0]
    for peer in running.values():
        peer(path, load())  # to warm up
    results: dict[str, Found] = {name: [] for name in running}
    for path, load in tqdm(pictures, desc="pictures", file=sys.stderr):
        image = load()
        for name, peer in running.items():
            results[name].append(peer(path, image))
    return results
