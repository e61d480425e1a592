# SPDX-License-Identifier: Apache-2.0
"""What the node would add to the model's answers: positions, spread, gaze, and with tracking ids.

The same `People` as the node's, fed in the order of recording.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape
from hpe_vlm_ros.lens import from_numbers
from hpe_vlm_ros.mounting import Mounting
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.gestures.reader import GestureReader
from hpe_vlm_ros.people.gestures.reader import Judge as GestureJudge
from hpe_vlm_ros.people.people import ROBOT, People, Person, View
from hpe_vlm_ros.people.tracking import LateFrame
from hpe_vlm_ros.recordings.records import BOX_SIZE, FrameRecord, Head, looking, rounded
from hpe_vlm_ros.tasks.facing import LABELS


def postprocess(
    records: Sequence[FrameRecord],
    run: dict[str, Any],
    looking_angle: float,
    track: bool,
    judge: GestureJudge | None = None,
    gestures: list[tuple[str, Gesture]] | None = None,
) -> tuple[list[FrameRecord], list[str]]:
    """The records with all that follows from the answers, and notes about it.

    run: a run's details. track: follow heads over the frames of recordings that have a course of
    time, as the node does with its parameter `tracking`. judge: of the gestures of tracked heads;
    those that ended are added to `gestures` with the id of their recording.
    """
    events: list[tuple[str, Gesture]] = [] if gestures is None else gestures
    sequences = {entry["id"] for entry in run["recordings"] if entry["sequence"]}
    shape = HeadShape.read(run.get("head_shape"))
    degrees = run["settings"].get("rotate", 0)
    people: dict[str, People] = {}
    found, late = [], 0
    for record in records:
        seer = people.setdefault(record.recording, _people(judge))
        seer.judge.limit = looking_angle
        seer.tracking = track and record.recording in sequences
        if record.error is not None:
            found.append(record)
            continue
        try:
            found.append(_in_camera_frame(record, seer, shape, degrees))
        except LateFrame:  # a frame by itself, without ids: no frame of a recording is left out
            late += 1
            seer.tracking = False
            found.append(_in_camera_frame(record, seer, shape, degrees))
        events += [(record.recording, gesture) for gesture in seer.new_gestures if gesture.ended]
    # what still goes on where a recording ends has ended
    for recording, seer in people.items():
        if seer.gestures is not None:
            events += [(recording, gesture) for gesture in seer.gestures.forget()]
    if judge is not None:
        found = [_with_gestures(record, events) for record in found]
    notes = camera_notes(records)
    if late:
        notes.append(f"{late} frames are older than the one before: not tracked")
    return found, notes


def _people(judge: GestureJudge | None) -> People:
    people = People()
    if judge is not None:
        people.gestures = GestureReader(judge)
    return people


def _with_gestures(record: FrameRecord, events: Sequence[tuple[str, Gesture]]) -> FrameRecord:
    """The record with what its heads do; known only once the gestures have ended."""
    going = {
        gesture.id: gesture.name
        for recording, gesture in events
        if recording == record.recording and gesture.start <= record.time <= gesture.end
    }
    heads = (replace(head, gesture=going.get(head.id, head.gesture)) for head in record.heads)
    return replace(record, heads=tuple(heads))


def camera_notes(records: Sequence[FrameRecord]) -> list[str]:
    """What is amiss with the camera_info of frames, each once with the number of its frames."""
    problems = Counter((r.recording, r.problem) for r in records if r.problem)
    return [f"{id}: {count} frames: {text}" for (id, text), count in problems.items()]


def _in_camera_frame(
    record: FrameRecord, people: People, shape: HeadShape | None, degrees: int
) -> FrameRecord:
    camera = from_numbers(record.camera) if record.camera else None
    mounting = Mounting(degrees, (record.width, record.height))
    view = View(mounting.upright_size, mounting.camera(camera), shape, mounting=mounting)
    persons = people.see(record.time, [head.estimate for head in record.heads], view)
    heads = tuple(_head(person, record, camera) for person in persons if person.posed)
    return replace(record, heads=heads)


def _head(person: Person, record: FrameRecord, camera: CameraIntrinsics | None) -> Head:
    head, gaze = person.head, person.gazes[ROBOT]
    known = np.isfinite(person.position.point).all()
    position = rounded(person.position.point, 5) if known else None
    return replace(
        Head.of(person),
        id=head.id,
        position=position,
        position_source=int(person.position.source) or BOX_SIZE,
        looking=looking(
            person.rotation, head.box, record.width, record.height, camera, position
        ),
        looks=bool(gaze.looking),
        looks_score=None if math.isnan(gaze.score) else round(gaze.score, 6),
        unseen=round(head.unseen, 6),
        age=round(head.age, 6),
        status=int(head.status),
        facing="" if person.facing is None else LABELS[int(person.facing.argmax())],
        facing_score=None if person.facing is None else round(float(person.facing.max()), 6),
        gesture="none" if person.gestures_known else "",
    )  # fmt: skip
