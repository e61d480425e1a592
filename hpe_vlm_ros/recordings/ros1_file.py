# SPDX-License-Identifier: Apache-2.0
"""The .bag files of ROS 1."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.rosbag1 import Reader
from rosbags.typesys import Stores, get_typestore

from .connections import connection
from .frames import ReplayError


class Ros1File:
    """A .bag file whose messages come as ROS 2 has them.

    Has `connections` and `messages` as the readers of rosbag2 files do. ReplayError for a file that
    is damaged or has no index.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._reader = path, Reader(path)
        self._types = get_typestore(Stores.ROS2_HUMBLE)
        try:
            self._reader.open()
        except Exception as error:  # a broken file fails in more ways than can be listed
            why = str(error) or type(error).__name__
            raise ReplayError(
                f"{path}: a recording of ROS 1 that cannot be read ({why}); "
                f"`rosbag reindex {path.name}` may mend it"
            ) from error
        self.start_time, self.end_time = self._reader.start_time, self._reader.end_time
        self._originals = {c.id: c for c in self._reader.connections}
        # of ROS 2's format, whatever the file holds: `messages` converts
        self.connections = [
            connection(c.id, c.topic, c.msgtype, c.msgcount) for c in self._reader.connections
        ]

    def messages(
        self, connections: Collection[Any], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Of these connections, by time of recording (ns), those in [start, stop)."""
        wanted = {connection.id: connection for connection in connections}
        chosen = [self._originals[number] for number in wanted]
        for original, recorded, data in self._reader.messages(chosen, start, stop):
            converted = self._types.ros1_to_cdr(data, original.msgtype)
            yield wanted[original.id], recorded, bytes(converted)

    def close(self) -> None:
        self._reader.close()
