# SPDX-License-Identifier: Apache-2.0
"""Heads as visualization_msgs/MarkerArray, for RViz: an arrow along the gaze, the id above; and
bodies, as lines."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.messages import duration, head_pose
from hpe_vlm_ros.people.distance import Source
from hpe_vlm_ros.people.people import ROBOT, Person
from hpe_vlm_ros.people.tracking import Status

TOPIC, TYPE = "markers", MarkerArray
LIFETIME = 1.0  # seconds; what is not sent again disappears, whatever happens to the node
ARROW = Vector3(x=0.4, y=0.03, z=0.03)  # metres: length, width, height
TEXT = Vector3(x=0.0, y=0.0, z=0.1)
LINES = Vector3(x=0.02)  # their width


def convert(shown: Shown) -> MarkerArray:
    """Two markers for each head with an id and a known position, in the camera's frame.

    The marker's number is that of the id, so a head's newest marker replaces its last.
    """
    markers = []
    for person in shown.people:
        if not person.head.id or person.position.source is Source.NONE:
            continue
        pose = head_pose(person, shown.header).pose.pose
        for kind, scale in ((Marker.ARROW, ARROW), (Marker.TEXT_VIEW_FACING, TEXT)):
            marker = Marker(
                header=shown.header,
                ns="gaze" if kind == Marker.ARROW else "id",
                id=int(person.head.id.rpartition("h")[2]),
                type=kind,
                action=Marker.ADD,
                scale=scale,
                color=_colour(person),
                lifetime=duration(LIFETIME),
                text="" if kind == Marker.ARROW else person.head.id,
            )
            marker.pose.orientation = pose.orientation
            place = marker.pose.position
            place.x, place.y, place.z = pose.position.x, pose.position.y, pose.position.z
            if kind == Marker.TEXT_VIEW_FACING:
                place.y -= 0.25  # above the head: the optical frame's y points down
            markers.append(marker)
    return MarkerArray(markers=markers)


def convert_bodies(shown: Shown) -> MarkerArray:
    """The lines of each body with an id; its keypoints lie where `Body.places` says."""
    markers = []
    for body in shown.bodies:
        lines = body.places[body.line_ends()].reshape(-1, 2, 3)
        ends = lines[np.isfinite(lines).all((1, 2))].reshape(-1, 3)
        if not body.id or not len(ends):
            continue
        marker = Marker(
            header=shown.header,
            ns="body",
            id=int(body.id.rpartition("b")[2]),
            type=Marker.LINE_LIST,
            action=Marker.ADD,
            scale=LINES,
            color=ColorRGBA(r=0.2, g=0.6, b=1.0, a=1.0),
            lifetime=duration(LIFETIME),
            points=[Point(x=x, y=y, z=z) for x, y, z in ends.tolist()],
        )
        marker.pose.orientation.w = 1.0
        markers.append(marker)
    return MarkerArray(markers=markers)


def _colour(person: Person) -> ColorRGBA:
    if person.head.status is not Status.OK:
        return ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.6)
    gaze = person.gazes.get(ROBOT)
    looking = gaze is not None and gaze.looking
    return ColorRGBA(r=0.2 if looking else 1.0, g=0.9 if looking else 0.75, b=0.2, a=1.0)
