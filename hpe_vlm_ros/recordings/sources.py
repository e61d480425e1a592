# SPDX-License-Identifier: Apache-2.0
"""From what the user names to recordings: bags, videos, folders of pictures, globs of them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from hpe_vlm_ros.pictures import is_picture, may_move, pictures_below

from . import metadata
from .bag_recording import open_bag
from .data_files import looks_like_bag
from .folders import open_pictures
from .frames import Recording, ReplayError
from .videos import open_video


def open_sources(
    texts: Sequence[str],
    topics: Sequence[str] = (),
    info_topic: str | None = None,
    most: int | None = None,
) -> list[Recording]:
    """Recordings of all that is named; of bags, one for each of `topics` (none: the fullest).

    A text may be a glob. most: the first frames of each, None for all. ReplayError names what
    cannot be opened.
    """
    paths = [_recording(path) for path in expand(texts)]
    recordings: list[Recording] = []
    for path, name in zip(paths, names(paths), strict=True):
        if looks_like_bag(path):
            for topic in topics or (None,):
                id = f"{name}:{topic}" if len(topics) > 1 else name
                recordings.append(open_bag(path, id, topic, info_topic, most))
        elif path.is_dir() or (is_picture(path) and not may_move(path)):
            pictures = open_pictures(path, name)
            recordings.append(pictures.only(pictures.frames[:most]))
        else:
            recordings.append(open_video(path, name, most))
    return recordings


def expand(texts: Sequence[str]) -> list[Path]:
    """The paths that texts and globs name, each once; ReplayError for one that names nothing."""
    paths: dict[Path, None] = {}
    for text in texts:
        found = sorted(glob.glob(str(Path(text).expanduser()))) if _is_glob(text) else [text]
        if not found:
            raise ReplayError(f"{text}: matches nothing; check the pattern, and quote it")
        for item in found:
            path = Path(item).expanduser()
            if not path.exists():
                raise ReplayError(f"{path}: there is no such file or folder")
            paths[path] = None
    if not paths:
        raise ReplayError("no recordings given; name a rosbag2, a video or a folder of pictures")
    return list(paths)


def names(paths: Sequence[Path]) -> list[str]:
    """A short name for each: the last parts of its path, as many as tell them all apart."""
    parts = [path.parts for path in paths]
    for depth in range(1, max(len(p) for p in parts) + 1):
        short = ["/".join(p[-depth:]) for p in parts]
        if len(set(short)) == len(short):
            return short
    raise ReplayError("the same recording is named twice; name each once")


def _recording(path: Path) -> Path:
    """The path, absolute since workers may stand elsewhere; of a bag's metadata.yaml, the bag.

    ReplayError for a folder of bags that is no bag.
    """
    path = path.resolve()
    if path.name == metadata.NAME:
        return path.parent
    if path.is_dir() and not looks_like_bag(path):
        bags = sorted(p.name for p in path.iterdir() if p.is_dir() and looks_like_bag(p))
        if bags and not pictures_below(path):
            raise ReplayError(
                f"{path}: holds rosbag2 folders ({', '.join(bags[:3])}"
                f"{', ...' if len(bags) > 3 else ''}), but is none; name them: '{path}/*'"
            )
    return path


def _is_glob(text: str) -> bool:
    return glob.has_magic(text) and not Path(text).expanduser().exists()
