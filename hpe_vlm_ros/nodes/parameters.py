# SPDX-License-Identifier: Apache-2.0
"""The parameters of `specifications` as a node declares, checks and reads them."""

from __future__ import annotations

import re
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from hpe_vlm_ros.camera_model import RECTIFIED, info_topic_beside
from hpe_vlm_ros.mirror import mirror_choice
from hpe_vlm_ros.nodes.specifications import SPECIFICATIONS, TRANSPORTS, Specification
from hpe_vlm_ros.people.bodies import CHOICES
from hpe_vlm_ros.people.tracking import Settings

__all__ = ["SPECIFICATIONS", "TRANSPORTS", "Specification"]

BY_NAMESPACE = "auto"
"""The id_prefix that is the last part of the node's namespace."""
PREFIX = re.compile(r"([A-Za-z](_?[A-Za-z0-9])*)?")  # of a part of a topic's name
LONGEST_PREFIX = 64  # it becomes a part of names of frames and topics, which have a limit
_CHOICES: dict[str, tuple[Any, ...]] = {
    "image_transport": TRANSPORTS,
    "rectified": RECTIFIED,
    "skeletons": CHOICES,
}
_LOOSE = ("mirror", "rectified")  # of words and booleans
_BY_NAME = {specification.name: specification for specification in SPECIFICATIONS}
Values = dict[str, Any]


def descriptor(specification: Specification) -> ParameterDescriptor:
    """Description, range and type as ROS shows and checks them."""
    # YAML's [] and on are of types of their own; what may be is up to check_change.
    result = ParameterDescriptor(
        description=specification.description, dynamic_typing=_is_loose(specification)
    )
    if specification.limits and isinstance(specification.default, float):
        low, high = specification.limits
        result.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif specification.limits:
        low, high = (int(limit) for limit in specification.limits)
        result.integer_range = [
            IntegerRange(from_value=low, to_value=high, step=specification.step)
        ]
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
        known = _BY_NAME.get(parameter.name)
        if known is None:
            continue
        if problem := _problem(known, parameter.value):
            return _refuse(f"{known.name} is {parameter.value!r}: {problem}")
        if not known.live and configured:
            return _refuse(f"{known.name} is read in configure: deactivate and clean up first")
    return SetParametersResult(successful=True)


def _is_loose(specification: Specification) -> bool:
    return specification.name in _LOOSE or isinstance(specification.default, tuple)


def _problem(specification: Specification, value: Any) -> str:
    """What to give instead of a value; "" for one that ROS itself has checked."""
    if specification.name == "mirror":
        try:
            mirror_choice(value)
        except ValueError as error:
            return str(error)
    elif isinstance(specification.default, tuple):
        listed = hasattr(value, "__iter__") and not isinstance(value, str)  # arrays as well
        if not listed or not all(isinstance(entry, str) for entry in value):
            return 'give a list of names, such as ["one", "other"]'
    elif choices := _CHOICES.get(specification.name):
        if not isinstance(value, str | bool) or value not in choices:
            return f"use {' or '.join(choice for choice in choices if isinstance(choice, str))}"
    elif specification.name == "id_prefix" and not _is_prefix(value):
        return (
            "it becomes part of names of topics and frames: use letters, digits and single "
            f"underscores between them, a letter first, {LONGEST_PREFIX} in all"
        )
    return ""


def _is_prefix(text: str) -> bool:
    return len(text) <= LONGEST_PREFIX and PREFIX.fullmatch(text) is not None


def id_prefix(values: Values, namespace: str) -> str:
    """What ids begin with: as given, else the last part of the node's namespace, as far as it can
    be part of a topic's name within another."""
    if values["id_prefix"] != BY_NAMESPACE:
        return str(values["id_prefix"])
    last = re.sub("_+", "_", namespace.rpartition("/")[2])
    return last.strip("_")[:LONGEST_PREFIX].rstrip("_")


def tracking_settings(values: Values) -> Settings:
    """The tracker's settings from the parameters; what has no parameter keeps its default."""
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
    return _of(camera, info_topic_beside(str(values["image_topic"])))


def depth_topic(values: Values, camera: str = "") -> str:
    """The depth image's topic, or "" for none."""
    return _of(camera, str(values["depth_topic"])) if values["depth_topic"] else ""


def _of(camera: str, topic: str) -> str:
    """A topic of one of several cameras; absolute ones would be the same for all."""
    return f"{camera}/{topic.lstrip('/')}" if camera else topic


def _refuse(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)
