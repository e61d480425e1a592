# SPDX-License-Identifier: Apache-2.0
"""A run's folder: its settings, and one file for each finished slice.

A slice's file appears whole or not at all, under a name that follows from the settings: a run that
was killed, or whose workers were, goes on with the slices that are missing and doubles none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord, from_json
from hpe_vlm_ros.recordings.writing import write_whole

from .plan import Settings

RUN, PARTS = "run.json", "parts"


class Store:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._parts = folder, folder / PARTS

    def begin(
        self, settings: Settings, details: dict[str, Any], resume: bool, overwrite: bool
    ) -> None:
        """Makes the folder, or takes up the one that is there as told; ReplayError if neither."""
        if self.folder.exists() and not self._empty():
            self._take_up(settings, resume, overwrite)
        self._parts.mkdir(parents=True, exist_ok=True)
        if not (self.folder / RUN).exists():
            content = {"settings": settings.as_json(), **details}
            write_whole(self.folder / RUN, json.dumps(content, indent=1) + "\n")

    def details(self) -> dict[str, Any]:
        """What `begin` wrote; ReplayError when this is no run's folder."""
        return read_run(self.folder)

    def has(self, key: str) -> bool:
        """Whether this slice was finished, here or in a run before."""
        return self._file(key).is_file()

    def keep(self, key: str, records: Sequence[FrameRecord]) -> None:
        """Keeps a finished slice; one that is kept already stays as it is."""
        if not self.has(key):
            lines = "".join(f"{record.to_json()}\n" for record in records)
            write_whole(self._file(key), lines)

    def records(self, keys: Sequence[str] | None = None) -> list[FrameRecord]:
        """All frames kept (or those of some slices), each once, in order."""
        files = sorted(self._parts.glob("*.jsonl")) if keys is None else map(self._file, keys)
        found = {}
        for file in files:
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                try:
                    record = from_json(line)
                except ValueError as error:
                    raise ReplayError(
                        f"{file}, line {number}: {error}; delete the file and --resume"
                    ) from error
                found[record.key] = record
        return list(found.values())

    def _file(self, key: str) -> Path:
        return self._parts / f"{key}.jsonl"

    def _empty(self) -> bool:
        return self.folder.is_dir() and not any(self.folder.iterdir())

    def _take_up(self, settings: Settings, resume: bool, overwrite: bool) -> None:
        if not (self.folder / RUN).is_file():
            raise ReplayError(f"{self.folder} is in the way and not a run: choose another --out")
        if overwrite:
            shutil.rmtree(self.folder)
            return
        if not resume:
            raise ReplayError(
                f"{self.folder} holds a run: --resume goes on with it, --overwrite deletes it"
            )
        before, now = self.details()["settings"], settings.as_json()
        changed = [name for name in now if before.get(name) != now[name]]
        if changed:
            values = "; ".join(f"{n}: {before.get(n)} then, {now[n]} now" for n in changed)
            raise ReplayError(
                f"{self.folder} cannot be resumed with other settings ({values}); use the same, or "
                "another --out"
            )


def read_run(folder: Path) -> dict[str, Any]:
    """The run.json of a run's folder; ReplayError when there is none."""
    try:
        return dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ReplayError(f"{folder}: not the folder of a run ({error})") from error
