# SPDX-License-Identifier: Apache-2.0
"""The perception node: camera images in, head poses, TF frames and an annotated image out.

A lifecycle node: configure loads the weights, activate subscribes and starts a worker thread,
deactivate stops it, cleanup frees the weights. Callbacks only keep the newest image; the worker
answers it.

    python -m hpe_vlm_ros.nodes.perception --ros-args --params-file config/perception.yaml \
        -p autostart:=true
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.clock import ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hpe_vlm_ros.drawing import draw_heads
from hpe_vlm_ros.msg import HeadPoseArray
from hpe_vlm_ros.nodes import images, messages, parameters
from hpe_vlm_ros.nodes.qos import output_qos, overridable, sensor_qos
from hpe_vlm_ros.nodes.worker import Complaints, NewestOnly

AnyImage: TypeAlias = "Image | CompressedImage"
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
STOP_TIMEOUT = 3.0  # seconds; a launch system waits 5 before it insists


class PerceptionNode(LifecycleNode):
    """Turns the images of one camera into head poses; parameters: `parameters.SPECIFICATIONS`."""

    def __init__(self) -> None:
        super().__init__("perception")
        self._perceiver: Any = None
        self._worker: NewestOnly[AnyImage] | None = None
        self._camera_info: CameraInfo | None = None
        self._complain = self._new_complaints()
        self._outputs: list[Any] = []
        self._inputs: list[Any] = []
        self.add_on_set_parameters_callback(self._on_parameters)
        parameters.declare(self)

    def value(self, name: str) -> Any:
        """The present value of a parameter."""
        return self.get_parameter(name).value

    def _new_complaints(self) -> Complaints:
        return Complaints(lambda text: self.get_logger().warning(text))

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        loaded = self._attempt("configured", self._load, self._release)
        return super().on_configure(state) if loaded else FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        listening = self._attempt("activated", self._listen, self.stop)
        return super().on_activate(state) if listening else FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_error(state)

    def _attempt(self, what: str, do: Callable[[], None], undo: Callable[[], object]) -> bool:
        """Whether it worked; if not, says why, which rclpy would keep to itself."""
        try:
            do()
            return True
        except Exception as error:
            remedy = f": install this package's requirements.txt for {sys.executable}"
            hint = remedy if isinstance(error, ImportError) else ""
            self.get_logger().error(f"not {what}: {error}{hint}")
            undo()
            return False

    def _load(self) -> None:
        from hpe_vlm_ros.perceiver import HeadPerceiver  # imports torch: seconds, so only now

        started = time.monotonic()
        self._perceiver = HeadPerceiver.load(
            self.value("model") or None, self.value("device") or None
        )
        self._poses = self._output(HeadPoseArray, "~/head_poses", 5)
        self._annotated = self._output(Image, "~/image_annotated", 1)
        self._transforms = self._output(TFMessage, "/tf", 100)
        self.get_logger().info(
            f"loaded {self._perceiver.model_id} on {self._perceiver.device} "
            f"in {time.monotonic() - started:.1f} s"
        )

    def _listen(self) -> None:
        values = {s.name: self.value(s.name) for s in parameters.SPECIFICATIONS}
        compressed = values["image_transport"] == "compressed"
        self._camera_info, self._complain = None, self._new_complaints()
        self._worker = NewestOnly(self._answer, self._on_failure, self._min_period)
        topic, info_topic = parameters.image_topic(values), parameters.camera_info_topic(values)
        self._input(CompressedImage if compressed else Image, topic, self._on_image)
        self._input(CameraInfo, info_topic, self._on_camera_info)
        self.get_logger().info(
            f"waiting for images on {self.resolve_topic_name(topic)}, "
            f"camera_info on {self.resolve_topic_name(info_topic)}"
        )

    def stop(self, timeout: float | None = None) -> bool:
        """No more images; whether the one in work ended within `timeout` seconds."""
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs.clear()
        worker, self._worker = self._worker, None
        return worker is None or worker.stop(timeout)

    def _release(self) -> None:
        self.stop()
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()
        self._perceiver = None
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _output(self, kind: Any, topic: str, depth: int) -> Any:
        publisher = self.create_lifecycle_publisher(kind, topic, output_qos(depth))
        self._outputs.append(publisher)
        return publisher

    def _input(self, kind: Any, topic: str, callback: Any) -> None:
        self._inputs.append(
            self.create_subscription(
                kind, topic, callback, sensor_qos(), qos_overriding_options=overridable()
            )
        )

    # Callbacks: they never wait

    def _on_parameters(self, changed: list[Parameter]) -> Any:
        return parameters.check_change(changed, configured=self._perceiver is not None)

    def _on_camera_info(self, info: CameraInfo) -> None:
        self._camera_info = info

    def _on_image(self, message: AnyImage) -> None:
        if self._worker is None:
            return
        try:
            self._check_age(message)
        except images.ImageError as error:
            self._on_failure(error)
        else:
            self._worker.put(message)

    def _check_age(self, message: AnyImage) -> None:
        limit = self.value("max_age")
        stamp = Time.from_msg(message.header.stamp, clock_type=ClockType.ROS_TIME)
        age = (self.get_clock().now() - stamp).nanoseconds / 1e9
        if limit and age > limit:
            raise images.ImageError(
                "stale",
                f"its stamp is {age:.1f} s old, max_age is {limit:g} s. Check the camera's clock; "
                "when playing a bag, use its clock (use_sim_time) or set max_age to 0",
            )

    # The worker thread

    def _min_period(self) -> float:
        rate = self.value("max_rate")
        return 1.0 / rate if rate else 0.0

    def _on_failure(self, error: Exception) -> None:
        worker = self._worker
        if worker is None or not self.context.ok():
            return  # stopped in the midst of an answer
        worker.drop()
        if isinstance(error, images.ImageError):
            self._complain(error.kind, f"image dropped: {error}")
        else:
            self._complain(type(error).__name__, f"image dropped: {error!r}")

    def _answer(self, message: AnyImage) -> None:
        self._check_age(message)  # again: it may have waited for the one before
        rgb = images.to_rgb(message)
        height, width, _ = rgb.shape
        if height * width > images.LARGE:
            self._complain(
                "large",
                f"image of {width}x{height} pixels: answered, but slowly, and it is shrunk for the "
                "model anyway; lower the camera's resolution",
            )
        self._perceiver.max_heads = self.value("max_heads")
        started = time.monotonic()
        heads = self._perceiver(rgb)  # from left to right
        latency = time.monotonic() - started
        worker = self._worker
        if worker is not None and not worker.stopping:
            self._publish(message.header, rgb, heads, latency, worker.take_dropped())

    def _publish(
        self, header: Header, rgb: Any, heads: list[Any], latency: float, dropped: int
    ) -> None:
        height, width, _ = rgb.shape
        try:
            camera = messages.intrinsics(self._camera_info, width, height)
        except ValueError as error:
            camera = None
            self._complain("camera_info", str(error))
        shape, angle = self._perceiver.head_shape, self.value("looking_angle")
        poses = [messages.head_pose(head, header, camera, shape, angle) for head in heads]
        seconds = int(latency)
        self._poses.publish(
            HeadPoseArray(
                header=header,
                heads=poses,
                inference_latency=Duration(sec=seconds, nanosec=int((latency - seconds) * 1e9)),
                dropped_frames=dropped,
                model_id=self._perceiver.model_id,
            )
        )
        if poses and self.value("publish_tf"):
            if header.frame_id:
                frames = messages.head_transforms(heads, poses, header, width, height)
                self._transforms.publish(TFMessage(transforms=list(frames)))
            else:
                self._complain("frame", "the image names no frame_id, so no TF: set the camera's")
        if self._annotated.get_subscription_count():
            self._annotated.publish(images.rgb_to_image(draw_heads(rgb, heads), header))


def spin(node: PerceptionNode) -> None:
    """Serves the node until its context is shut down."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:  # rclpy raises through here for a transition that does not exist
            if node.context.ok():
                node.get_logger().error(f"request refused: {error}")


def main(args: list[str] | None = None) -> int:
    """Runs the node until Ctrl-C or SIGTERM; the exit status."""
    # A terminal and a launch system both send SIGINT. rclpy's own handler, which rclpy.init sets,
    # shuts the context down; a KeyboardInterrupt on top would only leave a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init(args=args)
    try:
        node = PerceptionNode()
    except (ParameterException, ValueError) as error:
        print(f"perception: a parameter does not fit: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        if node.value("autostart") and node.trigger_configure() == SUCCESS:
            node.trigger_activate()
        spin(node)
    except Exception:
        if node.context.ok():
            raise
    if not node.stop(STOP_TIMEOUT):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # an answer is still being made; nobody waits for it, so neither do we
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
