# SPDX-License-Identifier: Apache-2.0
"""Rosbag2 recordings as streams of raw messages, as their data files hold them."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from .data_files import ZSTD, DataFiles, added
from .frames import ReplayError
from .scanned_mcap import ScannedMcap

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
HEADS = "hpe_vlm_ros/msg/HeadPoseArray"
SHARE = Path("share") / "hpe_vlm_ros"
_UNTYPED = ("", "__schemaless__")  # the latter is what rosbags calls it


class Broken(ReplayError):
    """Broken within; opened as `damaged`, the bag gives what is left."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag, of one type; count as the data files say, None where they do not."""

    name: str
    kind: str
    count: int | None


class Bag:
    """An open bag: its topics and raw messages in the order of recording.

    damaged: MCAP files are read as far as they go. `notes` say what was amiss; losses are
    complete only after all messages were read once. `foreign` names the topics that are not of
    ROS 2, with their formats. ReplayError when nothing can be read.
    """

    def __init__(self, path: Path, damaged: bool = False) -> None:
        self.path = path
        self._files = DataFiles.open(path, damaged)
        self.notes = self._files.notes
        connections = [c for reader in self._files.readers for c in reader.connections]
        ours = [c for c in connections if _is_ros2(c)]
        self.topics = _topics(ours)
        self.types = typestore(ours)
        self.foreign = sorted({_described(c) for c in connections if not _is_ros2(c)})
        if not ours and any(c.ext.serialization_format == "ros1" for c in connections):
            raise ReplayError(
                f"{path}: an MCAP file of ROS 1, which is not read; give the .bag file that it was "
                "made of, or what `rosbags-convert --src FILE.bag --dst FOLDER` makes of that"
            )

    def messages(
        self, topics: Collection[Topic], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Topic, int, bytes]]:
        """Topic, time of recording (ns) and bytes; only those in [start, stop) ns.

        A file that is broken within is read as far as it goes, and so are those after it; then a
        ReplayError says so. Where rescuing gives more, it is `Broken` and comes at once.
        """
        wanted = {(topic.name, topic.kind): topic for topic in topics}
        errors = []
        for reader in self._files.readers:
            chosen = [
                c for c in reader.connections if (c.topic, c.msgtype) in wanted and _is_ros2(c)
            ]
            if not chosen:
                continue
            try:
                for connection, recorded, data in reader.messages(chosen, start, stop):
                    if data[:4] == ZSTD:  # compressed one by one
                        data = zstd.decompress(data)
                    yield wanted[connection.topic, connection.msgtype], recorded, data
            except Exception as error:  # broken files fail in more ways than can be listed
                message = f"{self.path}: {reader.path.name} is broken within ({_reason(error)})"
                if isinstance(reader, Reader):
                    raise Broken(message) from error
                errors.append(message)
        if errors:
            raise ReplayError("; ".join(errors))

    def decode(self, data: bytes, kind: str) -> Any:
        """The message; ReplayError when the bytes do not make one."""
        try:
            return self.types.deserialize_cdr(data, kind)
        except Exception as error:
            raise ReplayError(
                f"{self.path}: a message of {kind} cannot be decoded ({_reason(error)})"
            ) from error

    def losses(self) -> list[str]:
        """What damaged files have lost; complete after all messages were read."""
        readers = [r for r in self._files.readers if isinstance(r, ScannedMcap)]
        return [note for reader in readers for note in reader.losses()]

    def close(self) -> None:
        self._files.close()


@lru_cache(maxsize=2)
def shared_bag(path: str, damaged: bool) -> Bag:
    """An open bag that this process keeps for its next slice."""
    return Bag(Path(path), damaged)


def typestore(connections: Sequence[Connection] = ()) -> Typestore:
    """ROS 2's types, and this package's as the bag defines them or else as they are today.

    Other types in the bag are left alone: nobody reads them, and odd definitions do no harm.
    """
    own = [c.msgdef.data for c in connections if c.msgtype == HEADS and _defined(c)]
    return _typestore(own[0] if own else None)


@lru_cache(maxsize=8)  # making one takes longer than reading a short bag
def _typestore(own: str | None) -> Typestore:
    store = get_typestore(Stores.ROS2_HUMBLE)
    if own is not None:
        store.register(get_types_from_msg(own, HEADS))
        return store
    for file in sorted(messages_folder().glob("*.msg")):
        name = f"hpe_vlm_ros/msg/{file.stem}"
        store.register(get_types_from_msg(file.read_text(encoding="utf-8"), name))
    return store


def messages_folder() -> Path:
    """The folder of this package's .msg files: in the source tree or where an install put it."""
    here = Path(__file__).resolve()
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    places = [here.parents[2] / "msg"]
    places += [Path(p) / SHARE / "msg" for p in [*map(str, here.parents), *prefixes] if p]
    for place in places:
        if (place / "HeadPoseArray.msg").is_file():
            return place
    raise ReplayError(f"HeadPoseArray.msg is not in {places[0]}: install this package again")


def _is_ros2(connection: Any) -> bool:
    """Mixed MCAP files hold topics of other formats too, and some of none."""
    return connection.ext.serialization_format == "cdr" and connection.msgtype not in _UNTYPED


def _described(connection: Any) -> str:
    kind = "" if connection.msgtype in _UNTYPED else f" {connection.msgtype}"
    return f"{connection.topic} ({connection.ext.serialization_format}{kind})"


def _topics(connections: Sequence[Any]) -> list[Topic]:
    """One for each name and type."""
    counts: dict[tuple[str, str], int | None] = {}
    for c in connections:
        key = c.topic, c.msgtype
        counts[key] = added(counts.get(key, 0), c.msgcount)
    return [Topic(*key, counts[key]) for key in sorted(counts)]


def _defined(connection: Connection) -> bool:
    """Recorders that cannot find a definition leave it empty."""
    definition = connection.msgdef
    return definition.format == MessageDefinitionFormat.MSG and bool(definition.data.strip())


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
