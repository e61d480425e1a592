# SPDX-License-Identifier: Apache-2.0
"""Everything that is published about a camera's images. Used from the executor's thread alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from hpe_vlm_ros import images
from hpe_vlm_ros.drawing import draw_heads
from hpe_vlm_ros.msg import GazeTargets, HeadGesture, HeadPoseArray, SkeletonArray
from hpe_vlm_ros.nodes import extras, messages, parameters
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.parameters import Values
from hpe_vlm_ros.nodes.qos import no_events, output_qos
from hpe_vlm_ros.people.bodies import NOBODY
from hpe_vlm_ros.people.gestures.events import Gesture

TOPICS = {
    "~/head_poses": HeadPoseArray,
    "~/gaze_targets": GazeTargets,
    "~/head_gestures": HeadGesture,
    "~/skeletons": SkeletonArray,
    "/tf": TFMessage,
    "~/image_annotated": Image,
}
# Of queues: TF as in tf2; of drawings the newest alone, as they are large.
DEPTHS = {"/tf": 100, "~/image_annotated": 1, "~/head_gestures": 20}
SWITCHES = {
    "~/image_annotated": "publish_image",
    "~/head_gestures": "gestures",
    "~/skeletons": "skeletons",
    "~/skeleton_annotations": "skeletons",
}
"""Parameters without which a topic is not made."""
CONVERTED = ("detections", "annotations", "skeleton_annotations", "markers")
"""Outputs in other packages' messages: their topic's name is the module's."""


class Outputs:
    """The publishers of one camera; `camera` stands in the names of its topics."""

    def __init__(self, node: LifecycleNode, camera: str, values: Values) -> None:
        self._node, self._camera = node, camera
        parts = (parameters.id_prefix(values, node.get_namespace()), camera.replace("/", "_"))
        self._frame_prefix = "".join(f"{part}_" for part in parts if part)
        self._publishers: dict[str, Any] = {}
        self._of_heads: dict[str, Callable[[Shown], Any]] = {}
        self._of_bodies: dict[str, Callable[[Shown], Any]] = {}
        off = {topic for topic, name in SWITCHES.items() if values[name] in (False, NOBODY)}
        for topic, kind in TOPICS.items():
            if topic not in off:
                self._create(topic, kind, DEPTHS.get(topic, 5))
        for name in CONVERTED:
            topic = f"~/{name}"
            if topic not in off and extras.installed(name):
                module = import_module(f"hpe_vlm_ros.nodes.extras.{name}")
                self._create(topic, module.TYPE, 5)
                for converters, what in (
                    (self._of_heads, "convert"),
                    (self._of_bodies, "convert_bodies"),
                ):
                    if convert := getattr(module, what, None):
                        converters[topic] = convert

    def publish(
        self,
        shown: Shown,
        latency: float,
        dropped: int,
        model_id: str,
        values: Values,
        gestures: Sequence[Gesture] = (),
        judge: str = "",
    ) -> None:
        """Publishes all that is known of an image's people, under the image's own header.

        latency: seconds in the model. dropped: images left out since the last one published.
        values: the node's parameters. gestures: those that began or ended, as `judge` told.
        """
        header, people = shown.header, shown.people
        array = HeadPoseArray(
            header=header,
            heads=[messages.head_pose(person, header) for person in people],
            inference_latency=messages.duration(latency),
            dropped_frames=dropped,
            model_id=model_id,
        )
        self._publishers["~/head_poses"].publish(array)
        self._publishers["~/gaze_targets"].publish(messages.gaze_targets(people, header))
        for gesture in gestures:
            message = messages.head_gesture(gesture, header, judge)
            self._publishers["~/head_gestures"].publish(message)
        if people and values["publish_tf"] and header.frame_id:
            frames = messages.head_transforms(
                people, header, shown.size, values["tracking"], self._frame_prefix
            )
            self._publishers["/tf"].publish(TFMessage(transforms=list(frames)))
        self._convert(shown, self._of_heads)
        if self.wants_pixels() and shown.rgb is not None:
            drawn = draw_heads(shown.rgb, [p for p in people if p.posed])
            self._publishers["~/image_annotated"].publish(images.rgb_to_image(drawn, header))

    def publish_bodies(self, shown: Shown, latency: float, model_id: str) -> None:
        """Skeletons of the people in an image that `publish` has been given before; latency:
        seconds in the model, for these bodies alone."""
        array = SkeletonArray(
            header=shown.header,
            skeletons=[messages.skeleton(body, shown.header) for body in shown.bodies],
            inference_latency=messages.duration(latency),
            model_id=model_id,
        )
        self._publishers["~/skeletons"].publish(array)
        self._convert(shown, self._of_bodies)

    def wants_pixels(self) -> bool:
        """Whether somebody subscribes to the annotated image, which is drawn for nobody else."""
        publisher = self._publishers.get("~/image_annotated")
        return publisher is not None and publisher.get_subscription_count() > 0

    def close(self) -> None:
        """Destroys the publishers; those of other cameras stay."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def _convert(self, shown: Shown, converters: dict[str, Callable[[Shown], Any]]) -> None:
        for topic, convert in converters.items():
            if self._publishers[topic].get_subscription_count():
                self._publishers[topic].publish(convert(shown))

    def _create(self, topic: str, kind: Any, depth: int) -> None:
        name = topic.replace("~/", f"~/{self._camera}/") if self._camera else topic
        self._publishers[topic] = self._node.create_lifecycle_publisher(
            kind, name, output_qos(depth), event_callbacks=no_events()
        )
