# SPDX-License-Identifier: Apache-2.0
"""MCAP files that rosbags does not read, since they are damaged or mixed with other formats."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from io import SEEK_CUR, SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import MAGIC_SIZE, breakup_chunk, read_magic

from .connections import UNDEFINED, connection, definition
from .frames import ReplayError

MAGIC = b"\x89MCAP0\r\n"
"""How an MCAP file begins, and how it ends if its writer closed it."""
HEAD = 9  # bytes before a record: its opcode, and its length in eight
_KNOWN = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK)


class ScannedMcap:
    """Reads an MCAP file from its start, without its index, to where it breaks off.

    Has `connections` and `messages` as the readers of rosbags do, of all formats: ROS 2's are those
    whose `ext.serialization_format` is cdr. A chunk that fails its checksum is left out and
    counted; a record cut short ends the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._counts: dict[int, int] = {}
        self._spans: dict[int, tuple[int, int]] = {}
        self._bad_chunks, self._end, self._finished = 0, 0, False
        times = list[int]()
        for _, message in self._walk():
            self._counts[message.channel_id] = self._counts.get(message.channel_id, 0) + 1
            times = [min(times[:1] + [message.log_time]), max(times[1:] + [message.log_time])]
        self._lost = (self._bad_chunks, self._size - self._end)
        # as of rosbags' readers, whose end is not part of the span
        self.start_time, self.end_time = (times[0], times[1] + 1) if times else (0, 0)
        self.connections = [self._connection(channel) for channel in self._channels.values()]
        if not self._counts:
            raise ReplayError(f"{path}: not an MCAP file, or broken before its first message")

    def messages(
        self, connections: Collection[Any], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Of these connections, in the order of the file, those recorded in [start, stop) ns."""
        wanted = {connection.id: connection for connection in connections}
        for channel, message in self._walk(start, stop):
            time = message.log_time
            if channel in wanted and _within(time, time, start, stop):
                yield wanted[channel], time, message.data

    def losses(self) -> list[str]:
        """What could not be read, in words; empty when all could."""
        bad, end = self._lost
        if self._finished and not bad and not end:
            return []
        lost = []
        if bad:
            lost.append(f"{bad} damaged chunk{'s'[: bad != 1]} left out")
        if end:
            lost.append(f"the last {end} of {self._size} bytes are unreadable")
        seconds = (self.end_time - self.start_time - 1) / 1e9
        kept = f"{sum(self._counts.values())} messages over {seconds:.1f} s were read"
        what = "; ".join(lost) or "only its index is missing or broken, nothing else was lost"
        return [f"{self.path.name}: damaged: {what}; {kept}"]

    def close(self) -> None:
        """Nothing stays open between readings."""

    def _walk(
        self, start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[int, Message]]:
        """Messages in the order of the file, with their channel; learns schemas by the way.

        Chunks known to hold nothing recorded in [start, stop) are passed over.
        """
        self._bad_chunks, self._end = 0, 0
        with self.path.open("rb") as file:
            stream = ReadDataStream(file)
            try:
                read_magic(stream)
            except Exception:  # shorter than the magic, or another kind of file
                return
            self._end = MAGIC_SIZE
            while True:
                place = self._end
                if place in self._spans and not _within(*self._spans[place], start, stop):
                    self._pass_over(stream, file)
                    continue
                if (record := self._record(stream)) is None:
                    return
                times = [part.log_time for part in record if isinstance(part, Message)]
                if times:
                    self._spans[place] = min(times), max(times)
                for part in record:
                    if isinstance(part, Schema):
                        self._schemas[part.id] = part
                    elif isinstance(part, Channel):
                        self._channels[part.id] = part
                    elif isinstance(part, Message):
                        yield part.channel_id, part
                if self._end >= self._size:
                    return

    def _pass_over(self, stream: ReadDataStream, file: BinaryIO) -> None:
        stream.read1()
        length = stream.read8()
        file.seek(length, SEEK_CUR)
        self._end += HEAD + length

    def _record(self, stream: ReadDataStream) -> list[Any] | None:
        """The parts of the next record; None at the end or where the file breaks off."""
        try:
            opcode, length = stream.read1(), stream.read8()
            if opcode == Opcode.DATA_END:
                self._end = self._size  # beyond it there is only the index
                self._finished = self._has_end()
                return None
            # 0 is no opcode of MCAP's: zeros would pass for one empty record after the other
            if opcode == 0 or length > self._size - self._end:
                return None
            parts = self._parse(opcode, stream.read(length), length)
        except Exception:  # cut short, or not a record at all
            return None
        self._end += HEAD + length
        return parts

    def _has_end(self) -> bool:
        """Whether the file was finished by its writer."""
        with self.path.open("rb") as file:
            file.seek(-len(MAGIC), SEEK_END)
            return file.read() == MAGIC

    def _parse(self, opcode: int, data: bytes, length: int) -> list[Any]:
        if opcode not in _KNOWN:
            return []
        stream = ReadDataStream(BytesIO(data))
        if opcode == Opcode.SCHEMA:
            return [Schema.read(stream)]
        if opcode == Opcode.CHANNEL:
            return [Channel.read(stream)]
        if opcode == Opcode.MESSAGE:
            return [Message.read(stream, length)]
        try:
            return list(breakup_chunk(Chunk.read(stream), validate_crc=True))
        except Exception:  # its checksum, or a decompressor's own error
            self._bad_chunks += 1
            return []

    def _connection(self, channel: Channel) -> Any:
        kind, defined = "", UNDEFINED
        if (schema := self._schemas.get(channel.schema_id)) is not None:
            kind = schema.name
            defined = definition(schema.encoding, schema.data.decode(errors="replace"))
        return connection(
            channel.id,
            channel.topic,
            kind,
            self._counts.get(channel.id, 0),
            defined,
            channel.message_encoding,
            channel.metadata.get("offered_qos_profiles"),
        )


def _within(low: int, high: int, start: int | None, stop: int | None) -> bool:
    """Whether [low, high] meets [start, stop)."""
    return (start is None or high >= start) and (stop is None or low < stop)
