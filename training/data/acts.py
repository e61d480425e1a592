# SPDX-License-Identifier: Apache-2.0
"""What a body certainly does and what it certainly does not, from its keypoints in a picture.

Each rule needs every keypoint it uses to be seen, and a clear margin; otherwise it says nothing.
Lengths are shares of half a metre on the body (about a torso), as large as the picture can tell it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from hpe_vlm_ros.skeleton import KEYPOINTS, SEEN
from hpe_vlm_ros.tasks.act import ARMS

SIDES = ("left", "right")
FACE = ("nose", "left eye", "right eye", "left ear", "right ear")
UPPER_ARM, SHOULDERS = 1.6, 1.25  # half a metre over the length of an upper arm, and of shoulders
HAND = 0.35  # of the forearm: from the wrist to the middle of the hand
AT_FACE, OFF_FACE = 0.36, 0.6
RAISED, LOW, HIGH = 0.2, -0.1, 0.85  # of the wrist above the shoulder; HIGH: higher than any face
DOWN = 0.75  # of the wrist below the shoulder
OWN_SIDE = 0.1  # of the shoulders' width, from the middle
FRONT = 0.4  # least width of the shoulders of who is seen from the front or from behind
STRAIGHT, BENT = 160.0, 130.0  # degrees of a knee
STANDING_LEG, SITTING_LEG = 1.35, 1.15  # from hip to ankle, over the torso, both downwards
STANDING_THIGH, SITTING_THIGH = 0.6, 0.4

Point = np.ndarray


def facts_of(points: np.ndarray) -> dict[str, bool]:
    """Statements of `tasks.yes_no.STATEMENTS` that hold or do not hold of a body with keypoints
    (17, 3); what cannot be told clearly is left out."""
    body = _Body(points)
    found = {**body.legs(), **body.raised()}
    found["hand at the face"] = any_of(map(body.at_face, SIDES))
    found["arms crossed"] = body.crossed()
    return {name: verdict for name, verdict in found.items() if verdict is not None}


def posture_of(points: np.ndarray) -> str | None:
    """One of `tasks.act.POSTURES` of a body with keypoints (17, 3); None where it cannot be
    told."""
    facts = facts_of(points)
    return next((name for name in ("standing", "sitting") if facts.get(name)), None)


def arms_of(points: np.ndarray) -> str | None:
    """One of `tasks.act.ARMS` of a body with keypoints (17, 3); None where it cannot be told."""
    facts = facts_of(points)
    both = {side: facts.get(f"{side} hand raised") for side in SIDES}
    if facts.get("both hands raised"):
        return "both hands raised"
    if facts.get("arms crossed"):
        return "arms crossed"
    if None in both.values() or facts.get("arms crossed") is None:
        return None
    for side, raised in both.items():
        if raised:
            return f"{side} hand raised"
    if facts.get("hand at the face"):
        return "hand at the face"
    return ARMS[0] if _Body(points).arms_down() else None


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    """True if one is, False if none is, None where that is open."""
    known = list(verdicts)
    return True if True in known else None if None in known else False


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """True if all are, False if one is not, None where that is open."""
    known = list(verdicts)
    return False if False in known else None if None in known else True


class _Body:
    def __init__(self, points: np.ndarray) -> None:
        self._visible = {
            name: row[:2]
            for name, row in zip(KEYPOINTS, np.asarray(points, float), strict=True)
            if row[2] == SEEN
        }
        lengths = [UPPER_ARM * self._length(f"{s} shoulder", f"{s} elbow") for s in SIDES]
        lengths += [self._length(f"{s} shoulder", f"{s} hip") for s in SIDES]
        lengths.append(SHOULDERS * self._length("left shoulder", "right shoulder"))
        self.unit = max(lengths)

    def _length(self, one: str, other: str) -> float:
        """Pixels between two keypoints, 0 where one is not seen."""
        if one not in self._visible or other not in self._visible:
            return 0.0
        return float(np.linalg.norm(self._visible[one] - self._visible[other]))

    def _arm(self, side: str) -> tuple[Point, Point, Point] | None:
        names = [f"{side} {part}" for part in ("shoulder", "elbow", "wrist")]
        if not all(name in self._visible for name in names) or not self.unit:
            return None
        shoulder, elbow, wrist = (self._visible[name] for name in names)
        return shoulder, elbow, wrist

    def _height(self, side: str) -> float | None:
        """Of the wrist above the shoulder."""
        arm = self._arm(side)
        return None if arm is None else float(arm[0][1] - arm[2][1]) / self.unit

    def at_face(self, side: str) -> bool | None:
        """Whether a hand is."""
        arm, face = self._arm(side), [self._visible[name] for name in FACE if name in self._visible]
        if arm is None:
            return None
        height = self._height(side)
        if height is not None and (height < LOW or height > HIGH):
            return False
        if not face:
            return None
        hand = arm[2] + HAND * (arm[2] - arm[1])
        nearest = min(float(np.linalg.norm(hand - place)) for place in face) / self.unit
        return True if nearest < AT_FACE else False if nearest > OFF_FACE else None

    def raised(self) -> dict[str, bool | None]:
        """Whether each hand is raised and not at the face, and whether both are."""
        found: dict[str, bool | None] = {}
        for side in SIDES:
            height, verdict = self._height(side), None
            if height is not None:
                face = self.at_face(side)
                if height < LOW or face:
                    verdict = False
                elif height > RAISED and face is False:
                    verdict = True
            found[f"{side} hand raised"] = verdict
        found["both hands raised"] = all_of(found.values())
        return found

    def arms_down(self) -> bool:
        """Whether both arms certainly hang."""
        heights = [self._height(side) for side in SIDES]
        return all(height is not None and height < -DOWN for height in heights)

    def crossed(self) -> bool | None:
        """Whether each wrist lies before the other half of the chest."""
        heights = [self._height(side) for side in SIDES]
        if any(h is not None and (h > RAISED or h < -DOWN) for h in heights):
            return False
        if None in heights:
            return None
        arms = {side: self._arm(side) for side in SIDES}
        left, right = self._visible["left shoulder"], self._visible["right shoulder"]
        across, width = left - right, self._length("left shoulder", "right shoulder")
        if width < FRONT * self.unit:
            return None
        places = [
            float((arm[2] - (left + right) / 2) @ across) / width**2
            for arm in arms.values()
            if arm is not None
        ]
        if places[0] < -OWN_SIDE and places[1] > OWN_SIDE:
            return True
        return False if places[0] > OWN_SIDE or places[1] < -OWN_SIDE else None

    def legs(self) -> dict[str, bool | None]:
        """Standing, sitting and bent knees; of the sides that are seen, which must agree."""
        legs = [self._leg(side) for side in SIDES]
        known = [one for one in legs if one is not None]
        angles = [angle for _, angle in known]
        postures = {posture for posture, _ in known}
        posture = postures.pop() if len(postures) == 1 else None
        bent = True if any(angle < BENT for angle in angles) else None
        if posture == "standing" and len(known) == 2 and min(angles) > STRAIGHT:
            bent = False
        unknown = posture is None
        return {
            "standing": None if unknown else posture == "standing",
            "sitting": None if unknown else posture == "sitting",
            "knees bent": bent,
        }

    def _leg(self, side: str) -> tuple[str | None, float] | None:
        """Posture by one side, and degrees at its knee; None where it is not seen whole."""
        names = [f"{side} {part}" for part in ("shoulder", "hip", "knee", "ankle")]
        if not all(name in self._visible for name in names):
            return None
        shoulder, hip, knee, ankle = (self._visible[name] for name in names)
        thigh, shin = hip - knee, ankle - knee
        norms = float(np.linalg.norm(thigh) * np.linalg.norm(shin))
        turn = math.degrees(math.acos(np.clip(thigh @ shin / norms, -1, 1))) if norms else 180.0
        torso = float(hip[1] - shoulder[1])
        if torso < 0.5 * self.unit:  # bent over, lying, or seen from above
            return None, turn
        leg, upper = float(ankle[1] - hip[1]) / torso, float(knee[1] - hip[1]) / torso
        if leg > STANDING_LEG and upper > STANDING_THIGH:
            return "standing", turn
        return ("sitting" if leg < SITTING_LEG and upper < SITTING_THIGH else None), turn
