# SPDX-License-Identifier: Apache-2.0
"""REP-155: /humans/faces/tracked and, for each face, /humans/faces/<id>/roi and, if asked for,
/humans/faces/<id>/cropped. One for all cameras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hpe_vlm_ros.images import rgb_to_image
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.qos import no_events, output_qos
from hpe_vlm_ros.people.people import Person

FACES = "/humans/faces"


class Hri:
    """Publishers come and go with the faces, so that nobody waits at a topic of who has left."""

    def __init__(self, node: Node, crops: Callable[[], bool]) -> None:
        self._node, self._crops = node, crops
        self._list = self._create(IdsList, "tracked")
        self._faces: dict[str, dict[str, Any]] = {}  # id: topic's last name: publisher
        self._seen: dict[str, list[str]] = {}  # camera: ids
        self._header = Header()  # the newest

    def publish(self, shown: Shown) -> None:
        people = [person for person in shown.people if person.head.id]
        self._tell(shown.camera, [person.head.id for person in people], shown.header)
        for person in people:
            self._publisher(person.head.id, "roi", NormalizedRegionOfInterest2D).publish(
                roi(person, shown)
            )
            if not self._crops():
                self._end(self._faces[person.head.id].pop("cropped", None))
            elif shown.rgb is not None:
                publisher = self._publisher(person.head.id, "cropped", Image)
                if publisher.get_subscription_count():
                    publisher.publish(rgb_to_image(crop(shown.rgb, person.box), shown.header))

    def forget(self, camera: str, header: Header) -> None:
        """That camera sees nobody any more; said once."""
        if self._seen.get(camera):
            self._tell(camera, [], header)

    def close(self) -> None:
        """No more of it; those who listen are told that nobody is there."""
        for camera in [camera for camera, ids in self._seen.items() if ids]:
            if self._node.context.ok():
                self._tell(camera, [], self._header)
        for faces in self._faces.values():
            for publisher in faces.values():
                self._end(publisher)
        self._faces.clear()
        self._end(self._list)

    def _tell(self, camera: str, ids: list[str], header: Header) -> None:
        self._seen[camera], self._header = ids, header
        everybody = [i for seen in self._seen.values() for i in seen]
        self._list.publish(IdsList(header=header, ids=everybody))
        for gone in set(self._faces) - set(everybody):
            for publisher in self._faces.pop(gone).values():
                self._end(publisher)

    def _end(self, publisher: Any) -> None:
        if publisher is not None:
            self._node.destroy_publisher(publisher)

    def _publisher(self, face: str, name: str, kind: Any) -> Any:
        publishers = self._faces.setdefault(face, {})
        if name not in publishers:
            publishers[name] = self._create(kind, f"{face}/{name}")
        return publishers[name]

    def _create(self, kind: Any, name: str) -> Any:
        return self._node.create_publisher(
            kind, f"{FACES}/{name}", output_qos(5), event_callbacks=no_events()
        )


def roi(person: Person, shown: Shown) -> NormalizedRegionOfInterest2D:
    """The box in parts of the image, within it."""
    width, height = shown.size
    sides = np.array([width, height, width, height], dtype=float)
    x0, y0, x1, y1 = (float(v) for v in np.clip(np.asarray(person.box) / sides, 0, 1))
    return NormalizedRegionOfInterest2D(
        header=shown.header, xmin=x0, ymin=y0, xmax=x1, ymax=y1, c=float(person.score)
    )


def crop(rgb: Any, box: tuple[float, float, float, float]) -> Any:
    """The box's pixels; at least one."""
    height, width, _ = rgb.shape
    x0, x1 = np.clip([int(box[0]), int(np.ceil(box[2]))], 0, width)
    y0, y1 = np.clip([int(box[1]), int(np.ceil(box[3]))], 0, height)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return np.ascontiguousarray(rgb[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
