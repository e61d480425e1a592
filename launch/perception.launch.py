# SPDX-License-Identifier: Apache-2.0
"""Starts the perception node and takes it to active.

    ros2 launch hpe_vlm_ros perception.launch.py image_topic:=/camera/image_raw

`--show-args` lists every argument. An argument left empty leaves the value of params_file in force.
"""

from pathlib import Path
from typing import List  # noqa: UP035, launch compares with exactly this

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from hpe_vlm_ros.nodes.parameters import SPECIFICATIONS, TRANSPORTS, Specification

# Beside this folder both in an install's share/ and in the source tree.
PARAMS_FILE = Path(__file__).resolve().parents[1] / "config" / "perception.yaml"
SWITCH = ["true", "false"]

# autostart is launch's own: it drives the node from outside.
OVERRIDES = tuple(s for s in SPECIFICATIONS if s.name != "autostart")


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*launch_arguments(), OpaqueFunction(function=start)])


def launch_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            "params_file", default_value=str(PARAMS_FILE), description="YAML file of parameters."
        ),
        *(override_argument(specification) for specification in OVERRIDES),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="",
            description="Take the time from /clock, as when a bag plays. Empty: as in params_file.",
            choices=["", *SWITCH],
        ),
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the node and its topics."
        ),
        DeclareLaunchArgument(
            "name", default_value="perception", description="Name of the node, before its topics."
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="true",
            description="Configure and activate the node at once; false: wait for "
            "`ros2 lifecycle set`.",
            choices=SWITCH,
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            description="Least severe messages to print.",
            choices=["debug", "info", "warn", "error", "fatal"],
        ),
    ]


def override_argument(specification: Specification) -> DeclareLaunchArgument:
    choices = None
    separated = " Separated by commas." if isinstance(specification.default, tuple) else ""
    if specification.name == "image_transport":
        choices = ["", *TRANSPORTS]
    elif isinstance(specification.default, bool):
        choices = ["", *SWITCH]
    return DeclareLaunchArgument(
        specification.name,
        default_value="",
        description=f"{specification.description}{separated} Left out: as in params_file.",
        choices=choices,
    )


def start(context: LaunchContext) -> list[Action]:
    """The node with the parameters given, and its way to active if asked for."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    values = {s.name: typed(s, given(s.name)) for s in OVERRIDES if given(s.name)}
    if given("use_sim_time"):
        values["use_sim_time"] = given("use_sim_time") == "true"
    # Whatever params_file says: two drivers would get into each other's way.
    values["autostart"] = False
    node = LifecycleNode(
        package="hpe_vlm_ros",
        executable="perception",
        name=given("name"),
        namespace=given("namespace"),
        parameters=[given("params_file"), values],
        arguments=["--ros-args", "--log-level", given("log_level")],
        output="screen",
    )
    if given("autostart") != "true":
        return [node]
    # The handler comes first, so that it cannot miss the transition it waits for.
    return [activate_when_configured(node), node, request(node, Transition.TRANSITION_CONFIGURE)]


def typed(specification: Specification, text: str) -> ParameterValue | bool | int | float:
    """The argument's value in its parameter's type: ROS turns no 5 into a 5.0, nor launch a 5
    into a "5"."""
    kind = type(specification.default)
    if kind is tuple:  # front,rear
        return ParameterValue(f"[{text}]", value_type=List[str])  # noqa: UP006
    if kind is str:
        return ParameterValue(text, value_type=str)
    if kind is bool:
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{specification.name}:={text} must be of type {kind.__name__}") from None


def activate_when_configured(node: LifecycleNode) -> RegisterEventHandler:
    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state="configuring",  # not after a later deactivate
            goal_state="inactive",
            entities=[request(node, Transition.TRANSITION_ACTIVATE)],
        )
    )


def request(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
    )
