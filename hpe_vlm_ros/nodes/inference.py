# SPDX-License-Identifier: Apache-2.0
"""The model at work in a thread of its own, which touches no publisher."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from std_msgs.msg import Header

from hpe_vlm_ros import images
from hpe_vlm_ros.boxes import PixelBox
from hpe_vlm_ros.following import Follower
from hpe_vlm_ros.mounting import upright
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.worker import NewestOnly
from hpe_vlm_ros.skeleton import Skeleton

QUESTIONS, BODIES = "?", "?bodies of "
"""Keys under which questions wait and, with a camera's name, bodies; no camera can be called so."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of an image, or of a question about one: estimates, or an error.

    size: width and height. rgb: as the camera took it; estimates are of the upright picture.
    latency: seconds in the model. question: as it was handed in, or None.
    """

    camera: str
    header: Header
    size: tuple[int, int] = (0, 0)
    rgb: Any = None
    estimates: list[Any] = field(default_factory=list)
    latency: float = 0.0
    error: Exception | None = None
    question: Any = None
    reply: str | None = None


@dataclass(frozen=True, eq=False)
class BodyJob:
    """The people of an answered image, `shown` with its pixels, whose bodies are to be looked at:
    in these boxes (pixels of the upright picture), in their order."""

    shown: Shown
    boxes: list[PixelBox]


@dataclass(frozen=True, eq=False)
class BodyAnswer:
    """What came of a BodyJob: skeletons in the upright picture, or an error."""

    shown: Shown
    skeletons: list[Skeleton] = field(default_factory=list)
    latency: float = 0.0
    error: Exception | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """An image of a camera; `question` where the model is asked about it in free words too."""

    camera: str
    message: Any
    question: Any = None
    free_text: str | None = None


class Inference:
    """Answers images, questions about images and where keypoints of bodies are, one at a time.

    `check(message)` is asked before an image is answered and raises ImageError to drop it.
    `deliver(answer)` is called in the worker's thread, never after `stop`. `drafts` tells every how
    many images of a camera heads are looked for anew, and the slack between: see `Follower`.
    `max_heads` and `tiles` are what the perceiver is asked for. `rotate` tells by how many degrees
    clockwise images are turned before it sees them.
    """

    def __init__(
        self,
        perceiver: Any,
        check: Callable[[Any], None],
        deliver: Callable[[Answer | BodyAnswer], None],
        period: Callable[[], float],
        max_heads: Callable[[], int],
        drafts: Callable[[], tuple[int, int]] = lambda: (1, 0),
        tiles: Callable[[], int] = lambda: 1,
        rotate: Callable[[], int] = lambda: 0,
    ) -> None:
        self._perceiver, self._check, self._deliver = perceiver, check, deliver
        self._max_heads, self._drafts, self._tiles = max_heads, drafts, tiles
        self._rotate = rotate
        self._followers: dict[str, Follower] = {}
        self._job: Job | BodyJob | None = None
        self._worker: NewestOnly[Job | BodyJob] = NewestOnly(
            self._work, self._failed, lambda key: 0.0 if key.startswith(QUESTIONS) else period()
        )

    def put(self, job: Job | BodyJob) -> None:
        """Hands in work, in place of what waits under the same key: a camera's image, its bodies,
        or the question (all questions share one key, so they are to be handed in one by one)."""
        if isinstance(job, BodyJob):
            key = BODIES + job.shown.camera
        else:
            key = job.camera if job.question is None else QUESTIONS
        self._worker.put(job, key)

    def drop(self, camera: str) -> None:
        """Counts an image of this camera that was given up without being handed in."""
        self._worker.drop(camera)

    def take_dropped(self, camera: str) -> int:
        """How many images of this camera were dropped since the last call."""
        return self._worker.take_dropped(camera)

    def busy(self) -> float:
        """Seconds for which the model has been at work on one image."""
        return self._worker.busy()

    def stop(self, timeout: float | None) -> bool:
        """Whether the work at hand ended in time; if not, nothing will come of it."""
        return self._worker.stop(timeout)

    def _work(self, key: str, job: Job | BodyJob) -> None:
        self._job = job
        if isinstance(job, BodyJob):
            self._look_at_bodies(job)
        else:
            self._answer(job)

    def _look_at_bodies(self, job: BodyJob) -> None:
        started = time.monotonic()
        picture = upright(job.shown.rgb, self._rotate())
        skeletons = self._perceiver.keypoints(picture, job.boxes)
        self._hand_out(BodyAnswer(job.shown, skeletons, time.monotonic() - started))

    def _answer(self, job: Job) -> None:
        if job.question is None:
            self._check(job.message)  # again: it may have waited for the one before
        rgb = images.to_rgb(job.message)
        height, width, _ = rgb.shape
        picture = upright(rgb, self._rotate())
        options = {"max_heads": self._max_heads(), "tiles": self._tiles()}
        started = time.monotonic()
        reply: str | None = None
        estimates: list[Any]
        if job.free_text is not None:
            estimates, reply = [], self._perceiver.ask(picture, job.free_text)
        elif job.question is not None:
            estimates = self._perceiver(picture, **options)
        else:
            follower = self._followers.setdefault(job.camera, Follower())
            estimates = follower.find(self._perceiver, picture, *self._drafts(), **options)
        latency = time.monotonic() - started
        self._hand_out(
            Answer(
                camera=job.camera,
                header=job.message.header,
                size=(width, height),
                rgb=rgb,
                estimates=estimates,
                latency=latency,
                question=job.question,
                reply=reply,
            )
        )

    def _failed(self, key: str, error: Exception) -> None:
        if out_of_memory(error):
            free_memory()
        job = self._job
        if isinstance(job, BodyJob):
            self._hand_out(BodyAnswer(job.shown, error=error))
        elif job is not None:
            header = job.message.header
            self._hand_out(Answer(job.camera, header, error=error, question=job.question))

    def _hand_out(self, answer: Answer | BodyAnswer) -> None:
        if not self._worker.stopping:
            self._deliver(answer)


def out_of_memory(error: Exception) -> bool:
    """Whether the machine or the accelerator had no memory left."""
    texts = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in texts)


def free_memory() -> None:
    """Gives back what nobody needs: what hangs together in circles, such as a stream that ended and
    its last images, what the accelerator's allocator keeps in reserve, and what the C library keeps
    of memory that was freed in pieces (glibc)."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    # None names the process itself with its C library; only glibc has this call
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
