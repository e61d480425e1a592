# SPDX-License-Identifier: Apache-2.0
"""Which of a bag's topics are replayed."""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from itertools import islice

import numpy as np

from hpe_vlm_ros.camera_model import info_topic_beside
from hpe_vlm_ros.images import ImageError, is_depth, to_rgb

from .bags import CAMERA_INFO, COMPRESSED, RAW, Bag, Topic
from .frames import ReplayError


class Content(IntEnum):
    """What a topic's images are; DEEP are of one channel of 16 bits, UNREAD of an encoding that is
    not read, or damaged."""

    DEPTH, UNREAD, DEEP, GREY, COLOUR = range(5)


TRIED = 5  # images, of which the first may be damaged


def image_topic(bag: Bag, name: str) -> Topic:
    """The images of a topic; of two types under one name, those there are more of.

    ReplayError names what is there when there are none.
    """
    found = [t for t in _images(bag) if t.name in (name, f"/{name}")]
    if not found:
        raise ReplayError(f"{bag.path}: no images on {name}; {_instead(bag)}")
    return max(found, key=lambda topic: topic.count or 0)


def chosen_topic(bag: Bag, wanted: str | None) -> tuple[Topic, list[str]]:
    """The images to replay, as named or else the fullest, and notes about the choice.

    Depth is never chosen unless named. What cannot be read is chosen only where there is nothing
    else, and so is one channel of 16 bits, since some cameras send their depth so. ReplayError when
    there is nothing to choose.
    """
    if wanted is not None:
        return image_topic(bag, wanted), []
    contents = {topic: _content(bag, topic) for topic in _images(bag)}
    # grey is as good as colour; what is worse counts only where there is neither
    most = min(max(contents.values(), default=Content.DEPTH), Content.GREY)
    colour = [topic for topic, content in contents.items() if Content.DEPTH < content >= most]
    if not colour:
        raise ReplayError(f"{bag.path}: no colour images in this bag; {_instead(bag)}")
    best = max(colour, key=lambda t: (t.count or 0, contents[t], t.kind == RAW))
    others = [topic.name for topic in colour if topic != best]
    note = f"used {best.name}; --topic takes another: {', '.join(others)}"
    return best, [note] if others else []


def _images(bag: Bag) -> list[Topic]:
    return [t for t in bag.topics if t.kind in (RAW, COMPRESSED) and t.count != 0]


def _instead(bag: Bag) -> str:
    """What the bag holds, for messages."""
    images = ", ".join(topic.name for topic in _images(bag)) or "none"
    kinds = ", ".join(sorted({topic.kind for topic in bag.topics})) or "nothing of ROS 2"
    foreign = f"; not of ROS 2: {', '.join(bag.foreign)}" if bag.foreign else ""
    return f"image topics: {images}; it holds {kinds}{foreign}"


def _content(bag: Bag, topic: Topic) -> Content:
    """Of the first images, by the first of them that can be read."""
    if topic.name.endswith("/compressedDepth"):
        return Content.DEPTH
    try:
        for _, _, data in islice(bag.messages([topic]), TRIED):
            message = bag.decode(data, topic.kind)
            if is_depth(message):
                return Content.DEPTH
            with suppress(ImageError):
                grey = not np.ptp(to_rgb(message), axis=2).any()
                if grey and getattr(message, "encoding", "") == "mono16":
                    return Content.DEEP
                return Content.GREY if grey else Content.COLOUR
    except ReplayError:
        pass  # said later, when its frames are read
    return Content.UNREAD


def calibration_topic(bag: Bag, image: Topic, wanted: str | None) -> Topic | None:
    """As named; else camera_info beside the images; else the only one there is."""
    infos = {t.name: t for t in bag.topics if t.kind == CAMERA_INFO}
    if wanted is not None:
        named = infos.get(wanted) or infos.get(f"/{wanted}")
        if named is None:
            there = ", ".join(infos) or "none"
            raise ReplayError(f"{bag.path}: no camera_info on {wanted}; there are: {there}")
        return named
    beside = infos.get(info_topic_beside(image.name))
    return beside or (next(iter(infos.values())) if len(infos) == 1 else None)
