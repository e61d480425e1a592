# SPDX-License-Identifier: Apache-2.0
"""Perceiving one slice; the same code in this process, in others, and on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from hpe_vlm_ros.camera_model import is_rectified, known_camera
from hpe_vlm_ros.geometry import CameraIntrinsics, HeadShape
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.images import ImageError
from hpe_vlm_ros.lens import as_numbers
from hpe_vlm_ros.mirror import MIRROR_CHOICES
from hpe_vlm_ros.mounting import Mounting, upright
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.recordings.frames import Frame, Recording, Rgb
from hpe_vlm_ros.recordings.records import FrameRecord, Head
from hpe_vlm_ros.remote.settings import MODEL_SIDE, is_remote

from .plan import Settings, Slice


class Perceiver(Protocol):
    """What a run needs of HeadPerceiver."""

    input_size: int
    head_shape: HeadShape | None

    @property
    def model_id(self) -> str: ...

    def __call__(
        self, image: Rgb, camera: CameraIntrinsics | None = None, *, mounted: Any = None
    ) -> list[HeadEstimate]: ...


Load = Callable[[], Perceiver]
"""Makes the perceiver in the process that needs it; must be picklable and hashable for others."""


@dataclass(frozen=True)
class Loader:
    """Loads HeadPerceiver; threads: of its arithmetic, None leaves them alone."""

    model: str | None = None
    device: str | None = None
    max_heads: int = 20
    tiles: int = 0
    mirror: str = "auto"
    refine: bool = True
    threads: int | None = None
    download: bool = False
    adapter: str | None = None

    def __call__(self) -> Perceiver:
        return HeadPerceiver.load(
            self.model,
            self.device,
            self.max_heads,
            threads=self.threads,
            tiles=self.tiles,
            mirror=MIRROR_CHOICES[self.mirror],
            refine=self.refine,
            download=self.download,
            adapter=self.adapter,
        )


def input_size(model: str | None, download: bool = False) -> int:
    """Side in pixels of what a model sees, without loading it."""
    from hpe_vlm_ros.vlm.hub import find_model
    from hpe_vlm_ros.vlm.model_folder import load_facts

    if model is not None and is_remote(model):
        return MODEL_SIDE
    return load_facts(find_model(model, download)).image_size


@lru_cache(maxsize=1)
def perceiver_of(load: Load) -> Perceiver:
    """The perceiver that this process keeps for its next slice."""
    return load()


def perceive_slice(piece: Slice, settings: Settings, load: Load) -> list[FrameRecord]:
    """The records of a slice, one for each of its frames."""
    return list(perceive(piece.recording, settings, perceiver_of(load)))


def perceive(
    recording: Recording, settings: Settings, perceiver: Perceiver
) -> Iterator[FrameRecord]:
    """The record of each frame; a frame that cannot be decoded gets one that says why."""
    for frame in recording.read():
        info = frame.info
        base: dict[str, Any] = {
            "recording": recording.id,
            "number": info.number,
            "stamp": info.stamp,
            "recorded": info.recorded,
            "name": info.name,
            "frame_id": frame.frame_id,
        }
        try:
            rgb = frame.rgb()
        except ImageError as error:
            yield FrameRecord(**base, width=0, height=0, heads=(), error=str(error))
            continue
        yield FrameRecord(**base, **_look(recording, frame, rgb, settings, perceiver))


def _look(
    recording: Recording, frame: Frame, rgb: Rgb, settings: Settings, perceiver: Perceiver
) -> dict[str, Any]:
    """The fields that come from the pixels."""
    height, width = rgb.shape[:2]
    known, problem = _camera(recording, frame, (width, height), settings.rectified)
    mounting = Mounting(settings.rotate, (width, height))
    camera, picture = mounting.camera(known), upright(rgb, settings.rotate)
    started = time.perf_counter()
    found = perceiver(picture, camera, mounted=mounting.turn)
    seconds = time.perf_counter() - started
    free = None
    if settings.free_every and frame.info.number % settings.free_every == 0:
        free = free_reasons(perceiver, picture, found)
    return {
        "width": width,
        "height": height,
        "heads": tuple(map(Head.of, found)),
        "camera": as_numbers(known) if known else None,
        "problem": problem,
        "free": free,
        "seconds": round(seconds, 6),
    }


def free_reasons(
    perceiver: Perceiver, rgb: Rgb, heads: Sequence[HeadEstimate]
) -> tuple[str, ...] | None:
    """Why each answer given without grammar is invalid, "" if it is not; None if it cannot be
    asked."""
    ask = getattr(perceiver, "unconstrained", None)
    if ask is None:
        return None
    answers = ask(rgb, [head.box for head in heads])
    return tuple("" if answer.reason is None else str(answer.reason.value) for answer in answers)


def first_problem(recording: Recording, rectified: str) -> str:
    """What is amiss with the camera_info of the first frame, which is known before the long work;
    "" where there is none, or no such frame to compare it with."""
    first = recording.frames[:1]
    if not first or recording.camera(first[0]) is None:
        return ""
    for frame in recording.only(first).read():
        with suppress(ImageError):
            height, width = frame.rgb().shape[:2]
            return _camera(recording, frame, (width, height), rectified)[1]
    return ""


def _camera(
    recording: Recording, frame: Frame, size: tuple[int, int], rectified: str
) -> tuple[CameraIntrinsics | None, str]:
    """The camera, and what is amiss with its calibration; a recording without one has said so."""
    flat = is_rectified(rectified, recording.topic)
    return known_camera(recording.camera(frame.info), size, flat, missing="")
