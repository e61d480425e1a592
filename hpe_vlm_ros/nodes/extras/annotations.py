# SPDX-License-Identifier: Apache-2.0
"""Heads as foxglove_msgs/ImageAnnotations: lines over the camera's own stream, no second image."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Time
from foxglove_msgs.msg import Color, ImageAnnotations, Point2, PointsAnnotation, TextAnnotation

from hpe_vlm_ros.geometry import gaze_rotation
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.people.people import ROBOT, Person
from hpe_vlm_ros.people.tracking import Status

TOPIC, TYPE = "annotations", ImageAnnotations
LOOKING, SEEN, PREDICTED = (0.2, 0.9, 0.2), (1.0, 0.75, 0.1), (0.6, 0.6, 0.6)
Pixel = tuple[float, float]


def convert(shown: Shown) -> ImageAnnotations:
    """A box, the gaze as a line from its middle, and id, yaw and gesture, for each head."""
    stamp = shown.header.stamp
    result = empty(shown)
    for person in shown.people:
        x0, y0, x1, y1 = person.box
        colour = _colour(person)
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        result.points.append(_lines(corners, PointsAnnotation.LINE_LOOP, colour, stamp))
        if (tip := _gaze_tip(person)) is not None:
            middle = (x0 + x1) / 2, (y0 + y1) / 2
            result.points.append(_lines([middle, tip], PointsAnnotation.LINE_STRIP, colour, stamp))
        result.texts.append(
            TextAnnotation(
                timestamp=stamp,
                position=Point2(x=float(x0), y=float(y0) - 4.0),
                text=_label(person),
                font_size=max(12.0, 0.25 * (y1 - y0)),
                text_color=colour,
                background_color=Color(r=0.0, g=0.0, b=0.0, a=0.5),
            )
        )
    return result


def empty(shown: Shown) -> ImageAnnotations:
    """Nothing yet, of the time of an image."""
    result = ImageAnnotations()
    if hasattr(result, "timestamp"):  # newer versions of the package
        result.timestamp = shown.header.stamp
    return result


def _colour(person: Person) -> Color:
    gaze = person.gazes.get(ROBOT)
    rgb = LOOKING if gaze is not None and gaze.looking else SEEN
    if person.head.status is not Status.OK:
        rgb = PREDICTED
    return Color(r=rgb[0], g=rgb[1], b=rgb[2], a=1.0)


def _gaze_tip(person: Person) -> Pixel | None:
    """Where the gaze's line ends: a box's height long, foreshortened as the gaze is."""
    if not person.posed:
        return None
    x0, y0, x1, y1 = person.box
    along = gaze_rotation(person.rotation)[:, 2] * (y1 - y0)
    return float((x0 + x1) / 2 + along[0]), float((y0 + y1) / 2 + along[1])


def _label(person: Person) -> str:
    yaw = "" if math.isnan(person.yaw) else f"{np.round(person.yaw):.0f} deg"
    doing = " ".join(g.name.replace("updown", "up/down") for g in person.gestures if not g.ended)
    return " ".join(part for part in (person.head.id, yaw, doing) if part) or "head"


def _lines(points: list[Pixel], kind: int, colour: Color, stamp: Time) -> PointsAnnotation:
    return PointsAnnotation(
        timestamp=stamp,
        type=kind,
        points=[Point2(x=float(x), y=float(y)) for x, y in points],
        outline_color=colour,
        thickness=2.0,
    )
