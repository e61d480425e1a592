# SPDX-License-Identifier: Apache-2.0
"""REP-155: /humans/faces/tracked and, for each face, /humans/faces/<id>/roi and, if asked for,
/humans/faces/<id>/cropped. One for all cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hpe_vlm_ros.boxes import PixelBox, Scored
from hpe_vlm_ros.images import rgb_to_image
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.qos import no_events, output_qos


class Hri:
    """What has an id in one of REP-155's namespaces. Publishers come and go with the ids, so that
    nobody waits at a topic of who has left."""

    namespace: str

    def __init__(self, node: Node, crops: Callable[[], bool]) -> None:
        self._node, self._crops = node, crops
        self._list = self._create(IdsList, "tracked")
        self._known: dict[str, dict[str, Any]] = {}  # id: topic's last name: publisher
        self._ids: dict[str, list[str]] = {}  # camera: ids
        self._header = Header()  # the newest

    def found(self, shown: Shown) -> Mapping[str, Scored]:
        """What is seen in an image, by id."""
        raise NotImplementedError

    def publish(self, shown: Shown) -> None:
        """Tells who is in an image and where; with their pixels if crops are asked for and
        subscribed to."""
        found = self.found(shown)
        self._tell(shown.camera, list(found), shown.header)
        for name, one in found.items():
            self._publisher(name, "roi", NormalizedRegionOfInterest2D).publish(roi(one, shown))
            if not self._crops():
                self._end(self._known[name].pop("cropped", None))
            elif shown.rgb is not None:
                publisher = self._publisher(name, "cropped", Image)
                if publisher.get_subscription_count():
                    publisher.publish(rgb_to_image(crop(shown.rgb, one.box), shown.header))

    def forget(self, camera: str, header: Header) -> None:
        """That camera sees nobody any more; said once."""
        if self._ids.get(camera):
            self._tell(camera, [], header)

    def close(self) -> None:
        """No more of it; those who listen are told that nobody is there."""
        for camera in [camera for camera, ids in self._ids.items() if ids]:
            if self._node.context.ok():
                self._tell(camera, [], self._header)
        for publishers in self._known.values():
            for publisher in publishers.values():
                self._end(publisher)
        self._known.clear()
        self._end(self._list)

    def _tell(self, camera: str, ids: list[str], header: Header) -> None:
        self._ids[camera], self._header = ids, header
        everybody = [i for visible in self._ids.values() for i in visible]
        self._list.publish(IdsList(header=header, ids=everybody))
        for gone in set(self._known) - set(everybody):
            for publisher in self._known.pop(gone).values():
                self._end(publisher)

    def _end(self, publisher: Any) -> None:
        if publisher is not None:
            self._node.destroy_publisher(publisher)

    def _publisher(self, name: str, last: str, kind: Any) -> Any:
        publishers = self._known.setdefault(name, {})
        if last not in publishers:
            publishers[last] = self._create(kind, f"{name}/{last}")
        return publishers[last]

    def _create(self, kind: Any, name: str) -> Any:
        return self._node.create_publisher(
            kind, f"{self.namespace}/{name}", output_qos(5), event_callbacks=no_events()
        )


class Faces(Hri):
    """Heads with an id, under /humans/faces."""

    namespace = "/humans/faces"

    def found(self, shown: Shown) -> Mapping[str, Scored]:
        return {person.head.id: person for person in shown.people if person.head.id}


def roi(one: Scored, shown: Shown) -> NormalizedRegionOfInterest2D:
    """The box in parts of the image, within it."""
    width, height = shown.size
    sides = np.array([width, height, width, height], dtype=float)
    x0, y0, x1, y1 = (float(v) for v in np.clip(np.asarray(one.box) / sides, 0, 1))
    return NormalizedRegionOfInterest2D(
        header=shown.header, xmin=x0, ymin=y0, xmax=x1, ymax=y1, c=float(one.score)
    )


def crop(rgb: Any, box: PixelBox) -> Any:
    """The box's pixels; at least one."""
    height, width, _ = rgb.shape
    x0, x1 = np.clip([int(box[0]), int(np.ceil(box[2]))], 0, width)
    y0, y1 = np.clip([int(box[1]), int(np.ceil(box[3]))], 0, height)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return np.ascontiguousarray(rgb[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
