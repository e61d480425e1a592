# SPDX-License-Identifier: Apache-2.0
"""A folder of photographs: which belong to one clip, and which are held out for measuring."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from hpe_vlm_ros.pictures import PICTURES, pictures_below

HELD_OUT_OF = 5  # one clip in so many
# Frames of a video are usually numbered with four digits or more: what stands before is the clip.
NUMBERED_FRAMES = (r".*(?=[_-]\d{4,}\.\w+$)",)


def find_photos(folder: Path) -> list[Path]:
    """All pictures below a folder, relative to it, sorted; FileNotFoundError if there is none."""
    found = pictures_below(folder)
    if not found:
        raise FileNotFoundError(f"{folder}: no pictures ({', '.join(PICTURES)})")
    return sorted(map(Path, found))


def clip_of(photo: Path, clips: Sequence[str] = NUMBERED_FRAMES) -> str:
    """What the photo's relative path shares with the others of its clip, else the path itself.

    clips: regular expressions for the beginning of the path; the first that matches tells the
    clip by the text that it matched.
    """
    name = photo.as_posix()
    for pattern in clips:
        match = re.match(pattern, name)
        if match is not None:
            return match.group(0)
    return name


def is_held_out(clip: str, seed: int = 0) -> bool:
    """Whether a clip is kept from training: one in five, by a hash of its name alone.

    So frames of a clip are never divided, and new photographs move no old one.
    """
    digest = hashlib.sha256(f"{seed}:{clip}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_OF == 0


def is_for_validation(name: str, every: int = 10) -> bool:
    """Whether a photograph that is not held out may be validated on: one clip in `every`, by a hash
    of its name. Of photographs in groups, see `groups.validated`."""
    # "watched" is a salt: another would divide the photographs in another way
    digest = hashlib.sha256(f"watched:{clip_of(Path(name))}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % every == 0
