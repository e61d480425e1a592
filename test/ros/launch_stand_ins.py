# SPDX-License-Identifier: Apache-2.0
"""What perception.launch.py uses of `launch` and `launch_ros`, for machines without them.

Neither is on PyPI. Each stand-in takes exactly the arguments that the documented class takes from
this launch file, and keeps them; nothing is started. Where the real packages are installed, the
tests use those instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


class LaunchContext:
    def __init__(self) -> None:
        self.launch_configurations: dict[str, str] = {}
        self.is_shutdown = False


class DeclareLaunchArgument:
    def __init__(
        self,
        name: str,
        *,
        default_value: str | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
    ) -> None:
        assert choices is None or default_value in choices, f"{name}: default is no choice"
        self.name, self.default_value, self.choices = name, default_value, choices
        self.description = description or "no description given"


class LaunchConfiguration:
    def __init__(self, variable_name: str) -> None:
        self._name = variable_name

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations[self._name]


class OpaqueFunction:
    def __init__(self, *, function: Callable[[LaunchContext], list[Any]]) -> None:
        self.function = function


class LaunchDescription:
    def __init__(self, initial_entities: list[Any]) -> None:
        self.entities = initial_entities

    def get_launch_arguments(self) -> list[DeclareLaunchArgument]:
        return [e for e in self.entities if isinstance(e, DeclareLaunchArgument)]


class ParameterValue:
    def __init__(self, value: Any, *, value_type: type | None = None) -> None:
        self.value, self.value_type = value, value_type


class LifecycleNode:
    def __init__(
        self,
        *,
        name: str,
        namespace: str,
        package: str,
        executable: str,
        parameters: list[Any],
        arguments: list[str],
        output: str,
        respawn: bool,
        respawn_delay: float,
        on_exit: Callable[[ProcessExited, LaunchContext], None] | None,
    ) -> None:
        self.given = dict(locals())


@dataclass
class ProcessExited:
    returncode: int


@dataclass
class ProcessIO:
    text: bytes


class OnProcessIO:
    def __init__(
        self,
        *,
        target_action: LifecycleNode,
        on_stdout: Callable[[ProcessIO], None],
        on_stderr: Callable[[ProcessIO], None],
    ) -> None:
        self.target, self.on_stdout, self.on_stderr = target_action, on_stdout, on_stderr


class RegisterEventHandler:
    def __init__(self, event_handler: Any) -> None:
        self.event_handler = event_handler


class OnStateTransition:
    def __init__(
        self,
        *,
        target_lifecycle_node: LifecycleNode,
        goal_state: str,
        entities: list[OpaqueFunction],
    ) -> None:
        self.target, self.entities = target_lifecycle_node, entities
        self.goal_state = goal_state


PLACES = {
    "launch": [LaunchContext, LaunchDescription],
    "launch.action": [type("Action", (), {})],
    "launch.actions": [DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler],
    "launch.event_handlers": [OnProcessIO],
    "launch.events": [],
    "launch.events.process": [ProcessExited, ProcessIO],
    "launch.substitutions": [LaunchConfiguration],
    "launch_ros": [],
    "launch_ros.actions": [LifecycleNode],
    "launch_ros.event_handlers": [OnStateTransition],
    "launch_ros.parameter_descriptions": [ParameterValue],
}


def modules() -> dict[str, ModuleType]:
    """The stand-ins under the names of the real modules."""
    made = {}
    for name, contents in PLACES.items():
        made[name] = ModuleType(name)
        for content in contents:
            setattr(made[name], content.__name__, content)
    return made
