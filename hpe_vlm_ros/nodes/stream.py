# SPDX-License-Identifier: Apache-2.0
"""What an active node does: images to the model, answers to people, people to topics.

Everything here but `_deliver` runs in the executor's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rclpy.clock import ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.time import Time

from hpe_vlm_ros import images
from hpe_vlm_ros.nodes import extras, inference, messages, parameters
from hpe_vlm_ros.nodes.cameras import FUTURE, AnyImage, Camera
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.health import Health
from hpe_vlm_ros.nodes.inference import Answer, BodyAnswer, BodyJob, Inference, Job
from hpe_vlm_ros.nodes.outputs import Outputs
from hpe_vlm_ros.nodes.parameters import Values
from hpe_vlm_ros.nodes.query import Queries, Source
from hpe_vlm_ros.nodes.tf import Complain, Targets
from hpe_vlm_ros.people.bodies import NOBODY, asked, body_boxes
from hpe_vlm_ros.people.people import Person
from hpe_vlm_ros.people.tracking import LateFrame, Status
from hpe_vlm_ros.wording import seconds

AHEAD = 1.0  # seconds by which the clocks of camera and node may differ
PUBLISHING = 0.05  # share of max_age that is left for publishing, which a busy machine delays


class Stream:
    """Serves the cameras from its making until `stop`."""

    def __init__(
        self,
        node: LifecycleNode,
        perceiver: Any,
        cameras: Mapping[str, Camera],
        outputs: Mapping[str, Outputs],
        health: Health,
        queries: Queries,
        complain: Complain,
    ) -> None:
        self._node, self._perceiver = node, perceiver
        self._cameras, self._outputs, self._health = cameras, outputs, health
        self._targets = Targets(node, complain)
        self._answers: deque[Answer | BodyAnswer] = deque()
        # by which the worker's thread wakes the executor's: the model's thread never publishes
        self._answered = node.create_guard_condition(self._on_answers)
        self._faces: Any = None
        self._bodies: Any = None
        self._may_hri = extras.installed("hri")
        self._switch_hri()
        self._inference = Inference(
            perceiver,
            self._check_age,
            self._deliver,
            period=lambda: 1.0 / self._value("max_rate") if self._value("max_rate") else 0.0,
            max_heads=lambda: self._value("max_heads"),
            drafts=lambda: (self._value("detect_every"), self._value("draft_slack")),
            tiles=lambda: self._value("tiles"),
            rotate=lambda: self._value("rotate"),
        )
        self._queries = queries
        try:
            for camera in cameras.values():
                camera.listen(self._on_image)
        except Exception:  # a topic that cannot be
            self.stop(None)
            raise
        queries.open(Source(self._inference.put, self._newest, self._asked))

    def stop(self, timeout: float | None) -> bool:
        """No more images; whether the one in work ended within `timeout` seconds."""
        for camera in self._cameras.values():
            camera.close()
        self._queries.shut()
        ended = self._inference.stop(timeout)
        self._node.destroy_guard_condition(self._answered)
        self._answers.clear()
        self._targets.close()
        self._close_hri()
        return ended

    def hangs(self) -> bool:
        """Whether the model has taken longer than the parameter inference_timeout."""
        limit = self._value("inference_timeout")
        return bool(limit and self._inference.busy() > limit)

    def on_timer(self) -> None:
        """To be called often: questions, and people of cameras that fell silent."""
        self._queries.on_timer()
        self._switch_hri()
        for camera in self._cameras.values():
            camera.on_timer()
            silent = camera.arrivals.silence() > self._value("lost_timeout")
            if silent and camera.newest is not None:
                for hri in self._hri():
                    hri.forget(camera.name, camera.newest.header)

    def _switch_hri(self) -> None:
        """As publish_hri says by now."""
        wanted = self._may_hri and self._value("publish_hri")
        if not wanted:
            self._close_hri()
        elif self._faces is None:
            from hpe_vlm_ros.nodes.extras.hri import Faces

            self._faces = Faces(self._node, self._crops)
            if self._value("skeletons") != NOBODY:
                from hpe_vlm_ros.nodes.extras.hri_bodies import Bodies

                self._bodies = Bodies(self._node, self._crops)

    def _crops(self) -> bool:
        return bool(self._value("publish_crops"))

    def _hri(self) -> list[Any]:
        return [hri for hri in (self._faces, self._bodies) if hri is not None]

    def _close_hri(self) -> None:
        for hri in self._hri():
            hri.close()
        self._faces = self._bodies = None

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    # Images

    def _on_image(self, camera: Camera, message: AnyImage) -> None:
        try:
            self._check_age(message)
        except images.ImageError as error:
            self._dropped(camera, error)
        else:
            self._inference.put(Job(camera.name, message))

    def _age(self, header: Any) -> float:
        stamp = Time.from_msg(header.stamp, clock_type=ClockType.ROS_TIME)
        return float((self._node.get_clock().now() - stamp).nanoseconds / 1e9)

    def _check_age(self, message: AnyImage) -> None:
        limit, age = self._value("max_age"), self._age(message.header)
        if not limit or -AHEAD <= age <= limit:
            return
        span = seconds(abs(age) * 1e9)
        if age < 0:
            where = (
                "on /clock, which use_sim_time asks for" if self._value("use_sim_time") else "here"
            )
            raise images.ImageError(
                FUTURE,
                f"its stamp is {span} in the future of the time {where}, so its age is unknown. "
                "Set the clocks of camera and node by one another (NTP), or max_age to 0",
            )
        if not messages.nanoseconds(message.header.stamp):
            text = "it bears no stamp (zero). Let the camera's driver set it, or set max_age to 0"
            raise images.ImageError("stamp", text)
        raise images.ImageError(
            "stale",
            f"its stamp is {span} old, max_age is {limit:g} s. Check the camera's clock; "
            "when playing a bag, use its clock (use_sim_time) or set max_age to 0",
        )

    def _dropped(self, camera: Camera, error: Exception) -> None:
        self._inference.drop(camera.name)
        if isinstance(error, images.ImageError):
            camera.statistics.count(f"dropped: {error.kind}")
            camera.dropped(error.kind, f"image dropped: {error}")
            return
        text = f"image dropped: {error!r}"
        if inference.out_of_memory(error):
            text += ": out of memory; lower max_heads, or give the model another device"
        camera.statistics.count("failed")
        camera.dropped(type(error).__name__, text)
        self._health.failed(text)

    # Answers

    def _deliver(self, answer: Answer | BodyAnswer) -> None:
        """From the worker's thread to the executor's."""
        self._answers.append(answer)
        # after a shutdown there is no executor to wake any more
        if self._node.context.ok():
            self._answered.trigger()

    def _on_answers(self) -> None:
        while self._answers:
            answer = self._answers.popleft()
            if isinstance(answer, BodyAnswer):
                self._take_bodies(answer)
                continue
            if answer.question is not None:
                self._queries.answered(answer)
                continue
            camera = self._cameras[answer.camera]
            try:
                if answer.error is not None:
                    raise answer.error
                self._take(camera, answer)
            except Exception as error:  # one bad answer must not end the service of the others
                self._dropped(camera, error)

    def _take(self, camera: Camera, answer: Answer) -> None:
        self._health.recovered()
        statistics, values = camera.statistics, parameters.read(self._node)
        statistics.count("answered")
        if left_out := getattr(answer.estimates, "left_out", 0):
            text = f"{left_out} smaller heads left out: max_heads is {values['max_heads']}"
            camera.complain("max_heads", text)
        statistics.note("latency", answer.latency)
        self._check_image(camera, answer)
        shape, limit = self._perceiver.head_shape, values["max_age"]
        try:
            people = camera.people(answer, shape, self._targets, values)
        except LateFrame as error:
            statistics.count("late")
            camera.dropped("late", f"answer dropped: {error}")
            return
        statistics.count("heads", sum(p.head.unseen == 0 for p in people))
        statistics.count("invalid", sum(p.head.status is Status.INVALID_ANSWER for p in people))
        age = self._age(answer.header)
        if limit and age > limit * (1 - PUBLISHING):
            statistics.count("late")
            camera.dropped("answer", f"answer dropped: {_too_old(age, answer.latency, limit)}")
            return
        self._publish(camera, answer, people, values)

    def _publish(
        self, camera: Camera, answer: Answer, people: list[Person], values: Values
    ) -> None:
        shown = Shown(camera.name, answer.header, answer.size, people, answer.rgb)
        dropped, model = self._inference.take_dropped(camera.name), self._perceiver.model_id
        gestures, judge = camera.gestures()
        self._outputs[camera.name].publish(
            shown, answer.latency, dropped, model, values, gestures, judge
        )
        self._switch_hri()
        if self._faces is not None:
            self._faces.publish(shown)
        if camera.bodies_due(values["skeletons"], values["skeleton_rate"]):
            self._ask_bodies(camera, shown, values)
        camera.arrivals.answered(answer.latency)
        camera.statistics.count("published")
        camera.statistics.note("age", self._age(answer.header))

    # Bodies: asked for when the heads of an image are out, so that those never wait

    def _ask_bodies(self, camera: Camera, shown: Shown, values: Values) -> None:
        people = asked(shown.people, values["skeletons"])
        shown = replace(shown, people=people)
        if people:
            boxes = body_boxes(people, camera.mounting(shown.size))
            self._inference.put(BodyJob(shown, boxes))
        else:
            self._publish_bodies(shown, 0.0)

    def _take_bodies(self, answer: BodyAnswer) -> None:
        shown = answer.shown
        camera = self._cameras[shown.camera]
        try:
            if answer.error is not None:
                raise answer.error
            limit, age = self._value("max_age"), self._age(shown.header)
            if limit and age > limit:
                camera.complain(
                    "late bodies", f"skeletons dropped: {_too_old(age, answer.latency, limit)}"
                )
                return
            bodies = camera.bodies(shown, answer.skeletons)
            self._publish_bodies(replace(shown, bodies=bodies), answer.latency)
        except Exception as error:  # as of heads: the next image is served
            text = f"skeletons dropped: {error!r}"
            camera.complain("skeletons", text)
            self._health.failed(text)

    def _publish_bodies(self, shown: Shown, latency: float) -> None:
        self._outputs[shown.camera].publish_bodies(shown, latency, self._perceiver.model_id)
        if self._bodies is not None:
            self._bodies.publish(shown)

    def _check_image(self, camera: Camera, answer: Answer) -> None:
        width, height = answer.size
        if height * width > images.LARGE:
            camera.complain(
                "large",
                f"image of {width}x{height} pixels: answered, but slowly, and it is shrunk for the "
                "model anyway; lower the camera's resolution",
            )
        if not answer.header.frame_id and self._value("publish_tf"):
            camera.complain("frame", "the image names no frame_id, so no TF: set the camera's")

    # Questions

    def _newest(self, camera: str) -> AnyImage | None:
        return self._cameras[camera or next(iter(self._cameras))].newest

    def _asked(self, answer: Answer, newest: bool) -> list[Person]:
        camera = self._cameras.get(answer.camera) or next(iter(self._cameras.values()))
        values = parameters.read(self._node)
        return camera.asked(answer, newest, self._perceiver.head_shape, self._targets, values)


def _too_old(age: float, latency: float, limit: float) -> str:
    """Why an answer of this age, for which the model took `latency` s, is not published."""
    before = f"{seconds(latency * 1e9)} of that in the model"
    if age > limit:
        return f"its image is {seconds(age * 1e9)} old, {before}, older than max_age ({limit:g} s)"
    return (
        f"its image is {seconds(age * 1e9)} old, {before}, and would be older than max_age "
        f"({limit:g} s) by the time it arrives"
    )
