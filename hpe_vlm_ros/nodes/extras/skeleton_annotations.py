# SPDX-License-Identifier: Apache-2.0
"""Bodies as foxglove_msgs/ImageAnnotations: the lines between keypoints over the camera's stream.

On a topic of their own, since they come later and less often than heads.
"""

from __future__ import annotations

from foxglove_msgs.msg import Color, ImageAnnotations, Point2, PointsAnnotation

from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.extras.annotations import empty

TYPE = ImageAnnotations
BLUE = Color(r=0.2, g=0.6, b=1.0, a=1.0)


def convert_bodies(shown: Shown) -> ImageAnnotations:
    """One list of lines for each body."""
    result = empty(shown)
    for body in shown.bodies:
        points = body.skeleton.points
        ends = [Point2(x=float(points[k, 0]), y=float(points[k, 1])) for k in body.line_ends()]
        if ends:
            result.points.append(
                PointsAnnotation(
                    timestamp=shown.header.stamp,
                    type=PointsAnnotation.LINE_LIST,
                    points=ends,
                    outline_color=BLUE,
                    thickness=2.0,
                )
            )
    return result
