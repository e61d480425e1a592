# SPDX-License-Identifier: Apache-2.0
"""REP-155 about bodies: as `hri` about faces, each body's skeleton2d, and whose face belongs to it
on /humans/candidate_matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from hri_msgs.msg import IdsMatch, NormalizedPointOfInterest2D, Skeleton2D
from rclpy.node import Node

from hpe_vlm_ros.boxes import Scored
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.extras.hri import Hri
from hpe_vlm_ros.nodes.qos import no_events, output_qos
from hpe_vlm_ros.people.bodies import Body
from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS

POINTS = 18
SHOULDERS = [KEYPOINTS.index(f"{side} shoulder") for side in ("left", "right")]


class Bodies(Hri):
    """Bodies with an id, under /humans/bodies, each with its skeleton and the face that it belongs
    to."""

    namespace = "/humans/bodies"

    def __init__(self, node: Node, crops: Callable[[], bool]) -> None:
        super().__init__(node, crops)
        self._matches = node.create_publisher(
            IdsMatch, "/humans/candidate_matches", output_qos(20), event_callbacks=no_events()
        )

    def found(self, shown: Shown) -> Mapping[str, Scored]:
        return {body.id: body for body in shown.bodies if body.id}

    def publish(self, shown: Shown) -> None:
        super().publish(shown)
        for body in shown.bodies:
            if body.id:
                self._publisher(body.id, "skeleton2d", Skeleton2D).publish(skeleton2d(body, shown))
                self._matches.publish(
                    IdsMatch(
                        id1=body.id,
                        id1_type=IdsMatch.BODY,
                        id2=body.person.head.id,
                        id2_type=IdsMatch.FACE,
                        confidence=body.score,
                    )
                )

    def close(self) -> None:
        super().close()
        self._end(self._matches)


def skeleton2d(body: Body, shown: Shown) -> Skeleton2D:
    """Keypoints in parts of the image, in the order of the message's own constants: COCO's 17 and
    the neck, the middle of the shoulders. What is absent has the confidence 0.

    The message's comment names OpenPose's order, but its constants have the left eye and ear before
    the right ones.
    """
    skeleton, size = body.skeleton, np.array(shown.size, dtype=float)
    points = [NormalizedPointOfInterest2D() for _ in range(POINTS)]
    shares = np.clip(skeleton.points / size, 0, 1)
    for name, share, visibility, score in zip(
        skeleton.names, shares, skeleton.visibility, skeleton.scores, strict=True
    ):
        if visibility != ABSENT:
            place = getattr(Skeleton2D, name.upper().replace(" ", "_"))
            points[place] = _point(share, score)
    if (skeleton.visibility[SHOULDERS] != ABSENT).all():
        middle, score = shares[SHOULDERS].mean(0), skeleton.scores[SHOULDERS].min()
        points[Skeleton2D.NECK] = _point(middle, score)
    return Skeleton2D(header=shown.header, skeleton=points)


def _point(share: np.ndarray, score: float) -> NormalizedPointOfInterest2D:
    return NormalizedPointOfInterest2D(x=float(share[0]), y=float(share[1]), c=float(score))
