# SPDX-License-Identifier: Apache-2.0
"""Heads that move as told, before cameras of any rate."""

import numpy as np

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.people.tracking import Observation, Status, TrackedHead

BOX = (100.0, 100.0, 140.0, 150.0)


def tracked(rotation, box=BOX, id="h0001", status=Status.OK):
    """A head as the tracker hands it on; rotation None: it was not found."""
    observed = None if rotation is None else Observation(box, rotation, 0.9)
    status = Status.PREDICTED if rotation is None else status
    return TrackedHead(
        id, box, rotation, np.eye(3) * 0.01, (1.0, 0.05), 0.9, status, 0.0, 1.0, observed
    )


def local(yaw=0.0, pitch=0.0, roll=0.0):
    """A turn about the head's own axes: its columns are left, down and back."""
    down, left, back = (
        rotation_from_angles(yaw, 0, 0),
        rotation_from_angles(0, pitch, 0),
        rotation_from_angles(0, 0, roll),
    )
    return down @ left @ back


def played(reader, motion, times, box=lambda time: BOX, id="h0001"):
    """Everything that a reader tells of a head; motion(time) gives yaw, pitch, roll in degrees."""
    events = []
    for time in times:
        head = tracked(local(*motion(time)), box(time), id)
        events += reader.see(round(time * 1e9), [head])
    return events


def nod(time, start=3.0, speed=1.5, size=9.0, cycles=3):
    inside = start <= time <= start + cycles / speed
    return 0.0, -size * np.sin(2 * np.pi * speed * (time - start)) * inside, 0.0


def shake(time, start=3.0, speed=1.4, size=14.0, cycles=3):
    return size / 9.0 * nod(time, start, speed, 9.0, cycles)[1], 0.0, 0.0


def step(time, axis, size, start=3.0, span=0.6):
    out = [0.0, 0.0, 0.0]
    out[axis] = size * float(np.clip((time - start) / span, 0, 1))
    return tuple(out)


MOTIONS = {
    "nod": nod,
    "shake": shake,
    "turn": lambda time: step(time, 0, 40.0),
    "tilt": lambda time: step(time, 2, 20.0),
    "updown": lambda time: step(time, 1, 25.0),
}


def stamps(rate, seconds=7.0, jitter=0.0, seed=0):
    """Times of a camera's images in seconds, each off by up to `jitter` of the time between two."""
    times = np.arange(0.0, seconds, 1 / rate)
    return times + np.random.default_rng(seed).uniform(-jitter, jitter, len(times)) / rate
