# SPDX-License-Identifier: Apache-2.0
"""The parameters of `specifications` as a node declares, checks and reads them."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from hpe_vlm_ros.camera_model import RECTIFIED
from hpe_vlm_ros.mirror import WISHES
from hpe_vlm_ros.nodes.specifications import SPECIFICATIONS, TRANSPORTS, Specification
from hpe_vlm_ros.tracking import Settings

__all__ = ["SPECIFICATIONS", "TRANSPORTS", "Specification"]

_CHOICES: dict[str, tuple[Any, ...]] = {
    "image_transport": TRANSPORTS,
    "mirror": tuple(WISHES),
    "rectified": RECTIFIED,
}
_BY_NAME = {specification.name: specification for specification in SPECIFICATIONS}
Values = dict[str, Any]


def descriptor(specification: Specification) -> ParameterDescriptor:
    result = ParameterDescriptor(description=specification.description)
    if specification.limits and isinstance(specification.default, float):
        low, high = specification.limits
        result.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif specification.limits:
        low, high = (int(limit) for limit in specification.limits)
        result.integer_range = [
            IntegerRange(from_value=low, to_value=high, step=specification.step)
        ]
    # YAML makes booleans of some words
    words = _CHOICES.get(specification.name, ())
    result.dynamic_typing = any(isinstance(word, bool) for word in words)
    if not specification.live:
        result.additional_constraints = "Read in configure; to change it, clean up first."
    return result


def declare(node: Node) -> None:
    """Declares every parameter; ParameterException or the like when an override does not fit."""
    for specification in SPECIFICATIONS:
        default = specification.default
        value = list(default) if isinstance(default, tuple) else default
        node.declare_parameter(specification.name, value, descriptor(specification))


def read(node: Node) -> Values:
    """All present values; of a list, the entries that are not empty."""
    values: Values = {}
    for specification in SPECIFICATIONS:
        value = node.get_parameter(specification.name).value
        if isinstance(specification.default, tuple):
            value = tuple(entry for entry in value if entry)
        values[specification.name] = value
    return values


def check_change(parameters: list[Parameter], configured: bool) -> SetParametersResult:
    """Whether these values may be set now; the reason names the remedy."""
    for parameter in parameters:
        choices = _CHOICES.get(parameter.name)
        if choices and parameter.value not in choices:
            return _refuse(
                f"{parameter.name} is '{parameter.value}': use {' or '.join(map(str, choices))}"
            )
        known = _BY_NAME.get(parameter.name)
        if known and not known.live and configured:
            return _refuse(f"{known.name} is read in configure: deactivate and clean up first")
    return SetParametersResult(successful=True)


def tracking_settings(values: Values) -> Settings:
    return Settings(
        birth_frames=values["birth_frames"],
        birth_score=values["birth_score"],
        timeout=values["lost_timeout"],
        stale_after=values["stale_after"],
        pose_weight=values["pose_weight"],
        colour_weight=values["colour_weight"],
        rotation_noise=values["rotation_noise"],
        rotation_bias=values["rotation_bias"],
        turn_speed=values["turn_speed"],
    )


def image_topic(values: Values, camera: str = "") -> str:
    """The topic to subscribe to for the chosen transport."""
    topic = _of(camera, str(values["image_topic"]).removesuffix("/compressed"))
    return f"{topic}/compressed" if values["image_transport"] == "compressed" else topic


def camera_info_topic(values: Values, camera: str = "") -> str:
    """The calibration's topic: as given, else camera_info beside the image topic."""
    if values["camera_info_topic"]:
        return _of(camera, str(values["camera_info_topic"]))
    folder, slash, _ = str(values["image_topic"]).removesuffix("/compressed").rpartition("/")
    return _of(camera, f"{folder}{slash}camera_info")


def depth_topic(values: Values, camera: str = "") -> str:
    """The depth image's topic, or "" for none."""
    return _of(camera, str(values["depth_topic"])) if values["depth_topic"] else ""


def _of(camera: str, topic: str) -> str:
    """A topic of one of several cameras; absolute ones would be the same for all."""
    return f"{camera}/{topic.lstrip('/')}" if camera else topic


def _refuse(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)
