# SPDX-License-Identifier: Apache-2.0
"""All numbers of an evaluation, computed from a model's answers and the labels alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpe_vlm_ros.answers import Angles, parse_angles, parse_boxes, pixel_box
from hpe_vlm_ros.evaluation import metrics
from hpe_vlm_ros.geometry import angles_from_rotation, box_iou, rotation_from_angles
from hpe_vlm_ros.rays import ray_to, usual_camera

from ..data.sample import Head, Sample
from .parsing import FORMATS, Format, referred_box
from .scoring import true_heads

Mask = np.ndarray
SEEN = 0.2  # visible share from which a head makes a scene one of several heads
TONES = ("light", "medium", "dark")
# visible share, from and below
SHOWN = {"all of it": (0.9, 1.01), "most": (0.6, 0.9), "a part": (0.0, 0.6)}
# degrees that the camera is above the head's own horizontal plane, from and below
VIEWS = {"below": (-91, -15), "level": (-15, 15), "above": (15, 30), "steep": (30, 91)}


@dataclass(frozen=True)
class AnsweredScene:
    """A scene, what was said of it (`asking.ask_scene`), the scale to the model's input, and which
    heads count."""

    sample: Sample
    answers: dict[str, Any]
    scale: tuple[float, float]
    rules: metrics.Rules = metrics.Rules()


@dataclass(frozen=True)
class Evaluation:
    """Records of all scenes, and for each head that counts what groups it is in.

    end_to_end: with the model's own boxes; true_boxes: asked about the true ones; free: the same
    without a grammar. tone (N,): of the skin, "" where unknown; visible (N,): the share that
    shows; elevation (N,): `camera_elevation`; alone (N,) bool: whether the head is the only one in
    its scene.
    """

    end_to_end: metrics.Records
    true_boxes: metrics.Records
    free: metrics.Records
    tone: np.ndarray
    visible: np.ndarray
    elevation: np.ndarray
    alone: np.ndarray


def evaluation(asked: Sequence[AnsweredScene]) -> Evaluation:
    """Score all answers about heads."""
    own, true_boxes, free, counted, elevation, alone = [], [], [], [], [], []
    for scene in asked:
        true = true_heads(scene.sample)
        own.append(
            metrics.end_to_end(own_heads(scene.answers["own"]), true, scene.scale, scene.rules)
        )
        true_boxes.append(
            given_records(scene, [tuple(angles) for angles in scene.answers["given"]])
        )
        texts = scene.answers["poses"]["free"]
        free.append(given_records(scene, [parse_angles(text).value for text in texts]))
        counts = metrics.assign(true, true, scene.scale, scene.rules).counts
        heads = [head for head, c in zip(scene.sample.heads, counts, strict=True) if c]
        counted += heads
        elevation += [camera_elevation(head, scene.sample) for head in heads]
        in_sight = sum(head.visible >= SEEN for head in scene.sample.heads)
        alone += [in_sight == 1] * int(counts.sum())
    merged = (metrics.merge(parts) for parts in (own, true_boxes, free))
    tone = np.array([head.tone or "" for head in counted], dtype=str)
    visible = np.array([head.visible for head in counted], dtype=float)
    above = np.array(elevation, dtype=float)
    return Evaluation(*merged, tone, visible, above, np.array(alone, dtype=bool))


def camera_elevation(head: Head, sample: Sample) -> float:
    """Degrees from -90 to 90 that the camera is above the plane of a head's left and front; NaN
    where the pose is unknown. Of a camera without a known focal length the usual one is assumed.
    """
    if head.rotation is None:
        return math.nan
    known = sample.camera
    ray = ray_to(known.matrix if known else usual_camera((sample.height, sample.width)), head.box)
    down = head.rotation[:, 1] @ ray / np.linalg.norm(ray)
    return math.degrees(math.asin(float(np.clip(down, -1, 1))))


def angle_errors(records: metrics.Records) -> dict[str, float]:
    """Mean degrees of yaw, pitch and roll, and of the geodesic error, over heads with a triple."""
    triple = np.isfinite(records.error).all(axis=1)
    if not triple.any():
        return dict.fromkeys(("yaw", "pitch", "roll", "geodesic"), math.nan)
    yaw, pitch, roll = records.error[triple].mean(axis=0)
    geodesic = records.geodesic[triple].mean()
    return {"yaw": yaw, "pitch": pitch, "roll": roll, "geodesic": float(geodesic)}


def by_range(records: metrics.Records) -> dict[str, dict[str, float]]:
    """`angle_errors` of both `metrics.halves`, as in the paper's Table X."""
    half = metrics.halves(records.yaw)
    return {name: angle_errors(metrics.part(records, mask)) for name, mask in half.items()}


def by_scene(scored: Evaluation) -> dict[str, dict[str, float]]:
    """Heads and invalid free answers, alone or not, front or back, as in the paper's Table IX."""
    half = metrics.halves(scored.free.yaw)
    groups = {
        f"{count} {side}": chosen & half[side]
        for count, chosen in (("single", scored.alone), ("multi", ~scored.alone))
        for side in half
    }
    rows = {name: metrics.score(metrics.part(scored.free, mask)) for name, mask in groups.items()}
    return {
        name: {"heads": row.heads, "invalid": row.heads - row.found, "e_angle": 1 - row.recall}
        for name, row in rows.items()
    }


def by_tone(scored: Evaluation) -> dict[str, dict[str, float]]:
    """`_groups` by tone of skin, where it is known."""
    return _groups(scored, {tone: scored.tone == tone for tone in TONES})


def by_visibility(scored: Evaluation) -> dict[str, dict[str, float]]:
    """`_groups` by how much of a head shows."""
    return _groups(scored, metrics.between(scored.visible, SHOWN))


def by_view(scored: Evaluation) -> dict[str, dict[str, float]]:
    """`_groups` by how far above a head's own plane the camera is."""
    return _groups(scored, metrics.between(scored.elevation, VIEWS))


def _groups(scored: Evaluation, masks: Mapping[str, Mask]) -> dict[str, dict[str, float]]:
    """Recall end to end and errors with true boxes of groups of heads; none of empty groups."""
    rows = {}
    for name, mask in masks.items():
        if mask.any():
            own = metrics.score(metrics.part(scored.end_to_end, mask))
            at_true_boxes = metrics.score(metrics.part(scored.true_boxes, mask))
            rows[name] = {
                "heads": own.heads, "recall": own.recall, "mae": at_true_boxes.mae,
                "geodesic_median": at_true_boxes.geodesic_median,
            }  # fmt: skip
    return rows


def by_format(asked: Sequence[AnsweredScene]) -> dict[str, dict[str, float]]:
    """Shares of invalid answers about heads and boxes, and degrees, for each output format."""
    scenes = [scene for scene in asked if "grammar" in scene.answers["poses"]]
    return {name: _format_score(form, scenes) for name, form in FORMATS.items()} if scenes else {}


def _format_score(form: Format, scenes: Sequence[AnsweredScene]) -> dict[str, float]:
    records, invalid = [], 0
    for scene in scenes:
        poses = scene.answers["poses"][form.decoding]
        records.append(given_records(scene, [form.angles(text) for text in poses]))
        invalid += form.boxes(scene.answers["boxes"][form.decoding]) is None
    score = metrics.score(metrics.merge(records))
    return {"e_angle": 1 - score.recall, "e_bbox": invalid / len(scenes), "mae": score.mae}


def by_prompt(asked: Sequence[AnsweredScene]) -> dict[str, dict[str, float]]:
    """Invalid free answers and degrees for each wording of the question (the paper's Table XI)."""
    scenes = [scene for scene in asked if "paraphrases" in scene.answers]
    if not scenes:
        return {}
    rows: dict[str, Callable[[AnsweredScene], list[str]]] = {"as trained": _trained}
    rows |= {title: _paraphrase(title) for title in scenes[0].answers["paraphrases"]}
    scores = {
        title: metrics.score(
            metrics.merge(
                given_records(s, [parse_angles(t).value for t in texts(s)]) for s in scenes
            )
        )
        for title, texts in rows.items()
    }
    return {title: {"mae": s.mae, "e_angle": 1 - s.recall} for title, s in scores.items()}


def _trained(scene: AnsweredScene) -> list[str]:
    return scene.answers["poses"]["free"]


def _paraphrase(title: str) -> Callable[[AnsweredScene], list[str]]:
    return lambda scene: scene.answers["paraphrases"][title]


def referring(asked: Sequence[AnsweredScene]) -> dict[str, float]:
    """Accuracy of referring expressions: IoU above 0.5 among valid answers, as in the paper.

    `rec_acc` of pairs of traits that training withheld, `rec_acc_taught` of others; `rec_asked`
    counts the former; `rec_e_bbox` is the share of invalid answers of all.
    """
    hits: dict[bool, list[bool]] = {True: [], False: []}
    total = invalid = withheld = 0
    for scene in asked:
        for one in scene.answers.get("referring", []):
            box = referred_box(one["text"])
            total, invalid = total + 1, invalid + (box is None)
            withheld += one["withheld"]
            if box is not None:
                pixels = pixel_box(box, scene.sample.width, scene.sample.height)
                hits[one["withheld"]].append(bool(box_iou([pixels], [one["box"]])[0, 0] > 0.5))
    return {
        "rec_acc": _mean(hits[True]),
        "rec_acc_taught": _mean(hits[False]),
        "rec_asked": withheld,
        "rec_e_bbox": invalid / total if total else math.nan,
        "rec_answers": total,
    }


def invalid_boxes(asked: Sequence[AnsweredScene]) -> float:
    """E_bbox: the share of invalid free answers to the detection prompt and to expressions."""
    invalid = [parse_boxes(scene.answers["boxes"]["free"]).value is None for scene in asked]
    for scene in asked:
        invalid += [
            referred_box(one["text"]) is None for one in scene.answers.get("referring", [])
        ]  # fmt: skip
    return _mean(invalid)


def own_heads(rows: list[list[float]]) -> metrics.Heads:
    """A model's own heads of a scene, as `asking.head_rows` keeps them."""
    table = np.array(rows, dtype=float).reshape(-1, 8)
    rotations = [rotation_from_angles(*row[4:7]) for row in table]
    return metrics.heads(table[:, :4], rotations, angles=table[:, 4:7])


def given_records(scene: AnsweredScene, answers: Sequence[Angles | None]) -> metrics.Records:
    """Records of answers about the true boxes of a scene; None is an invalid answer."""
    rotations = [
        np.full((3, 3), np.nan) if angles is None else rotation_from_angles(*angles)
        for angles in answers
    ]
    triples = [
        (np.nan,) * 3 if angles is None else angles_from_rotation(rotation) or angles
        for angles, rotation in zip(answers, rotations, strict=True)
    ]
    boxes = [head.box for head in scene.sample.heads]
    predicted = metrics.heads(boxes, rotations, angles=triples)
    return metrics.given_boxes(predicted, true_heads(scene.sample), scene.scale, scene.rules)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
