# SPDX-License-Identifier: Apache-2.0
"""Heads as vision_msgs/Detection2DArray, for generic tools."""

from __future__ import annotations

from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.messages import head_pose

TOPIC, TYPE = "detections", Detection2DArray


def convert(shown: Shown) -> Detection2DArray:
    """One detection of class "head" a person: the box in pixels, and the pose as in HeadPose."""
    detections = []
    for person in shown.people:
        x0, y0, x1, y1 = person.box
        box = BoundingBox2D(size_x=float(x1 - x0), size_y=float(y1 - y0))
        box.center.position.x, box.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
        result = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id="head", score=float(person.score)),
            pose=head_pose(person, shown.header).pose,
        )
        detections.append(
            Detection2D(header=shown.header, results=[result], bbox=box, id=person.head.id)
        )
    return Detection2DArray(header=shown.header, detections=detections)
