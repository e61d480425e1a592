# SPDX-License-Identifier: Apache-2.0
"""The perception node: camera images in; people, their TF frames and what they look at out.

A lifecycle node: configure loads the weights, activate subscribes and starts a worker thread,
deactivate stops it, cleanup frees the weights. All of ROS is done in the executor's thread; the
worker gets the newest image of each camera and hands back what the model answered.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.time import Time

from hpe_vlm_ros.nodes import extras, health, images, inference, parameters
from hpe_vlm_ros.nodes.cameras import AnyImage, Camera
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.inference import Answer, Inference, Job
from hpe_vlm_ros.nodes.outputs import Outputs
from hpe_vlm_ros.nodes.qos import output_qos
from hpe_vlm_ros.nodes.tf import Targets
from hpe_vlm_ros.nodes.worker import Complaints
from hpe_vlm_ros.tracking import Ids, LateFrame, Status

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
STOP_TIMEOUT = 1.5  # seconds for the image in work to be finished; it is given up then


class PerceptionNode(LifecycleNode):
    """Turns the images of cameras into people; parameters: `specifications.SPECIFICATIONS`."""

    def __init__(self) -> None:
        super().__init__("perception")
        self._perceiver: Any = None
        self._inference: Inference | None = None
        self._cameras: dict[str, Camera] = {}
        self._outputs: dict[str, Outputs] = {}
        self._hri: Any = None
        self._targets: Targets | None = None
        self._ids = Ids()  # for the node's life: no id is given twice
        self._complain = self._new_complaints()
        self._health = health.Health(self.get_name())
        self._state = "unconfigured"
        self._answers: deque[Answer] = deque()
        self._answered = self.create_guard_condition(self._on_answers)
        self.add_on_set_parameters_callback(self._on_parameters)
        parameters.declare(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", output_qos(5))
        # Of their own clock: simulated time may stand still.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._report, clock=self._steady)
        self.create_timer(0.25, self._watch, clock=self._steady)

    def value(self, name: str) -> Any:
        """The present value of a parameter."""
        return self.get_parameter(name).value

    def _new_complaints(self) -> Complaints:
        return Complaints(lambda text: self.get_logger().warning(text))

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        loaded = self._attempt("configured", self._load, self._release)
        self._state = "inactive" if loaded else "unconfigured"
        return super().on_configure(state) if loaded else FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        listening = self._attempt("activated", self._listen, self.stop)
        self._state = "active" if listening else "inactive"
        return super().on_activate(state) if listening else FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop(STOP_TIMEOUT)
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        self._state = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_error(state)

    def _attempt(self, what: str, do: Callable[[], None], undo: Callable[[], object]) -> bool:
        """Whether it worked; if not, says why, which rclpy would keep to itself."""
        try:
            do()
            self._health.recovered()
            return True
        except Exception as error:
            remedy = f": install this package's requirements.txt for {sys.executable}"
            hint = remedy if isinstance(error, ImportError) else ""
            text = f"not {what}: {error}{hint}"
            self._health.failed(text)
            self.get_logger().error(text)
            undo()
            return False

    def _load(self) -> None:
        from hpe_vlm_ros.perceiver import HeadPerceiver  # imports torch: seconds, so only now

        started = time.monotonic()
        self._perceiver = HeadPerceiver.load(
            self.value("model") or None, self.value("device") or None
        )
        values = parameters.read(self)
        for name in values["cameras"] or ("",):
            self._cameras[name] = Camera(self, name, values, self._ids, self._say)
            self._outputs[name] = Outputs(self, name, values)
        self._targets = Targets(self, self._say)
        self.get_logger().info(
            f"loaded {self._perceiver.model_id} on {self._perceiver.device} "
            f"in {time.monotonic() - started:.1f} s"
        )

    def _listen(self) -> None:
        self._complain = self._new_complaints()
        self._inference = Inference(
            self._perceiver,
            self._check_age,
            self._deliver,
            period=lambda: 1.0 / self.value("max_rate") if self.value("max_rate") else 0.0,
            max_heads=lambda: self.value("max_heads"),
        )
        if extras.installed("hri") and self.value("publish_hri"):
            from hpe_vlm_ros.nodes.extras.hri import Hri

            self._hri = Hri(self, lambda: bool(self.value("publish_crops")))
        for camera in self._cameras.values():
            camera.listen(self._on_image)
            self.get_logger().info(
                f"waiting for images on {self.resolve_topic_name(camera.topic)}, "
                f"camera_info on {self.resolve_topic_name(camera.info_topic)}"
            )

    def stop(self, timeout: float | None = None) -> bool:
        """No more images; whether the one in work ended within `timeout` seconds."""
        for camera in self._cameras.values():
            camera.close()
        worker, self._inference = self._inference, None
        ended = worker is None or worker.stop(timeout)
        self._answers.clear()
        if self._targets is not None:
            self._targets.close()
        if self._hri is not None:
            self._hri.close()
            self._hri = None
        return ended

    def _release(self) -> None:
        self.stop(STOP_TIMEOUT)
        for outputs in self._outputs.values():
            outputs.close()
        self._outputs.clear()
        self._cameras.clear()
        self._perceiver = self._targets = None
        self._state = "unconfigured"
        gc.collect()
        inference.free_memory()

    # Callbacks: they never wait

    def _on_parameters(self, changed: list[Parameter]) -> Any:
        return parameters.check_change(changed, configured=self._perceiver is not None)

    def _say(self, kind: str, text: str) -> None:
        self._complain(kind, text)

    def _on_image(self, camera: Camera, message: AnyImage) -> None:
        if self._inference is None:
            return
        try:
            self._check_age(message)
        except images.ImageError as error:
            self._dropped(camera, error)
        else:
            self._inference.put(Job(camera.name, message))

    def _age(self, header: Any) -> float:
        stamp = Time.from_msg(header.stamp, clock_type=ClockType.ROS_TIME)
        return float((self.get_clock().now() - stamp).nanoseconds / 1e9)

    def _check_age(self, message: AnyImage) -> None:
        limit, age = self.value("max_age"), self._age(message.header)
        if limit and age > limit:
            raise images.ImageError(
                "stale",
                f"its stamp is {age:.1f} s old, max_age is {limit:g} s. Check the camera's clock; "
                "when playing a bag, use its clock (use_sim_time) or set max_age to 0",
            )

    def _dropped(self, camera: Camera, error: Exception) -> None:
        if self._inference is not None:
            self._inference.drop(camera.name)
        if isinstance(error, images.ImageError):
            camera.statistics.count(f"dropped: {error.kind}")
            camera.complain(error.kind, f"image dropped: {error}")
            return
        text = f"image dropped: {error!r}"
        if inference.out_of_memory(error):
            text += ": out of memory; lower max_heads, or give the model another device"
        camera.statistics.count("failed")
        camera.complain(type(error).__name__, text)
        self._health.failed(text)

    # Answers

    def _deliver(self, answer: Answer) -> None:
        """From the worker's thread to the executor's."""
        self._answers.append(answer)
        if self.context.ok():
            self._answered.trigger()

    def _on_answers(self) -> None:
        while self._answers and self._inference is not None:
            self._take(self._answers.popleft())

    def _take(self, answer: Answer) -> None:
        camera = self._cameras[answer.camera]
        if answer.error is not None:
            self._dropped(camera, answer.error)
            return
        self._health.recovered()
        seen = camera.statistics
        seen.count("answered")
        seen.note("latency", answer.latency)
        values = parameters.read(self)
        self._check_image(camera, answer)
        try:
            people = camera.people(answer, self._perceiver.head_shape, self._targets_(), values)
        except LateFrame as error:
            seen.count("late")
            camera.complain("late", f"answer dropped: {error}")
            return
        seen.count("heads", sum(p.head.unseen == 0 for p in people))
        seen.count("invalid", sum(p.head.status is Status.INVALID_ANSWER for p in people))
        if values["max_age"] and self._age(answer.header) > values["max_age"]:
            seen.count("late")
            camera.complain("answer", f"answer dropped: the model took {answer.latency:.1f} s, so "
                            f"it is older than max_age ({values['max_age']:g} s)")  # fmt: skip
            return
        self._publish(camera, answer, people, values)

    def _publish(
        self, camera: Camera, answer: Answer, people: list[Any], values: parameters.Values
    ) -> None:
        assert self._inference is not None
        shown = Shown(camera.name, answer.header, answer.size, people, answer.rgb)
        dropped = self._inference.take_dropped(camera.name)
        outputs, model = self._outputs[camera.name], self._perceiver.model_id
        outputs.publish(shown, answer.latency, dropped, model, values)
        if self._hri is not None:
            self._hri.publish(shown)
        camera.statistics.count("published")
        camera.statistics.note("age", self._age(answer.header))

    def _check_image(self, camera: Camera, answer: Answer) -> None:
        width, height = answer.size
        if height * width > images.LARGE:
            camera.complain(
                "large",
                f"image of {width}x{height} pixels: answered, but slowly, and it is shrunk for the "
                "model anyway; lower the camera's resolution",
            )
        if not answer.header.frame_id and self.value("publish_tf"):
            camera.complain("frame", "the image names no frame_id, so no TF: set the camera's")

    def _targets_(self) -> Targets:
        assert self._targets is not None
        return self._targets

    # Timers

    def _watch(self) -> None:
        """Gives up a model that hangs, and forgets people of cameras that fell silent."""
        limit = self.value("inference_timeout")
        if self._inference is None:
            return
        if limit and self._inference.busy() > limit:
            text = f"the model has not answered an image in inference_timeout ({limit:g} s)"
            self.get_logger().error(f"{text}: going to inactive; activate tries again")
            self.trigger_deactivate()
            self._health.failed(text)
            return
        for camera in self._cameras.values():
            silent = time.monotonic() - camera.last_image > self.value("lost_timeout")
            if silent and self._hri is not None and camera.newest is not None:
                self._hri.forget(camera.name, camera.newest.header)

    def _report(self) -> None:
        model = self._perceiver
        name, device = (model.model_id, model.device) if model is not None else ("", "")
        statuses = self._health.statuses(self._state, name, device, self._cameras.values())
        self._diagnostics.publish(health.array(statuses, self.get_clock().now().to_msg()))
