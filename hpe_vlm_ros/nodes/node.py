# SPDX-License-Identifier: Apache-2.0
"""The perception node: camera images in; people, their TF frames and what they look at out.

A lifecycle node: configure loads the weights, activate starts a `Stream`, deactivate stops it,
cleanup frees the weights. All of ROS is done in the executor's thread; a worker gets the newest
image of each camera and hands back what the model answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from hpe_vlm_ros.mirror import mirror_choice
from hpe_vlm_ros.nodes import health, inference, parameters
from hpe_vlm_ros.nodes.cameras import Camera
from hpe_vlm_ros.nodes.outputs import Outputs
from hpe_vlm_ros.nodes.qos import no_events, output_qos
from hpe_vlm_ros.nodes.query import Queries
from hpe_vlm_ros.nodes.stream import Stream
from hpe_vlm_ros.nodes.worker import ThrottledWarnings
from hpe_vlm_ros.people import bodies
from hpe_vlm_ros.people.tracking import Ids
from hpe_vlm_ros.requirements import remedy

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
STOP_TIMEOUT = 1.5  # seconds for the image in work to be finished; it is given up then
SHUTDOWN_GRACE_S = 0.3  # seconds for the last words to other nodes to leave


class PerceptionNode(LifecycleNode):
    """Turns the images of cameras into people; parameters: `specifications.SPECIFICATIONS`."""

    def __init__(self) -> None:
        super().__init__("perception")
        self._perceiver: Any = None
        self._stream: Stream | None = None
        self._queries: Queries | None = None
        self._cameras: dict[str, Camera] = {}
        self._outputs: dict[str, Outputs] = {}
        self._ids = Ids()  # for the node's life: no id is given twice
        self._complain = self._new_warnings()
        self._health = health.Health(self.get_fully_qualified_name())
        self._state = "unconfigured"
        self.add_on_set_parameters_callback(self._on_parameters)
        parameters.declare(self)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", output_qos(5), event_callbacks=no_events()
        )
        # Of their own clock: simulated time may stand still.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._report, clock=self._steady)
        self.create_timer(0.25, self._watch, clock=self._steady)

    def value(self, name: str) -> Any:
        """The present value of a parameter."""
        return self.get_parameter(name).value

    def _new_warnings(self) -> ThrottledWarnings:
        return ThrottledWarnings(lambda text: self.get_logger().warning(text))

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the model and makes topics and the action; FAILURE, with the reason in the log and
        the diagnostics, where that cannot be done."""
        loaded = self._attempt("configured", self._load, self._release)
        self._state = "inactive" if loaded else "unconfigured"
        return super().on_configure(state) if loaded else FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes to the cameras and starts the model's thread; FAILURE as in `on_configure`."""
        listening = self._attempt("activated", self._listen, self.stop)
        self._state = "active" if listening else "inactive"
        return super().on_activate(state) if listening else FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the subscriptions and waits STOP_TIMEOUT seconds at most for the image in work."""
        self.stop(STOP_TIMEOUT)
        inference.free_memory()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the model and everything that is published."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything and, SHUTDOWN_GRACE_S seconds later, ends the program."""
        self._release()
        self._state = "finalized"
        # No transition leads out of this state: the program ends, once the answer is on its way.
        self.create_timer(SHUTDOWN_GRACE_S, self.context.try_shutdown, clock=self._steady)
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything after a transition that raised."""
        self._release()
        return super().on_error(state)

    def _attempt(self, what: str, do: Callable[[], None], undo: Callable[[], object]) -> bool:
        """Whether it worked; if not, says why, which rclpy would keep to itself."""
        try:
            do()
            self._health.recovered()
            return True
        except Exception as error:
            why = remedy(error) if isinstance(error, ImportError) else error
            text = f"not {what}: {why}"
            self._health.failed(text)
            self.get_logger().error(text)
            undo()
            return False

    def _load(self) -> None:
        from hpe_vlm_ros.people.gestures.asking import judge_of
        from hpe_vlm_ros.perceiver import HeadPerceiver  # may import torch: only now

        started = time.monotonic()
        self._perceiver = HeadPerceiver.load(
            self.value("model") or None,
            self.value("device") or None,
            backend=self.value("backend"),
            threads=self.value("threads") or None,
            quantization=self.value("quantization"),
            mirror=mirror_choice(self.value("mirror")),
            refine=self.value("refine"),
            download=self.value("download"),
            adapter=self.value("adapter") or None,
        )
        if self.value("detector"):
            from hpe_vlm_ros.two_models import TwoModels

            finding = {
                "mirror": mirror_choice(self.value("mirror")),
                "refine": self.value("refine"),
            }
            self._perceiver = TwoModels.load(self.value("detector"), self._perceiver, **finding)
        values = parameters.read(self)
        if values["skeletons"] != bodies.NOBODY:
            bodies.check_learnt(self._perceiver)
        self._ids.prefix = parameters.id_prefix(values, self.get_namespace())
        judge = judge_of(self._perceiver) if values["gestures"] else None
        for name in values["cameras"] or ("",):
            self._cameras[name] = Camera(self, name, values, self._ids, self._say, judge)
            self._outputs[name] = Outputs(self, name, values)
        self._queries = Queries(self, self._perceiver.free_text)
        self.get_logger().info(
            f"loaded {self._perceiver.model_id} on {self._perceiver.device} "
            f"in {time.monotonic() - started:.1f} s"
        )
        if facts := self._perceiver.facts():
            self.get_logger().info("; ".join(f"{name}: {fact}" for name, fact in facts.items()))
        if warning := self._perceiver.warning():
            self.get_logger().warning(warning)

    def _listen(self) -> None:
        assert self._queries is not None  # since configure
        self._complain = self._new_warnings()
        self._stream = Stream(
            self,
            self._perceiver,
            self._cameras,
            self._outputs,
            self._health,
            self._queries,
            self._say,
        )
        for camera in self._cameras.values():
            self.get_logger().info(
                f"waiting for images on {self.resolve_topic_name(camera.topic)}, "
                f"camera_info on {self.resolve_topic_name(camera.info_topic)}"
            )

    def stop(self, timeout: float | None = None) -> bool:
        """No more images; whether the one in work ended within `timeout` seconds."""
        stream, self._stream = self._stream, None
        return stream is None or stream.stop(timeout)

    def destroy_node(self) -> None:
        """Leaves the graph, also when a model that hangs keeps this object alive."""
        self._close()
        super().destroy_node()
        self.__dict__.pop("_state_machine", None)  # rclpy's, which holds the node in the graph

    def _release(self) -> None:
        self._close()
        inference.free_memory()

    def _close(self) -> None:
        self.stop(STOP_TIMEOUT)
        for outputs in self._outputs.values():
            outputs.close()
        self._outputs.clear()
        if self._queries is not None:
            self._queries.destroy()
            self._queries = None
        self._cameras.clear()
        self._perceiver = None
        self._state = "unconfigured"

    # Callbacks: they never wait

    def _on_parameters(self, changed: list[Parameter]) -> Any:
        return parameters.check_change(changed, configured=self._perceiver is not None)

    def _say(self, kind: str, text: str) -> None:
        self._complain(kind, text)

    # Timers

    def _watch(self) -> None:
        """Gives up a model that hangs."""
        if self._stream is None:
            return
        if not self._stream.hangs():
            self._stream.on_timer()
            return
        limit = self.value("inference_timeout")
        text = f"the model has not answered an image in inference_timeout ({limit:g} s)"
        self.get_logger().error(f"{text}: going to inactive; activate tries again")
        self.trigger_deactivate()
        self._health.failed(text)

    def _report(self) -> None:
        period = 1.0 / rate if (rate := self.value("max_rate")) else 0.0
        cameras = list(self._cameras.values())
        statuses = self._health.statuses(self._state, self._perceiver, cameras, period)
        self._diagnostics.publish(health.array(statuses, self.get_clock().now().to_msg()))
