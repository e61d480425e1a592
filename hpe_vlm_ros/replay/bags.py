# SPDX-License-Identifier: Apache-2.0
"""Rosbag2 recordings as streams of raw messages: whole ones, without metadata, or damaged."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from .frames import ReplayError
from .rescue import RescuedMcap

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
HEADS = "hpe_vlm_ros/msg/HeadPoseArray"
STORAGE = (".mcap", ".db3")
SHARE = Path("share") / "hpe_vlm_ros"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Topic:
    """A topic of a bag; count as the index says, None where it does not."""

    name: str
    kind: str
    count: int | None


class Bag:
    """An open bag: its topics and raw messages in the order of recording.

    rescue: read damaged MCAP files as far as they go. `notes` say what was amiss; losses are
    complete only after all messages were read once. ReplayError when nothing can be read.
    """

    def __init__(self, path: Path, rescue: bool = False) -> None:
        self.path, self.notes = path, list[str]()
        self._unpacked: TemporaryDirectory[str] | None = None
        self._readers = self._open(rescue)
        connections = [c for reader in self._readers for c in reader.connections]
        self.topics = [_topic(name, connections) for name in sorted({c.topic for c in connections})]
        self.types = typestore(connections)

    def messages(
        self, topics: Collection[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Topic, int, bytes]]:
        """Topic, time of recording (ns) and bytes; only those in [start, stop) ns.

        ReplayError when the file is broken within.
        """
        by_name = {topic.name: topic for topic in self.topics}
        for reader in self._readers:
            chosen = [c for c in reader.connections if c.topic in topics]
            if not chosen:
                continue
            try:
                for connection, recorded, data in reader.messages(chosen, start, stop):
                    if data[:4] == _ZSTD:  # compressed one by one, and no metadata to say so
                        data = zstd.decompress(data)
                    yield by_name[connection.topic], recorded, data
            except GeneratorExit:
                raise
            except Exception as error:  # broken files fail in more ways than can be listed
                raise ReplayError(f"{self.path}: broken within ({_reason(error)})") from error

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
        return [note for r in self._readers if isinstance(r, RescuedMcap) for note in r.losses()]

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        if self._unpacked is not None:
            self._unpacked.cleanup()

    def _open(self, rescue: bool) -> list[Any]:
        """The whole folder by its metadata if that will do, else its files one by one."""
        if not self.path.is_dir() or rescue:
            return self._parts(rescue)
        if not (self.path / "metadata.yaml").is_file():
            self.notes.append(
                f"{self.path.name}: metadata.yaml is missing: the topics were taken from the data "
                "files instead (`ros2 bag reindex` writes it anew)"
            )
            return self._parts(rescue)
        try:
            return [_opened(self.path)]
        except ReplayError:
            parts = self._parts(rescue)
            if all(isinstance(part, RescuedMcap) for part in parts):
                return parts  # which say themselves what was wrong
            self.notes.append(f"{self.path.name}: metadata.yaml was of no use, only the data files")
            return parts

    def _parts(self, rescue: bool) -> list[Any]:
        files = _storage_files(self.path)
        for file in files:
            log = file.with_name(f"{file.name}-wal")
            if log.is_file() and log.stat().st_size:
                self.notes.append(
                    f"{log.name}: the recorder was killed and what this log holds is not read; "
                    f"to recover it: sqlite3 {file.name} 'PRAGMA wal_checkpoint(TRUNCATE)'"
                )
        return [self._part(self._unpack(file), rescue) for file in files]

    def _part(self, file: Path, rescue: bool) -> Any:
        try:
            if rescue and file.suffix == ".mcap":
                return RescuedMcap(file)
            return _opened(file)
        except ReplayError:
            if file.suffix != ".mcap":
                raise
            return RescuedMcap(file)

    def _unpack(self, file: Path) -> Path:
        """The file itself, or a decompressed copy of a .zstd file in a temporary folder."""
        if file.suffix != ".zstd":
            return file
        self._unpacked = self._unpacked or TemporaryDirectory(prefix="replay-")
        target = Path(self._unpacked.name) / file.stem
        try:
            with zstd.open(file, "rb") as packed, target.open("wb") as out:
                while block := packed.read(1 << 20):
                    out.write(block)
        except (EOFError, zstd.ZstdError) as error:
            self.notes.append(f"{file.name}: ends too early ({error}); read as far as it goes")
        return target


@lru_cache(maxsize=2)
def shared_bag(path: str, rescue: bool) -> Bag:
    """An open bag that this process keeps for its next slice."""
    return Bag(Path(path), rescue)


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


def looks_like_bag(path: Path) -> bool:
    """Whether a path is a rosbag2: by its name and metadata, not by its contents."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or bool(_storage_files(path, strict=False))
    return _is_storage(path)


def _opened(path: Path) -> Any:
    try:
        reader = Reader(path)
        reader.open()
    except (ReaderError, OSError, ValueError) as error:
        raise ReplayError(
            f"{path}: cannot be read as a rosbag2 ({_reason(error)}); give its folder, or its "
            ".mcap or .db3 file. ROS 1 bags: `rosbags-convert` first; damaged .db3 files: "
            "`sqlite3 FILE .recover` first"
        ) from error
    except Exception as error:  # a broken file fails in more ways than can be listed
        raise ReplayError(f"{path}: broken ({_reason(error)}); is it a rosbag2?") from error
    return reader


def _storage_files(path: Path, strict: bool = True) -> list[Path]:
    if path.is_file():
        return [path]
    files = [f for f in path.iterdir() if f.is_file() and _is_storage(f)] if path.is_dir() else []
    if not files and strict:
        raise ReplayError(
            f"{path}: neither metadata.yaml nor .mcap or .db3 files; give a rosbag2 folder"
        )
    return sorted(files, key=_natural)


def _is_storage(path: Path) -> bool:
    name = path.name.removesuffix(".zstd")
    return Path(name).suffix in STORAGE


def _natural(path: Path) -> list[Any]:
    """bag_2 before bag_10."""
    return [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", path.name)]


def _topic(name: str, connections: Sequence[Connection]) -> Topic:
    mine = [c for c in connections if c.topic == name]
    counts = [c.msgcount for c in mine]
    return Topic(name, mine[0].msgtype, None if -1 in counts else sum(counts))


def _defined(connection: Connection) -> bool:
    return connection.msgdef.format == MessageDefinitionFormat.MSG


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
