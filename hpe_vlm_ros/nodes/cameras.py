# SPDX-License-Identifier: Apache-2.0
"""One camera of the perception node: what comes in from it, and what is known of its people."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from numpy.typing import NDArray
from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hpe_vlm_ros import images
from hpe_vlm_ros.camera_model import Calibration, is_rectified, known_camera
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape
from hpe_vlm_ros.heads import HeadEstimate, seen_by
from hpe_vlm_ros.mounting import Mounting, upright
from hpe_vlm_ros.nodes import messages, parameters
from hpe_vlm_ros.nodes.arrivals import Arrivals
from hpe_vlm_ros.nodes.depth import Depths, to_metres
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.inference import Answer
from hpe_vlm_ros.nodes.parameters import Values
from hpe_vlm_ros.nodes.qos import kept_qos, overridable, sensor_qos
from hpe_vlm_ros.nodes.query import named_after
from hpe_vlm_ros.nodes.statistics import Statistics
from hpe_vlm_ros.nodes.tf import Complain, Targets
from hpe_vlm_ros.people.bodies import NOBODY, Body, bodies_of
from hpe_vlm_ros.people.gestures.events import Gesture
from hpe_vlm_ros.people.gestures.reader import GestureReader, Judge
from hpe_vlm_ros.people.people import People, Person, View
from hpe_vlm_ros.people.tracking import Ids
from hpe_vlm_ros.skeleton import Skeleton

AnyImage: TypeAlias = "Image | CompressedImage"
FUTURE = "future"
"""The kind of ImageError of an image whose stamp is yet to come."""


class Camera:
    """Subscriptions of one camera, its tracker and its statistics. For the executor's thread."""

    def __init__(
        self,
        node: Node,
        name: str,
        values: Values,
        ids: Ids,
        complain: Complain,
        judge: Judge | None = None,
    ) -> None:
        """judge: of head gestures; None: nobody asks for them."""
        self.name = name
        self.statistics = Statistics()
        self.newest: AnyImage | None = None
        self.arrivals = Arrivals()
        self.info_problem = ""
        self.qos_mismatch = ""
        self.topic = parameters.image_topic(values, name)
        self.info_topic = parameters.camera_info_topic(values, name)
        self._node, self._values = node, values
        self._complain = lambda kind, text: complain(f"{name} {kind}", self._named(text))
        self._info: CameraInfo | None = None
        self._depths = Depths()
        self._people = People(ids)
        if judge is not None:
            self._people.gestures = GestureReader(judge)
        self._known: list[Person] = []
        self._stamp = 0  # of the image answered last
        self._bodies_asked = -math.inf  # when, by the machine's clock
        self._inputs: list[Any] = []
        self._hears_kept = False  # camera_info of those who keep it

    def listen(self, on_image: Callable[[Camera, AnyImage], None]) -> None:
        """Subscribes; `on_image` is called for every image that comes."""

        def receive(message: AnyImage) -> None:
            self.newest = message
            self.arrivals.image(messages.nanoseconds(message.header.stamp))
            self.statistics.count("received")
            on_image(self, message)

        compressed = self._values["image_transport"] == "compressed"
        kind = CompressedImage if compressed else Image
        self._subscribe(kind, self.topic, receive, lost=self._on_lost)
        self._subscribe(CameraInfo, self.info_topic, self._on_info)
        if depth := parameters.depth_topic(self._values, self.name):
            self._subscribe(Image, depth, self._depths.put)

    def close(self) -> None:
        """Ends the subscriptions and forgets the newest image; `listen` begins anew. Tracked people
        stay."""
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        self._inputs.clear()
        self.newest, self._hears_kept, self.arrivals = None, False, Arrivals()

    def on_timer(self) -> None:
        """To be called often. Where camera_info is published once, for whoever comes later, only a
        subscription hears it that asks for that; any other publisher would warn of such a one."""
        topic = self._node.resolve_topic_name(self.info_topic)
        offers = self._node.get_publishers_info_by_topic(topic)
        kept = DurabilityPolicy.TRANSIENT_LOCAL
        if not self._hears_kept and any(o.qos_profile.durability == kept for o in offers):
            self._hears_kept = True
            events = SubscriptionEventCallbacks(use_default_callbacks=False)
            self._inputs.append(
                self._node.create_subscription(
                    CameraInfo, self.info_topic, self._on_info, kept_qos(), event_callbacks=events
                )
            )

    def offers(self) -> int:
        """How many publish the images' topic."""
        return self._node.count_publishers(self._node.resolve_topic_name(self.topic))

    def people(
        self, answer: Answer, shape: HeadShape | None, targets: Targets, values: Values
    ) -> list[Person]:
        """Who is seen in an answered image; LateFrame when a newer one was answered before."""
        stamp = messages.nanoseconds(answer.header.stamp)
        people = self._people
        # read at every image, since these may be set while the node is active
        people.tracking = values["tracking"]
        people.tracker.settings = parameters.tracking_settings(values)
        people.judge.limit = values["looking_angle"]
        people.judge.hysteresis = values["looking_hysteresis"]
        if people.gestures is not None:
            people.gestures.least_rate = values["gesture_min_rate"]
        view = self._view(answer, shape, targets, values)
        self._known = people.see(stamp, _in_camera_frame(answer, view), view)
        if stamp < self._stamp:  # time has gone back
            targets.forget()
        self._stamp = stamp
        return self._known

    def gestures(self) -> tuple[list[Gesture], str]:
        """What began or ended with the image answered last, and who says so."""
        reader = self._people.gestures
        return ([], "") if reader is None else (self._people.new_gestures, reader.judge.name)

    def bodies_due(self, whose: str, rate: float) -> bool:
        """Whether bodies of the image answered last are to be looked at: no more than `rate` times
        a second, 0: always."""
        now = time.monotonic()
        if whose == NOBODY or (rate and now - self._bodies_asked < 1 / rate):
            return False
        self._bodies_asked = now
        return True

    def bodies(self, shown: Shown, skeletons: list[Skeleton]) -> list[Body]:
        """Bodies of the people shown, from their skeletons in the upright picture."""
        camera = self._camera(shown.size)
        return bodies_of(shown.people, skeletons, self.mounting(shown.size), camera)

    def mounting(self, size: tuple[int, int]) -> Mounting:
        """How the parameter rotate turns images of this width and height (as the camera took
        them)."""
        return Mounting(self._values["rotate"], size)

    def asked(
        self,
        answer: Answer,
        newest: bool,
        shape: HeadShape | None,
        targets: Targets,
        values: Values,
    ) -> list[Person]:
        """Who is seen in an image that a question is about; the tracker learns nothing from it.

        newest: it is the stream's, so that people bear the ids that they have there.
        """
        # People of its own, whose tracker has no past: so any stamp will do for its only image.
        single = People()
        single.tracking, single.judge.limit = False, values["looking_angle"]
        view = self._view(answer, shape, targets, values)
        people = single.see(0, _in_camera_frame(answer, view), view)
        ids = named_after(people, self._known) if newest else {}
        named = [replace(p, head=replace(p.head, id=ids.get(i, ""))) for i, p in enumerate(people)]
        reader = self._people.gestures
        if reader is None:
            return named
        return [
            replace(p, gestures=reader.of(p.head.id), gestures_known=reader.known(p.head.id))
            for p in named
        ]

    def _view(
        self, answer: Answer, shape: HeadShape | None, targets: Targets, values: Values
    ) -> View:
        stamp = messages.nanoseconds(answer.header.stamp)
        mounting = self.mounting(answer.size)
        camera = mounting.camera(self._camera(answer.size))
        places = targets.at(answer.header, values["robot_frame"], values["gaze_targets"])
        depth = self._depth(stamp, answer.size, values["depth_slop"])
        if depth is not None:
            depth = upright(depth, mounting.degrees)
        rgb = upright(answer.rgb, mounting.degrees) if values["colour_weight"] else None
        return View(mounting.upright_size, camera, shape, depth, places, rgb, mounting)

    def _camera(self, size: tuple[int, int]) -> CameraIntrinsics | None:
        """The camera of images of this size; what is amiss is complained of."""
        topic = self._node.resolve_topic_name(self.topic)
        rectified = is_rectified(self._values["rectified"], topic)
        info = self._info and Calibration.read(self._info)
        camera, self.info_problem = known_camera(info, size, rectified)
        if self.info_problem:
            self._complain("camera_info", self.info_problem)
        return camera

    def complain(self, kind: str, text: str) -> None:
        """One warning of a kind in a while, about this camera."""
        self._complain(kind, text)

    def dropped(self, kind: str, text: str) -> None:
        """Notes why an image is not answered, and warns: of stamps in the future once in a row."""
        if kind != FUTURE or self.arrivals.reason_kind != FUTURE:
            self._complain(kind, text)
        self.arrivals.dropped(kind, text.removeprefix("image dropped: "))

    def _depth(self, stamp: int, size: tuple[int, int], slop: float) -> NDArray[Any] | None:
        message = self._depths.at(stamp, slop)
        if message is None:
            return None
        try:
            return to_metres(message, size)
        except images.ImageError as error:
            self._complain(error.kind, str(error))
            return None

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info
        self.arrivals.info(messages.nanoseconds(info.header.stamp))

    def _on_lost(self, event: Any) -> None:
        self.arrivals.lost(event.total_count_change)

    def _named(self, text: str) -> str:
        return f"camera {self.name}: {text}" if self.name else text

    def _on_mismatch(self, topic: str) -> Callable[[Any], None]:
        def report(event: Any) -> None:
            full = self._node.resolve_topic_name(topic)
            policy = str(getattr(event, "last_policy_kind", "")).rpartition(".")[2]
            self.qos_mismatch = (
                f"a publisher of {full} offers another quality of service ({policy}): set "
                f"qos_overrides.{full}.subscription"
            )
            self._complain("qos", self.qos_mismatch)

        return report

    def _subscribe(
        self, kind: Any, topic: str, callback: Any, lost: Callable[[Any], None] | None = None
    ) -> None:
        def subscribe(**events: Any) -> Any:
            return self._node.create_subscription(
                kind,
                topic,
                callback,
                sensor_qos(),
                qos_overriding_options=overridable(),
                event_callbacks=SubscriptionEventCallbacks(
                    incompatible_qos=self._on_mismatch(topic), **events
                ),
            )

        try:
            self._inputs.append(subscribe(message_lost=lost))
        except UnsupportedEventTypeError:  # not every middleware tells
            self._inputs.append(subscribe())


def _in_camera_frame(answer: Answer, view: View) -> list[HeadEstimate]:
    return seen_by(view.camera, answer.estimates, view.size, view.mounting.turn)
