# SPDX-License-Identifier: Apache-2.0
"""Topics of a file as rosbags' own readers have them, for files that those do not read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from .metadata import qos

FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}
UNDEFINED = MessageDefinition(MessageDefinitionFormat.NONE, "")


def definition(encoding: str, text: str) -> MessageDefinition:
    """A type's definition; `encoding` is what MCAP and rosbag2 call its language."""
    return MessageDefinition(FORMATS.get(encoding, MessageDefinitionFormat.NONE), text)


def connection(
    id: int,
    topic: str,
    kind: str,
    count: int,
    defined: MessageDefinition = UNDEFINED,
    serialization: str = "cdr",
    profiles: Any = None,
) -> SimpleNamespace:
    """A topic of one type, with the fields of rosbags' Connection that are read here.

    count: messages. serialization: "cdr" is that of ROS 2. profiles: offered QoS, as the file has
    it.
    """
    ext = SimpleNamespace(serialization_format=serialization, offered_qos_profiles=qos(profiles))
    return SimpleNamespace(
        id=id, topic=topic, msgtype=kind, msgcount=count, msgdef=defined, ext=ext
    )
