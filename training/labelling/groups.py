# SPDX-License-Identifier: Apache-2.0
"""Which photographs belong together, and which groups are held out for measuring or validated on.

Photographs of one clip, one event or one person are never divided between training, validation and
test set. What tells that two belong together: the numbered frames of a video, the folder of an
event in the source, a name that both files had there, and pictures (whole, or cut to their one
face) that look alike to a difference hash. Nobody is recognised: the hash compares pixels, not
people.

    python -m training.labelling.groups --photos PHOTOS --teachers POSES

divides the photographs that are new and writes `held_out.txt` and `validation.txt` again.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from .judged import JUDGED, read_judged
from .photo_folder import clip_of, find_photos, is_for_validation, is_held_out
from .proposals import SURE_FACE, read_teachers

HELD_OUT = Path(__file__).parent / "held_out.txt"
VALIDATION = Path(__file__).parent / "validation.txt"
SEED = 2  # of the division: the one under which the first photographs were divided
ALIKE = 3  # bits of 64 by which hashes of one picture may differ
SIZES = re.compile(r"(?i)(\d+x\d+|[-_ ](small|large|thumb|thumbnail|round|square|crop(ped)?|bw))")


def read_names(file: Path) -> set[str]:
    """The photographs that `held_out.txt` or `validation.txt` names, one a line."""
    return set(file.read_text().splitlines())


def difference_hash(image: np.ndarray) -> int:
    """64 bits: whether brightness rises from each of 8 x 8 places to the next on its right."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def keys_of(image: str, origin: Mapping[str, Any]) -> list[str]:
    """Words that photographs which belong together share; `origin`: file -> its entry in the
    source."""
    folder, name = image.split("/", 1)
    keys = [clip_of(Path(image))]
    path = origin.get(name, {}).get("path")
    if path is None:
        return keys
    place, stem = Path(path).parent, Path(path).stem
    if len(place.parts) >= 3 and re.search(r"\d", place.name + place.parent.name):
        keys.append(f"{folder}:{place}")  # such as files/blog/2013/06: one event, or a few
    plain = SIZES.sub("", stem)
    plain = re.sub(r"[\d_\W]+$", "", plain).lower()
    if len(plain) >= 6 and plain not in ("images", "photos", "headshot", "profile"):
        keys.append(f"name:{plain}")
    return keys


def group(keys: Mapping[str, Iterable[str]], hashes: Mapping[str, Iterable[int]]) -> dict[str, str]:
    """Image -> its group, named by the group's first image; groups share a key or a hash."""
    names = sorted(keys)
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    shared: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for key in keys[name]:
            shared[key].append(name)
    for together in shared.values():
        for other in together[1:]:
            join(together[0], other)
    owners = [(name, value) for name in names for value in hashes.get(name, ())]
    values = np.array([value for _, value in owners], np.uint64)
    for index, (name, value) in enumerate(owners):
        apart = np.bitwise_count(values[index + 1 :] ^ np.uint64(value))
        for other in np.flatnonzero(apart <= ALIKE):
            join(name, owners[index + 1 + int(other)][0])
    return {name: root(name) for name in names}


def hashes_of(image: np.ndarray, faces: Sequence[Mapping[str, Any]]) -> list[int]:
    """Hashes of a picture (BGR) and, where one face alone is sure, of that face.

    faces: as in a line of teachers' poses.
    """
    found = [difference_hash(image)]
    sure = [face["box"] for face in faces if face["score"] >= SURE_FACE]
    if len(sure) == 1:
        x0, y0, x1, y1 = (max(round(v), 0) for v in sure[0])
        if x1 - x0 >= 32 and y1 - y0 >= 32:
            found.append(difference_hash(image[y0:y1, x0:x1]))
    return found


def held_out(
    groups: Mapping[str, str], always: Iterable[str] = (), never: Iterable[str] = ()
) -> set[str]:
    """The images of one group in five, by a hash of its name; `always` and `never` are images
    whose groups are held out or are not, `never` having the last word."""
    kept = {groups[name] for name in always if name in groups}
    taken = {groups[name] for name in never if name in groups}
    return {
        name
        for name, of in groups.items()
        if of not in taken and (of in kept or is_held_out(of, SEED))
    }


def validated(groups: Mapping[str, str], held_out: Iterable[str]) -> set[str]:
    """The images that are validated on: all of a group if the hash of each one's name says so.

    So no image of a group from which one has been learnt is validated on.
    """
    taken = set(held_out)
    learnt = {of for name, of in groups.items() if not is_for_validation(name)}
    return {name for name, of in groups.items() if name not in taken and of not in learnt}


def read_origins(photos: Path, sets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """origin.json of each set, {} where it has none."""
    files = {name: photos / name / "origin.json" for name in sets}
    return {k: json.loads(f.read_text()) if f.is_file() else {} for k, f in files.items()}


def main(
    photos: Path,
    teachers: Path,
    out: Path = HELD_OUT,
    judged: Path = JUDGED,
    validation: Path = VALIDATION,
) -> None:
    """Write which photographs are held out for measuring, and which are validated on.

    Those that `out` names stay held out, with their groups; other photographs that were judged
    stay to be learnt from. Of the groups that are left, one in five is held out.

    Args:
        photos: folder of sets of photographs, each with an origin.json (file -> path in its
            source) where that is known.
        teachers: folder of *.jsonl with faces and their poses by public networks.
        out: text file of those that are held out, a line a photograph.
        judged: folder of judgements.
        validation: text file of those that are validated on.
    """
    names = [path.as_posix() for path in find_photos(photos)]
    faces = {name: line["faces"] for name, line in read_teachers(teachers).items()}
    origins = read_origins(photos, {name.split("/")[0] for name in names})
    keys = {name: keys_of(name, origins[name.split("/")[0]]) for name in names}
    hashes = {}
    for name in tqdm(names, unit="photo"):
        image = cv2.imread(str(photos / name), cv2.IMREAD_COLOR)
        if image is not None:
            hashes[name] = hashes_of(image, faces.get(name, []))
    before = read_names(out) if out.exists() else set()
    learnt = {label["image"] for label in read_judged(judged)} - before
    groups = group(keys, hashes)
    found = before | held_out(groups, before, learnt)
    out.write_text("\n".join(sorted(found)))
    unseen = validated(groups, found)
    validation.write_text("\n".join(sorted(unseen)))
    counts = {"photographs": len(names), "held out": len(found), "new": len(found - before)}
    print(json.dumps(counts | {"validation": len(unseen)}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
