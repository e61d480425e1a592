# SPDX-License-Identifier: Apache-2.0
"""Boxes that may be heads of photographs, for a reviewer to judge.

Two sources: faces of YuNet grown to head boxes, with the pose that three public networks agree
about (`teacher_poses/*.jsonl`), and what a model finds in tiles and in the mirror image.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.boxes import without_duplicates
from hpe_vlm_ros.geometry import angles_from_rotation, box_iou, rotation_from_angles
from hpe_vlm_ros.rays import camera_matrix, rotation_to_ray

from .faces import Face

# The eight facing sectors, 45 degrees each, by the yaw of the head relative to its viewing ray.
# R and L are the image's sides: yaw > 0 turns the nose to the image's left.
SECTORS = ("F", "FL", "L", "BL", "B", "BR", "R", "FR")
SURE_FACE = 0.7  # YuNet's score from which on a face is a head unless the reviewer objects
LEAST_FACE = 0.45  # faces below are not proposed
SAME_HEAD = 0.4  # IoU from which on two proposals are of one head
Pose = tuple[float, float, float]


@dataclass(frozen=True)
class Proposal:
    """One box that may be a head.

    Attributes:
        box: x0, y0, x1, y1 in pixels, clipped to the picture.
        source: "face" (YuNet) or "model".
        score: of the source, 0..1.
        angles: yaw, pitch, roll in degrees relative to the ray the head is seen along; None where
            unknown.
        spread: degrees for each of the angles: what the teachers differ by, or the model's standard
            deviation; None with `angles`.
    """

    box: tuple[float, float, float, float]
    source: str
    score: float
    angles: Pose | None = None
    spread: Pose | None = None

    @property
    def is_sure(self) -> bool:
        """Whether it counts as a head unless the reviewer objects."""
        return self.source == "face" and self.score >= SURE_FACE

    @property
    def sector(self) -> str | None:
        """One of SECTORS, None without a pose."""
        return None if self.angles is None else sector_of(self.angles[0])


def sector_of(yaw: float) -> str:
    """The facing sector of a yaw in degrees relative to the viewing ray."""
    return SECTORS[round(yaw / 45) % 8]


def sector_yaw(sector: str) -> float:
    """The yaw in (-180, 180] in the middle of a sector; ValueError for another word."""
    yaw = 45.0 * SECTORS.index(sector)
    return yaw - 360 if yaw > 180 else yaw


def likely_camera(width: int, height: int) -> np.ndarray:
    """Matrix (3, 3) of the camera assumed for a photograph: 53 degrees across its longer side."""
    focal = float(max(width, height))
    return camera_matrix(focal, focal, width, height)


def to_camera(angles: Pose, box: Any, width: int, height: int) -> np.ndarray:
    """Rotation (3, 3) in the camera's frame of a head whose angles are relative to its ray."""
    return rotation_to_ray(likely_camera(width, height), box) @ rotation_from_angles(*angles)


def to_ray(rotation: np.ndarray, box: Any, width: int, height: int) -> Pose | None:
    """Angles relative to the viewing ray of a head's rotation (3, 3) in the camera's frame."""
    return angles_from_rotation(rotation_to_ray(likely_camera(width, height), box).T @ rotation)


def of_faces(faces: list[dict[str, Any]], width: int, height: int) -> list[Proposal]:
    """Proposals from a line of `teacher_poses`."""
    found = []
    for face in faces:
        if face["score"] < LEAST_FACE:
            continue
        known = Face(np.array(face["box"], float), np.array(face["landmarks"]), face["score"])
        box = clipped(known.head_box(), width, height)
        angles, spread = face.get("median"), face.get("spread")
        pose = None if angles is None else tuple(float(a) for a in angles)
        wide = None if spread is None else tuple(float(s) for s in spread)
        found.append(Proposal(box, "face", float(face["score"]), pose, wide))  # type: ignore[arg-type]
    return without_duplicates(found)


def of_model(image: np.ndarray, perceiver: Any, least: float) -> list[Proposal]:
    """Proposals of a `HeadPerceiver` with tiles, from a calibrated score of `least` on."""
    height, width = image.shape[:2]
    found = []
    for head in perceiver(image):
        if head.score < least:
            continue
        angles = to_ray(head.rotation, head.box, width, height)
        box = clipped(np.array(head.box), width, height)
        found.append(Proposal(box, "model", float(head.score), angles, angles and head.spread))
    return found


def joined(faces: list[Proposal], model: list[Proposal]) -> list[Proposal]:
    """The faces, and what the model adds to them, from left to right."""
    known = [p.box for p in faces]
    new = [p for p in model if not known or box_iou([p.box], known).max() < SAME_HEAD]
    return sorted([*faces, *new], key=lambda p: p.box[0] + p.box[2])


def clipped(box: np.ndarray, width: int, height: int) -> tuple[float, float, float, float]:
    """The part of a box inside the picture."""
    x0, y0, x1, y1 = np.clip(box, 0, (width, height, width, height)).tolist()
    return x0, y0, x1, y1


def as_record(proposal: Proposal) -> dict[str, Any]:
    """For a line of JSON; `from_record` is the way back."""
    rounded = replace(
        proposal,
        box=tuple(round(v, 1) for v in proposal.box),  # type: ignore[arg-type]
        score=round(proposal.score, 3),
        angles=proposal.angles and tuple(round(v, 1) for v in proposal.angles),  # type: ignore[arg-type]
        spread=proposal.spread and tuple(round(v, 1) for v in proposal.spread),  # type: ignore[arg-type]
    )
    return {k: v for k, v in asdict(rounded).items() if v is not None}


def from_record(record: dict[str, Any]) -> Proposal:
    """A proposal as `as_record` wrote it."""
    angles, spread = record.get("angles"), record.get("spread")
    return Proposal(
        tuple(record["box"]), record["source"], record["score"],
        None if angles is None else tuple(angles), None if spread is None else tuple(spread),
    )  # fmt: skip


def read_teachers(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of all `*.jsonl` of a folder of teachers' poses, by the picture's path.

    Raises FileNotFoundError where there is none.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise FileNotFoundError(f"{folder}: no *.jsonl of faces and their poses")
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {row["image"]: row for row in rows}
