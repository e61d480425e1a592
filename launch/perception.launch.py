# SPDX-License-Identifier: Apache-2.0
"""Starts the perception node, which takes itself to active.

    ros2 launch hpe_vlm_ros perception.launch.py image_topic:=/camera/image_raw

`--show-args` lists every argument. One that is left out leaves the value in force that params_file
or an including launch file (SetParameter) gives, else the parameter's default.

The node is not driven through its services: launch would wait for those of a process that has died
for ever, and anew at each respawn.
"""

from pathlib import Path
from typing import Callable, List  # noqa: UP035, launch compares with exactly this

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.parameter_descriptions import ParameterValue

from hpe_vlm_ros.nodes.specifications import SPECIFICATIONS, TRANSPORTS, Specification

SWITCH = ["true", "false"]
RESPAWN_DELAY = 2.0  # seconds
ACTIVE = b"waiting for images on"  # what the node says then

# autostart has another default here.
OVERRIDES = tuple(s for s in SPECIFICATIONS if s.name != "autostart")


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*launch_arguments(), OpaqueFunction(function=start)])


def launch_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            "params_file",
            default_value="",
            description="YAML file of parameters, such as config/perception.yaml. Left out: none.",
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
            "respawn",
            default_value="false",
            description="Start the node again whenever its process has ended, with everything "
            "that autostart does; false: launch ends, as failed, if that is before it is active.",
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
    """The node with the parameters given, and a watch over its way to active."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    values = {s.name: typed(s, given(s.name)) for s in OVERRIDES if given(s.name)}
    if given("use_sim_time"):
        values["use_sim_time"] = given("use_sim_time") == "true"
    values["autostart"] = given("autostart") == "true"  # whatever params_file says
    files = [parameter_file(given("params_file"))] if given("params_file") else []
    respawn = given("respawn") == "true"
    been_active: list[bool] = []
    node = LifecycleNode(
        package="hpe_vlm_ros",
        executable="perception",
        name=given("name"),
        namespace=given("namespace"),
        parameters=[*files, values],
        arguments=["--ros-args", "--log-level", given("log_level")],
        output="screen",
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY,
        on_exit=None if respawn else end_if_too_soon(been_active, bool(values["autostart"])),
    )
    # The handlers come first, so that they cannot miss what they wait for.
    return [*when_active(node, been_active), node]


def parameter_file(text: str) -> str:
    """Its path; launch_ros only warns of a file that is missing, and the node would then not start,
    or start with its defaults."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"params_file:={text} is no file: name a YAML file of parameters")
    return str(path)


def end_if_too_soon(
    been_active: list[bool], wanted: bool
) -> Callable[[ProcessExited, LaunchContext], None]:
    """Ends launch with a status other than 0 when the node's process has ended before it was active
    (`wanted`: it was on its way there). An error in a handler is launch's only way to do so."""

    def ended(event: ProcessExited, context: LaunchContext) -> None:
        if context.is_shutdown or been_active or not (wanted or event.returncode):
            return
        raise RuntimeError(
            f"the perception node ended (status {event.returncode}) before it was active; "
            "what it said is above"
        )

    return ended


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


def when_active(node: LifecycleNode, been_active: list[bool]) -> list[RegisterEventHandler]:
    """Notes that the node is active. By its transition, which is not heard where it comes before
    the two have found each other, or by its own words, which it may be told to keep to itself."""

    def heard(event: ProcessIO) -> None:
        if ACTIVE in event.text:
            been_active.append(True)

    def told(context: LaunchContext) -> None:
        been_active.append(True)

    handlers = [
        OnProcessIO(target_action=node, on_stdout=heard, on_stderr=heard),
        OnStateTransition(
            target_lifecycle_node=node,
            goal_state="active",
            entities=[OpaqueFunction(function=told)],
        ),
    ]
    return [RegisterEventHandler(handler) for handler in handlers]
