# SPDX-License-Identifier: Apache-2.0
"""The .db3 files of rosbag2."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinition

from .connections import UNDEFINED, connection, definition
from .frames import ReplayError


class SqliteFile:
    """A .db3 file with what its write-ahead log still holds; it is not written to.

    Has `connections` and `messages` as the readers of rosbags do, which leave out the log and
    refuse a file whose QoS text they cannot parse. ReplayError for a file that is no such database.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.notes = path, list[str]()
        log = path.with_name(f"{path.name}-wal")
        self._logged = log.is_file() and log.stat().st_size > 0
        self._database = self._open()
        self.connections = list(self._topics())
        found = self._database.execute("SELECT min(timestamp), max(timestamp) + 1 FROM messages")
        self.start_time, self.end_time = found.fetchone()

    def messages(
        self, connections: Collection[Any], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Of these connections, by time of recording (ns), those in [start, stop)."""
        by_id = {connection.id: connection for connection in connections}
        marks = ",".join("?" * len(by_id))
        query, values = f"topic_id IN ({marks})", list(by_id)
        for limit, sign in ((start, ">="), (stop, "<")):
            if limit is not None:
                query, values = f"{query} AND timestamp {sign} ?", [*values, limit]
        rows = self._database.execute(
            f"SELECT topic_id, timestamp, data FROM messages WHERE {query} ORDER BY timestamp, id",
            values,
        )
        for topic, recorded, data in rows:
            yield by_id[topic], recorded, data

    def close(self) -> None:
        self._database.close()

    def _open(self) -> sqlite3.Connection:
        """With the log if that will do, else the file alone as it is."""
        if self._logged:
            remedy = f"`sqlite3 {self.path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
            try:
                database = _connected(self.path, "mode=ro")
                self.notes.append(
                    f"{self.path.name}: the recorder was killed; the log that it left, "
                    f"{self.path.name}-wal, was read as well ({remedy} puts it into the file)"
                )
                return database
            except sqlite3.Error as error:
                self.notes.append(
                    f"{self.path.name}: the recorder was killed, and the log that it left, "
                    f"{self.path.name}-wal, cannot be read ({error}); to recover it, {remedy}"
                )
        try:
            # immutable: no locks and no files beside it, so a bag on a read-only disc opens too
            return _connected(self.path, "immutable=1")
        except sqlite3.Error as error:
            notes = "".join(f"; {note}" for note in self.notes)
            raise ReplayError(
                f"{self.path}: cannot be read as a rosbag2 ({error}); "
                f"damaged .db3 files: `sqlite3 FILE .recover` first{notes}"
            ) from error

    def _topics(self) -> Iterator[Any]:
        counts = dict(
            self._database.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id")
        )
        definitions = self._definitions()
        names = {row[1] for row in self._database.execute("PRAGMA table_info(topics)")}
        offered = "offered_qos_profiles" if "offered_qos_profiles" in names else "''"
        rows = self._database.execute(
            f"SELECT id, name, type, serialization_format, {offered} FROM topics ORDER BY id"
        )
        for number, name, kind, serialization, profiles in rows:
            defined = definitions.get(kind, UNDEFINED)
            yield connection(
                number, name, kind, counts.get(number, 0), defined, serialization, profiles
            )

    def _definitions(self) -> dict[str, MessageDefinition]:
        """Empty in bags of before Iron, which hold none."""
        try:
            rows = self._database.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            ).fetchall()
        except sqlite3.Error:
            return {}
        return {kind: definition(encoding, text) for kind, encoding, text in rows}


def _connected(path: Path, how: str) -> sqlite3.Connection:
    """sqlite3.Error where the file has no tables of rosbag2."""
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, check_same_thread=False
    )
    try:
        for table in ("topics", "messages"):
            database.execute(f"SELECT * FROM {table} LIMIT 0")
    except sqlite3.Error:
        database.close()
        raise
    return database
