# SPDX-License-Identifier: Apache-2.0
"""From recordings to the folder of a run."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hpe_vlm_ros.recordings.frames import Recording, ReplayError
from hpe_vlm_ros.recordings.recorded_heads import Recorded

from .environment import environment
from .plan import Settings, identify, selected, slices
from .processes import perceive_all
from .store import Store
from .work import Load, Perceiver, perceiver_of

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def perceive_recordings(
    recordings: Sequence[Recording],
    settings: Settings,
    load: Load,
    folder: Path,
    command: str = "",
    resume: bool = False,
    overwrite: bool = False,
    processes: int = 1,
    ray_address: str | None = None,
    quiet: bool = False,
) -> Store:
    """Perceives all that `folder` does not have yet; the store with every frame.

    `settings.model` and `settings.recordings` are filled in here. ReplayError says what to do when
    the folder is in the way, the disk is full, or workers die.
    """
    # loaded here even if others perceive: the folder says what model it is and what it sees
    perceiver = perceiver_of(load)
    settings = replace(settings, model=perceiver.model_id, recordings=identify(recordings))
    store = Store(folder)
    with _room_on_disk(folder):
        store.begin(settings, details(recordings, settings, perceiver, command), resume, overwrite)
        perceive_all(
            slices(recordings, settings), settings, load, store, processes, ray_address, quiet
        )
    return store


def take_answers(
    recordings: Sequence[Recording],
    settings: Settings,
    source: tuple[Path, str | None],
    input_size: int,
    folder: Path,
    command: str = "",
    resume: bool = False,
    overwrite: bool = False,
) -> Store:
    """The same from answers that a live node gave: `source` is their bag and topic, `input_size`
    the side in pixels of what its model sees.

    Frames that it did not answer are not in the store. Positions and tracking are the node's.
    """
    perceiver = Recorded.read(*source, input_size)
    settings = replace(
        # a live node asks nothing without grammar
        settings,
        model=perceiver.model_id,
        recordings=identify(recordings),
        free_every=0,
    )
    store = Store(folder)
    with _room_on_disk(folder):
        store.begin(settings, details(recordings, settings, perceiver, command), resume, overwrite)
        for piece in slices(recordings, settings):
            store.keep(piece.key, list(perceiver.records(piece.recording)))
    if not store.records():
        raise ReplayError(
            f"{source[0]}: none of its answers bears the stamp of a frame of "
            f"{', '.join(recording.path for recording in recordings)}; is it another recording's?"
        )
    return store


@contextmanager
def _room_on_disk(folder: Path) -> Iterator[None]:
    """Says what to do when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ReplayError(
            f"{folder}: the disk is full ({error.strerror}); free some space, then run the same "
            "command with --resume: what was perceived is kept"
        ) from error


def details(
    recordings: Sequence[Recording],
    settings: Settings,
    perceiver: Perceiver | Recorded,
    command: str,
) -> dict[str, Any]:
    """What a run's folder says of it beside its settings."""
    return {
        "model": settings.model,
        "input_size": perceiver.input_size,
        "head_shape": asdict(shape) if (shape := perceiver.head_shape) is not None else None,
        "command": command,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "environment": environment(getattr(perceiver, "device", None)),
        "placed": isinstance(perceiver, Recorded),
        "notes": list(perceiver.notes) if isinstance(perceiver, Recorded) else [],
        "recordings": [_about(recording, settings) for recording in recordings],
    }


def _about(recording: Recording, settings: Settings) -> dict[str, Any]:
    chosen = selected(recording, settings)
    first, last = recording.frames[0], recording.frames[-1]
    return {
        "id": recording.id,
        "kind": recording.kind,
        "path": recording.path,
        "topic": recording.topic,
        "camera_info": getattr(recording, "info_topic", ""),
        "sequence": recording.sequence,
        "frames": len(recording.frames),
        "selected": len(chosen.frames),
        "seconds": round((last.recorded - first.recorded) / 1e9, 3) if recording.sequence else None,
        "notes": list(recording.notes),
    }
