# SPDX-License-Identifier: Apache-2.0
"""The perception node's parameters: names, defaults, descriptions and limits, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

TRANSPORTS = ("raw", "compressed")


@dataclass(frozen=True)
class Specification:
    """One parameter. `limits` are inclusive; one that is not `live` is read in configure only."""

    name: str
    default: str | bool | int | float
    description: str
    limits: tuple[float, float] | None = None
    live: bool = True

    def descriptor(self) -> ParameterDescriptor:
        descriptor = ParameterDescriptor(description=self.description)
        if self.limits and isinstance(self.default, float):
            low, high = self.limits
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.limits:
            low, high = (int(limit) for limit in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        if not self.live:
            descriptor.additional_constraints = "Read in configure; to change it, clean up first."
        return descriptor


SPECIFICATIONS = (
    Specification(
        "model",
        "",
        "Folder with the model's weights (config.json, model.safetensors, tokenizer). "
        "Empty: the embedded default that comes with the package.",
        live=False,
    ),
    Specification(
        "device",
        "",
        "Where the model runs: cpu, cuda, cuda:1, mps. Empty: the best there is.",
        live=False,
    ),
    Specification(
        "image_topic",
        "image_raw",
        "Topic of the camera's images, without the /compressed of the compressed transport.",
        live=False,
    ),
    Specification(
        "image_transport",
        "raw",
        "raw: sensor_msgs/Image on image_topic. "
        "compressed: sensor_msgs/CompressedImage on image_topic/compressed.",
        live=False,
    ),
    Specification(
        "camera_info_topic",
        "",
        "Topic of the camera's calibration, from which positions are found. "
        "Empty: camera_info beside image_topic.",
        live=False,
    ),
    Specification(
        "max_rate",
        10.0,
        "Most images answered per second; images between are dropped. 0: as many as possible.",
        (0.0, 1000.0),
    ),
    Specification(
        "max_age",
        1.0,
        "Oldest image that is still answered, in seconds from its stamp to now. 0: any age.",
        (0.0, 3600.0),
    ),
    Specification(
        "max_heads",
        20,
        "Most heads reported per image; each one costs a little time.",
        (1, 100),
    ),
    Specification(
        "publish_tf",
        True,
        "Whether to publish the frames face_<index> and gaze_<index> of each head on /tf.",
    ),
    Specification(
        "looking_angle",
        15.0,
        "A head turned to the camera within this angle, in degrees, has looking_at_robot set.",
        (0.0, 180.0),
    ),
    Specification(
        "autostart",
        False,
        "Whether the node configures and activates itself when it starts. For use without a launch "
        "system; the launch file's argument of this name drives the node from outside instead.",
    ),
)
_BY_NAME = {specification.name: specification for specification in SPECIFICATIONS}


def declare(node: Node) -> None:
    """Declares every parameter; ParameterException or the like when an override does not fit."""
    for specification in SPECIFICATIONS:
        node.declare_parameter(
            specification.name, specification.default, specification.descriptor()
        )


def check_change(parameters: list[Parameter], configured: bool) -> SetParametersResult:
    """Whether these values may be set now; the reason names the remedy."""
    for parameter in parameters:
        if parameter.name == "image_transport" and parameter.value not in TRANSPORTS:
            return _refuse(f"image_transport is '{parameter.value}': use {' or '.join(TRANSPORTS)}")
        known = _BY_NAME.get(parameter.name)
        if known and not known.live and configured:
            return _refuse(f"{known.name} is read in configure: deactivate and clean up first")
    return SetParametersResult(successful=True)


def image_topic(values: dict[str, Any]) -> str:
    """The topic to subscribe to for the chosen transport."""
    topic = str(values["image_topic"]).removesuffix("/compressed")
    return f"{topic}/compressed" if values["image_transport"] == "compressed" else topic


def camera_info_topic(values: dict[str, Any]) -> str:
    """The calibration's topic: as given, else camera_info beside the image topic."""
    folder, slash, _ = str(values["image_topic"]).removesuffix("/compressed").rpartition("/")
    return str(values["camera_info_topic"] or f"{folder}{slash}camera_info")


def _refuse(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)
