# SPDX-License-Identifier: Apache-2.0
"""New rosbag2 folders."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from .bags import typestore

VERSION: Literal[8] = 8  # of rosbag2's metadata: the newest that Humble, Jazzy and later all read
_OF_A_BAG = (".mcap", ".db3", ".yaml")


class BagWriter:
    """Writes messages of any kind into a new rosbag2 with their definitions.

    A bag that lies in `folder`, even half of one, is replaced; FileExistsError when anything else
    does.
    """

    def __init__(
        self,
        folder: Path,
        storage: StoragePlugin = StoragePlugin.MCAP,
        compression: CompressionMode = CompressionMode.NONE,
        version: Literal[8, 9] = VERSION,
    ) -> None:
        if folder.exists():
            if not folder.is_dir() or any(f.suffix not in _OF_A_BAG for f in folder.iterdir()):
                raise FileExistsError(f"{folder} is in the way and not a bag: move it elsewhere")
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.types = typestore()
        self._writer = Writer(folder, version=version, storage_plugin=storage)
        if compression is not CompressionMode.NONE:
            self._writer.set_compression(compression, CompressionFormat.ZSTD)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(self, topic: str, time: int, kind: str, data: bytes | memoryview) -> None:
        """Adds a message that is serialized already, under a time in nanoseconds."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self.types
            )
        self._writer.write(self._connections[topic], time, data)

    def add(self, topic: str, time: int, kind: str, message: Any) -> None:
        """Adds a message of the types of `typestore`."""
        self.write(topic, time, kind, self.types.serialize_cdr(message, kind))
