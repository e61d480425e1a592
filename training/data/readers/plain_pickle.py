# SPDX-License-Identifier: Apache-2.0
"""Pickles of plain data, read without running what else they may hold."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

from hpe_vlm_ros.pictures import is_hidden


class _PlainUnpickler(pickle.Unpickler):
    """Builds nothing but plain values and the classes of a table."""

    def __init__(self, file: Any, classes: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")  # text of Python 2
        self.classes = classes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.classes:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not data")
        return self.classes[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to another object ({pid!r})")


def load_plain_pickle(path: Path, classes: Mapping[tuple[str, str], Any] | None = None) -> Any:
    """Contents of a pickle of numbers, texts, lists and dicts: it can run no code.

    A pickle can name any callable of any module, and the ordinary loader calls it. Here only the
    (module, name) pairs of `classes` resolve, to what the table gives. The file may be compressed,
    by gzip, bzip2 or xz, or be the only one in a ZIP archive, whatever its name says. Raises
    FileNotFoundError, or ValueError naming a file that holds anything else or is damaged.
    """
    with path.open("rb") as file:
        try:
            with _decompressed(file) as plain:
                return _PlainUnpickler(plain, classes or {}).load()
        # A damaged pickle can fail in any operation of the unpickler's.
        except Exception as error:
            raise ValueError(f"{path}: refused, not a pickle of plain data: {error}") from error


def _decompressed(file: BinaryIO) -> IO[bytes]:
    """What is in a file that pandas or a user may have compressed."""
    head = file.read(6)
    file.seek(0)
    if head[:2] == b"\x1f\x8b":
        return gzip.open(file)
    if head[:3] == b"BZh":
        return bz2.open(file)
    if head == b"\xfd7zXZ\0":
        return lzma.open(file)
    if head[:4] == b"PK\3\4":
        archive = zipfile.ZipFile(file)
        names = [name for name in archive.namelist() if not is_hidden(name.split("/")[0])]
        if len(names) != 1:
            raise ValueError(f"an archive of {len(names)} files; unpack it first")
        return archive.open(names[0])
    if head[:4] == b"\x28\xb5\x2f\xfd":
        raise ValueError("it is compressed by Zstandard; unpack it first, with unzstd")
    return file
