# SPDX-License-Identifier: Apache-2.0
"""People who walk about before a camera, stand, and turn their heads: motion alone, no pictures.

The world is that of `camera`: z up, metres, the camera near the origin looks along +y. Directions
are degrees about z; 0 looks along -y, that is towards the camera, and positive turns to the
person's own left.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .. import Array
from .bodies import Rig
from .posing import bend_limb, head_turn, turn_head

NEAR, FAR = 1.0, 2.4  # metres of depth in which people walk
EDGE = 1.15  # how far beyond the picture's border they go, in halves of its width
SPEEDS = (0.0, 0.5, 0.8, 1.1)  # metres a second
SPEED_ODDS = (0.25, 0.25, 0.3, 0.2)
BODY_TURN, HEAD_TURN = 160.0, 130.0  # degrees a second, at most
REACH = 68.0  # degrees that a head turns against its body
ROOM = 0.75  # metres that people keep between them
CAMERA_ROOM = 1.1  # and from the camera
LOOKS = ("ahead", "camera", "aside")
LOOK_ODDS = (0.35, 0.4, 0.25)
STRIDE = 1.35  # metres of two steps


class Walker:
    """One person. `place` (2,) metres on the floor; `body`, `yaw`, `pitch`, `roll` degrees."""

    def __init__(self, rng: np.random.Generator, half_view: float) -> None:
        """half_view: tangent of half of the camera's horizontal angle of view."""
        self._rng, self._half_view = rng, half_view
        self.place = self._point(rng.choice([EDGE, 0.8]))
        self._goal, self._speed = self._point(), float(rng.choice(SPEEDS[1:]))
        self.body = self._heading(self._goal - self.place)
        self.yaw, self.pitch, self.roll = self.body, 0.0, 0.0
        self.phase = rng.uniform(0, 2 * np.pi)
        self.pace = 0.0  # metres a second, now
        self._look, self._aside = "ahead", 0.0
        self._until = rng.uniform(1.0, 2.5)
        self._sway = np.zeros(3)

    def step(self, time: float, dt: float, others: list[Walker]) -> None:
        """Goes on for `dt` seconds from `time` (s): towards its goal, around others, looking
        about."""
        if time >= self._until:
            self._decide(time)
        way = self._goal - self.place
        if float(np.linalg.norm(way)) < 0.25:
            self._goal = self._point()
            way = self._goal - self.place
        way = way / np.linalg.norm(way) + self._avoid(others)
        if self._speed:
            self.body = _towards(self.body, self._heading(way), BODY_TURN * dt)
        elif abs(_off(self._wanted(), self.body)) > 45:
            self.body = _towards(self.body, self._wanted(), 0.4 * BODY_TURN * dt)
        self.pace += float(np.clip(self._speed - self.pace, -1.5 * dt, 1.5 * dt))
        turn = np.radians(self.body)
        self.place = self.place + self.pace * dt * np.array([np.sin(turn), -np.cos(turn)])
        self.phase += 2 * np.pi * self.pace / STRIDE * dt
        self._turn_head(dt)

    def _decide(self, time: float) -> None:
        rng = self._rng
        self._until = time + rng.uniform(1.5, 4.0)
        self._look = str(rng.choice(LOOKS, p=LOOK_ODDS))
        self._aside = self.body + rng.uniform(-90, 90)
        self._speed = float(rng.choice(SPEEDS, p=SPEED_ODDS))

    def _turn_head(self, dt: float) -> None:
        """Towards what is looked at, as far as the neck reaches, with a little unrest."""
        self._sway += -self._sway * dt / 0.8 + self._rng.normal(0, 3.5, 3) * np.sqrt(dt)
        wanted = self.body + float(np.clip(_off(self._wanted(), self.body), -REACH, REACH))
        self.yaw = _towards(self.yaw, wanted + self._sway[0], HEAD_TURN * dt)
        self.yaw = self.body + float(np.clip(_off(self.yaw, self.body), -REACH, REACH))
        self.pitch += float(np.clip(self._sway[1] - self.pitch, -40 * dt, 40 * dt))
        self.roll += float(np.clip(self._sway[2] - self.roll, -40 * dt, 40 * dt))

    def _wanted(self) -> float:
        if self._look == "camera":
            return self._heading(-self.place)
        return self._aside if self._look == "aside" else self.body

    def _avoid(self, others: list[Walker]) -> Array:
        """What keeps people from walking through each other and the camera."""
        off = float(np.linalg.norm(self.place))
        push = 3 * max(0.0, CAMERA_ROOM / off - 1) * self.place / off
        for other in others:
            apart = self.place - other.place
            distance = float(np.linalg.norm(apart))
            if other is not self and distance < ROOM:
                push += apart / max(distance, 0.05) * 2 * (ROOM / max(distance, 0.2) - 1)
        return push

    def _point(self, edge: float | None = None) -> Array:
        depth = self._rng.uniform(NEAR, FAR)
        across = (
            self._rng.uniform(-1, 1) * 0.85 if edge is None else self._rng.choice([-1, 1]) * edge
        )
        return np.array([across * self._half_view * depth, depth])

    @staticmethod
    def _heading(way: Array) -> float:
        return float(np.degrees(np.arctan2(way[0], -way[1])))


def walking_pose(rig: Rig, joints: Array, walker: Walker) -> Array:
    """Rotations (J, 3, 3) of all bones, as of `posing`."""
    index = {label: i for i, label in enumerate(rig.labels)}
    out = np.tile(np.eye(3), (len(rig.labels), 1, 1))
    turn_head(rig, out, head_turn(_off(walker.yaw, walker.body), walker.pitch, walker.roll))
    wide = 0.42 * min(walker.pace, 1.0)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        swing, lift = (
            sign * wide * np.sin(walker.phase),
            wide * max(0.0, sign * np.cos(walker.phase)),
        )
        leg = [index[f"{name}.{side}"] for name in ("upperleg02", "lowerleg01", "foot")]
        bend_limb(out, joints, leg, (0.07, -swing, -1.0), (0.02, 0.9 * lift - swing, -1.0), sign)
        arm = [index[f"{name}.{side}"] for name in ("upperarm01", "lowerarm01", "wrist")]
        bend_limb(
            out, joints, arm, (0.16, 0.8 * swing, -1.0), (0.08, 0.8 * swing - 0.25, -1.0), sign
        )
    out[0] = Rotation.from_euler("z", walker.body, degrees=True).as_matrix()
    return out.astype(np.float32)


def _off(wanted: float, now: float) -> float:
    """Degrees from one direction to another, in [-180, 180)."""
    return (wanted - now + 180) % 360 - 180


def _towards(now: float, wanted: float, most: float) -> float:
    return now + float(np.clip(_off(wanted, now), -most, most))
