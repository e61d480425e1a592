# SPDX-License-Identifier: Apache-2.0
"""Plays a source into the node and keeps what it answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from demo.frames import Frame, jpeg
from demo.link import Link, Sent
from demo.process import NodeError, NodeProcess, node_parameters
from demo.sources import Source
from hpe_vlm_ros.images import ImageError, to_rgb
from hpe_vlm_ros.recordings.frames import ReplayError

NAMESPACE = "/demo"
SILENT_FRAMES = 3  # unanswered in a row before the demo gives up


@dataclass(frozen=True)
class Options:
    """model, device: of the node, empty for its defaults. realtime: play at the source's own pace
    and let the node drop frames, instead of waiting up to `timeout` seconds for each answer."""

    model: str = ""
    device: str = ""
    realtime: bool = False
    timeout: float = 60.0


@dataclass
class Played:
    """What was sent, in order, with its answers; frames left out because nobody can read them; and
    whether the user ended the playing."""

    sent: list[Sent] = field(default_factory=list)
    unreadable: int = 0
    interrupted: bool = False


def play(source: Source, options: Options, log: Path) -> Played:
    """Starts the node, plays, and stops the node. ReplayError or NodeError when it cannot be done.

    Ctrl-C while playing ends it early with what there is. Images kept in the result are JPEG.
    """
    played = Played()
    frames = _readable(source, played)
    try:
        first = next(frames)
    except StopIteration:
        raise ReplayError(f"{source.name}: there are no frames in it") from None
    values = node_parameters(
        NAMESPACE, source.transport, options.model, options.device, lossless=not options.realtime
    )
    values["rectified"] = source.rectified
    process = NodeProcess(log, NAMESPACE, values)
    with process, closing(Link(NAMESPACE, source.transport)) as link:
        print("starting the node and loading the model", flush=True)
        link.wait_for(process, first)
        print("playing; Ctrl-C ends it" if source.live else "playing", flush=True)
        if not source.live:  # a camera's first picture has grown old meanwhile
            frames = chain([first], frames)
        bar = tqdm(frames, total=source.total, unit="frame", disable=None, leave=False)
        try:
            pace = _realtime if options.realtime else _one_by_one
            pace(link, process, bar, played, options.timeout)
        except KeyboardInterrupt:
            played.interrupted = True
        finally:
            bar.close()
    if not any(sent.answer for sent in played.sent) and not played.interrupted:
        raise NodeError(f"the node answered none of the frames{process.last_words()}")
    return played


def _one_by_one(
    link: Link, process: NodeProcess, frames: Iterator[Frame], played: Played, timeout: float
) -> None:
    silent = 0
    for frame in frames:
        sent = link.send(frame)
        played.sent.append(sent)
        silent = 0 if link.receive(sent, timeout, process) else silent + 1
        _keep_small(sent)
        if silent == SILENT_FRAMES:
            raise NodeError(
                f"no answer to {silent} frames in a row within {timeout:g} s each: raise "
                f"--timeout if the model is that slow{process.last_words()}"
            )


def _realtime(
    link: Link, process: NodeProcess, frames: Iterator[Frame], played: Played, timeout: float
) -> None:
    begin: tuple[float, int] | None = None
    for frame in frames:
        begin = begin or (time.monotonic(), frame.stamp)
        due = begin[0] + (frame.stamp - begin[1]) / 1e9
        link.spin_for(due - time.monotonic(), process.check)
        if played.sent:
            _keep_small(played.sent[-1])
        played.sent.append(link.send(frame))
    if played.sent:  # the newest image is always answered
        link.receive(played.sent[-1], timeout, process)
        _keep_small(played.sent[-1])


def _readable(source: Source, played: Played) -> Iterator[Frame]:
    """The frames that can be decoded; the node would warn of the others and answer nothing."""
    for frame in source.frames:
        try:
            to_rgb(frame.image)
        except ImageError as error:
            played.unreadable += 1
            if played.unreadable == 1:
                tqdm.write(f"left out: {error}")
            continue
        yield frame
    if played.unreadable and not played.sent:
        raise ReplayError(f"{source.name}: none of its {played.unreadable} images can be read")


def _keep_small(sent: Sent) -> None:
    """Keeps the picture as JPEG: raw video would fill the memory."""
    image = sent.frame.image
    if hasattr(image, "encoding"):
        small = jpeg(to_rgb(image), image.header)
        sent.frame = replace(sent.frame, image=small)
