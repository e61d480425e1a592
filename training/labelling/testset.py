# SPDX-License-Identifier: Apache-2.0
"""The labels of the photographs that scores are measured on.

    python -m training.labelling.testset --photos PHOTOS \
        --people '{real_photos: training/labelling/judged,
                   test_only/people: training/labelling/judged_test_only}' \
        --rooms '[no_people, test_only/no_people]'

Judged photographs of groups that are held out, and photographs without people: one clip in five of
folders that are learnt from, all of folders whose path says `test_only`. Pictures stay where they
are; a line names path, sha256 and size.

`--part validation` writes in their place the judged photographs and the empty ones that
`training.labelling.build` keeps from learning, for whatever is chosen: thresholds, mixtures, rules.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import cv2
from jsonargparse import auto_cli
from tqdm import tqdm

from ..testsets import PHOTOS
from .groups import HELD_OUT, SEED, VALIDATION, read_names
from .judged import read_judged
from .photo_folder import clip_of, find_photos, is_for_validation, is_held_out

TEST_ONLY = "test_only"
MOST_OF_CLIP = 5  # frames: a clip shows few people many times
Part = Literal["test", "validation"]
KEPT = ("box", "facing", "source", "angles", "spread")


def people_lines(prefix: str, judged: Path, chosen: set[str] | None) -> list[dict[str, Any]]:
    """Lines of judged photographs below `prefix`, of those that are chosen, or of all (None)."""
    lines, clips = [], Counter[str]()
    for label in read_judged(judged):
        name = label["image"]
        clip = clip_of(Path(name))
        is_wanted = chosen is None or name in chosen
        if not is_wanted or label.get("drop") or clips[clip] == MOST_OF_CLIP:
            continue
        clips[clip] += 1
        heads = [{k: head[k] for k in KEPT if k in head} for head in label["heads"]]
        lines.append({
            "image": f"{prefix}/{label['image']}", "sha256": label["sha256"],
            "width": label["width"], "height": label["height"], "whole": label["whole"],
            "heads": heads, "ignore": label.get("ignore", []),
        })  # fmt: skip
    return lines


def room_lines(photos: Path, prefix: str, part: Part = "test") -> list[dict[str, Any]]:
    """Lines of the photographs without people below `prefix` that belong to a part."""
    lines = []
    for path in tqdm(find_photos(photos / prefix), unit="photo", desc=prefix):
        is_test = prefix.startswith(TEST_ONLY) or is_held_out(clip_of(path), SEED)
        is_wanted = (
            is_test if part == "test" else is_for_validation(path.as_posix()) and not is_test
        )
        if not is_wanted:
            continue
        content = (photos / prefix / path).read_bytes()
        image = cv2.imread(str(photos / prefix / path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{photos / prefix / path}: not a readable picture")
        lines.append({
            "image": f"{prefix}/{path.as_posix()}", "sha256": hashlib.sha256(content).hexdigest(),
            "width": image.shape[1], "height": image.shape[0], "whole": True, "heads": [],
        })  # fmt: skip
    return lines


def main(
    photos: Path,
    people: dict[str, Path],
    rooms: list[str],
    held_out: Path = HELD_OUT,
    out: Path = PHOTOS / "labels.jsonl",
    part: Part = "test",
    validation: Path = VALIDATION,
) -> None:
    """Write the test set's labels.

    Args:
        photos: folder that the prefixes begin in.
        people: for each prefix the folder of its judgements.
        rooms: prefixes of photographs without people.
        held_out: text file, a line a photograph (below its prefix) that is not learnt from.
        out: file to write.
        part: which photographs.
        validation: text file, a line a photograph (below its prefix) that is validated on.
    """
    chosen = read_names(held_out if part == "test" else validation)
    lines = [
        line
        for prefix, judged in people.items()
        if part == "test" or not prefix.startswith(TEST_ONLY)
        for line in people_lines(prefix, judged, None if prefix.startswith(TEST_ONLY) else chosen)
    ]
    counts = Counter[str](photographs=len(lines))
    for line in lines:
        counts["heads"] += len(line["heads"])
        counts["photographs whole"] += line["whole"]
        counts.update(f"facing {head['facing']}" for head in line["heads"])
    empty = [line for prefix in rooms for line in room_lines(photos, prefix, part)]
    once = {line["sha256"]: line for line in [*lines, *empty]}  # some lie in two places
    counts["photographs without people"] = len(empty)
    counts["the same picture twice"] = len(lines) + len(empty) - len(once)
    out.write_text("".join(json.dumps(line) + "\n" for line in once.values()))
    for what, count in counts.most_common():
        print(f"{count:9,} {what}")


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
