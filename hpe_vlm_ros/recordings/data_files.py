# SPDX-License-Identifier: Apache-2.0
"""The data files of a bag: which there are, in what order, and a reader for each.

A reader has what rosbags' readers have: `connections`, `messages`, `path`, `start_time`, `end_time`
and `close`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.rosbag2 import Reader

from . import metadata
from .frames import ReplayError
from .ros1_file import Ros1File
from .scanned_mcap import MAGIC, ScannedMcap
from .sqlite_file import SqliteFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STORAGE = (".mcap", ".db3")
SQLITE, ZSTD, ROS1_START = b"SQLite f", b"\x28\xb5\x2f\xfd", b"#ROSBAG"
"""How files of these kinds begin, as MCAP's with MAGIC."""
ROS1 = ".bag"


@dataclass
class DataFiles:
    """Open files in their order. notes: what was amiss with them."""

    path: Path
    readers: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _unpacked: TemporaryDirectory[str] | None = None

    @classmethod
    def open(cls, path: Path, damaged: bool) -> DataFiles:
        """All that can be read of a folder or file; ReplayError when nothing can.

        damaged: read MCAP files without their index, as far as they go.
        """
        made, errors = cls(path), list[ReplayError]()
        files = made._files()
        for file in files:
            try:
                made.readers.append(made._reader(file, damaged))
            except ReplayError as error:
                errors.append(error)
            except OSError as error:
                errors.append(ReplayError(f"{file}: cannot be opened ({error.strerror})"))
        if not made.readers:
            raise errors[0]
        made.notes += [f"{error}; the other files are read" for error in errors]
        made._leave_out_copies()
        if path.is_dir() and not _only_ros1(path):
            found = metadata.Found(tuple(file.name for file in files), *made._contents())
            difference = metadata.note(path, found)
            made.notes += [difference] if difference else []
        for reader in made.readers:
            made.notes += reader.notes if isinstance(reader, SqliteFile) else []
        return made

    def close(self) -> None:
        """Closes the files and deletes what was unpacked of them."""
        for reader in self.readers:
            reader.close()
        if self._unpacked is not None:
            self._unpacked.cleanup()

    def _files(self) -> list[Path]:
        """In the order of metadata.yaml where it lists them all, else by name."""
        files = data_files(self.path)
        names = {file.name for file in files}
        packed = [f for f in files if f.suffix == ".zstd" and f.stem in names]
        self.notes += [f"{f.name}: not read, since {f.stem} is there as well" for f in packed]
        files = [file for file in files if file not in packed]
        order = metadata.listed(self.path) if self.path.is_dir() else ()
        if all(file.name in order for file in files):
            files.sort(key=lambda file: order.index(file.name))
        return files

    def _reader(self, file: Path, damaged: bool) -> Any:
        """By what the file is, whatever it is called."""
        start = _start(file)
        if start.startswith(ZSTD):
            file = self._unpacked_copy(file)
            start = _start(file)
        if start.startswith(ROS1_START):
            return Ros1File(file)
        # a .db3 file that begins otherwise is damaged, which SQLite itself tells best
        if start == SQLITE or (start != MAGIC and ".db3" in file.name.lower()):
            return SqliteFile(file)
        if not damaged and file.suffix == ".mcap":
            try:
                reader = Reader(file)
                reader.open()
                return reader
            except Exception:  # damaged and mixed files fail in more ways than can be listed
                pass
        return ScannedMcap(file)

    def _unpacked_copy(self, file: Path) -> Path:
        """In a temporary folder; of a file that ends too early, as much as there is."""
        self._unpacked = self._unpacked or TemporaryDirectory(prefix="replay-")
        target = Path(self._unpacked.name) / file.name.removesuffix(".zstd")
        try:
            with zstd.open(file, "rb") as packed, target.open("wb") as out:
                while block := packed.read(1 << 20):
                    out.write(block)
        except (EOFError, zstd.ZstdError) as error:
            self.notes.append(f"{file.name}: ends too early ({error}); read as far as it goes")
        return target

    def _leave_out_copies(self) -> None:
        """Files that hold what another does, as where a bag was converted in its own folder."""
        known: dict[Any, Any] = {}
        for reader in list(self.readers):
            topics = frozenset((c.topic, c.msgtype, c.msgcount) for c in reader.connections)
            key = topics, reader.start_time, reader.end_time
            if key not in known:
                known[key] = reader
            elif reader.end_time and reader.end_time - reader.start_time > 1:  # ns, of a recording
                self.notes.append(
                    f"{reader.path.name}: not read, since {known[key].path.name} holds the same"
                )
                self.readers.remove(reader)
                reader.close()

    def _contents(self) -> tuple[dict[metadata.Key, int | None], dict[metadata.Key, Any]]:
        """Messages and offered QoS of each topic, of all formats."""
        counts: dict[metadata.Key, int | None] = {}
        offered: dict[metadata.Key, Any] = {}
        for connection in (c for reader in self.readers for c in reader.connections):
            key = connection.topic, connection.msgtype
            counts[key] = added(counts.get(key, 0), connection.msgcount)
            offered.setdefault(key, connection.ext.offered_qos_profiles)
        return counts, offered


def added(known: int | None, more: int) -> int | None:
    """Sum of two counts; -1 and None stand for unknown ones."""
    return None if known is None or more < 0 else known + more


def data_files(path: Path) -> list[Path]:
    """The file itself, or those in a folder by name; ReplayError when there are none."""
    if path.is_file():
        return [path]
    files = _inside(path) if _only_ros1(path) else [f for f in _inside(path) if _is_data(f)]
    if not files:
        raise ReplayError(f"{path}: holds no .mcap or .db3 files; give a rosbag2 folder")
    return sorted(files, key=_natural)


def looks_like_bag(path: Path) -> bool:
    """Whether a path is a recording of ROS: by its name and metadata, not by its contents."""
    if path.is_dir():
        named = (path / metadata.NAME).is_file() or any(map(_is_data, _inside(path)))
        return named or _only_ros1(path)
    return _is_data(path) or path.suffix == ROS1


def _start(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(len(MAGIC))


def _inside(folder: Path) -> list[Path]:
    """Files of a folder. Those hidden by a dot are what macOS adds to archives, among others."""
    if not folder.is_dir():
        return []
    return [f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")]


def _only_ros1(path: Path) -> bool:
    return {file.suffix for file in _inside(path)} == {ROS1}


def _is_data(path: Path) -> bool:
    return Path(path.name.lower().removesuffix(".zstd")).suffix in STORAGE


def _natural(path: Path) -> list[Any]:
    """bag_2 before bag_10."""
    return [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", path.name)]
