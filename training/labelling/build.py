# SPDX-License-Identifier: Apache-2.0
"""A folder to learn from or to score on, out of photographs and what is known of their heads.

    python -m training.labelling.build --photos PHOTOS --proposals '[P.jsonl]' --out runs/photos \
        --empty NO_PEOPLE --empty_proposals N.jsonl

Three kinds of photographs go in:

- judged ones (`judged/`): whole where the reviewer said so, with facing sectors and poses;
- portraits: one large face and nothing else in doubt, labelled whole by that rule;
- others: faces that YuNet is sure of, with poses; they do not claim to be whole.

Photographs without people are whole and empty. What a model took for a head on any whole photograph
becomes a decoy. Groups that are held out (`groups`) are left out.

OUT/labels.jsonl is what every stage reads; pictures are copied to OUT/images, with ignored regions
blurred so that nobody is taught that no head is there, and heads in them are left out. A tenth of
what is learnt from goes to OUT_validation, by groups; rooms by clips.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from hpe_vlm_ros.geometry import box_area, box_iou, box_overlap, circular_difference

from ..data.json_lines import whole_lines
from ..data.labels import write_labels
from ..data.sample import Head, Sample
from .groups import HELD_OUT, SEED, VALIDATION, read_names
from .judged import JUDGED, read_judged
from .photo_folder import clip_of, find_photos, is_for_validation, is_held_out
from .proposals import Proposal, sector_yaw, to_camera
from .propose import is_portrait, proposals_of

UPRIGHT = 15.0  # degrees: what is known of a head of which only the sector was judged
RANGE_OF_THREE = 1.69  # standard deviations that three draws differ by, in the mean
LARGEST_SPREAD = 25.0  # degrees that teachers may differ by before a pose is not kept
WORST_MODEL = 18.0  # degrees, standard deviation beyond which the model's own pose is not kept
HALF_SECTOR = 22.5  # degrees
EYE = (20.0, 15.0, 15.0)  # degrees that a pose is in doubt by where the eye moved its yaw
MOST = 0.5  # of a head's box in an ignored region, beyond which the head is not learnt from
LEAST_DECOY = 12.0  # pixels, side of a box that may be a decoy


def judged_sample(label: dict[str, Any], path: Path, row: dict[str, Any] | None = None) -> Sample:
    """The sample of a judged photograph; `row` holds what a model took for heads on it since."""
    size = label["width"], label["height"]
    sharp = [h for h in label["heads"] if not _is_blurred(h["box"], label.get("ignore", []))]
    heads = [_judged_head(head, size) for head in sharp]
    decoys = []
    if label["whole"]:
        decoys = [np.array(box) for box in label.get("no", [])]
        known = [head["box"] for head in label["heads"]] + label.get("ignore", []) + decoys
        found = proposals_of(row) if row is not None else []
        decoys += [np.array(p.box) for p in found if _is_apart(p, known) and _is_decoy(p.box)]
    return Sample(path, *size, None, heads, all_heads=label["whole"], decoys=decoys)


def _is_blurred(box: Any, regions: list[Any]) -> bool:
    """Whether most of a box lies in a region that is blurred."""
    return bool(regions) and bool(box_overlap([box], regions).max() > MOST * box_area([box])[0])


def _is_decoy(box: Any) -> bool:
    """Whether what was taken for a head is large enough to be told from one."""
    return bool(min(box[2] - box[0], box[3] - box[1]) >= LEAST_DECOY)


def _judged_head(head: dict[str, Any], size: tuple[int, int]) -> Head:
    box = np.array(head["box"], dtype=float)
    if "angles" in head:
        yaw, *others = head["angles"]
        told = within_sector(yaw, head["facing"])
        # networks that know faces only pull profiles towards the camera; the eye has the last word
        wide = head["spread"] if told == yaw else np.maximum(head["spread"], EYE)
        known = _posed(box, head["source"], (told, *others), wide, size)
        if known is not None:
            return known
    if head["facing"] is None:
        return Head(box, None)
    rotation = to_camera((sector_yaw(head["facing"]), 0.0, 0.0), box, *size)
    return Head(box, rotation, spread=np.full(3, UPRIGHT))


def within_sector(yaw: float, sector: str) -> float:
    """The yaw in degrees nearest to a given one that lies in a sector, edges included."""
    middle = sector_yaw(sector)
    apart = float(circular_difference(yaw, middle))
    return middle + float(np.clip(apart, -HALF_SECTOR, HALF_SECTOR))


def _posed(
    box: np.ndarray, source: str, angles: Any, spread: Any, size: tuple[int, int]
) -> Head | None:
    """A head with the pose of teachers or model; None where they are not sure enough."""
    wide = np.array(spread, dtype=float)
    if source == "face":
        if wide.max() > LARGEST_SPREAD:
            return None
        wide = wide / RANGE_OF_THREE
    elif wide.max() > WORST_MODEL:
        return None
    return Head(box, to_camera(tuple(angles), box, *size), spread=wide)


def ruled_sample(row: dict[str, Any], path: Path) -> Sample:
    """The sample of a photograph that nobody judged."""
    size = row["width"], row["height"]
    proposals = proposals_of(row)
    whole = is_portrait(row)
    sure = [p for p in proposals if p.is_sure]
    heads = [_proposed_head(p, size) for p in sure]
    known = [p.box for p in sure]
    decoys = [np.array(p.box) for p in proposals if not p.is_sure and _is_apart(p, known)]
    return Sample(path, *size, None, heads, all_heads=whole, decoys=decoys if whole else [])


def _proposed_head(proposal: Proposal, size: tuple[int, int]) -> Head:
    box = np.array(proposal.box)
    posed = None
    if proposal.angles is not None and proposal.spread is not None:
        posed = _posed(box, proposal.source, proposal.angles, proposal.spread, size)
    return Head(box, None) if posed is None else posed


def _is_apart(proposal: Proposal, known: list[Any]) -> bool:
    """Whether a proposal is of none of the known heads, not even in part."""
    return not known or float(box_iou([proposal.box], known).max()) < 0.1


def empty_sample(path: Path, size: tuple[int, int], row: dict[str, Any] | None) -> Sample:
    """The sample of a photograph without people."""
    boxes = [] if row is None else [np.array(p.box) for p in proposals_of(row)]
    decoys = [box for box in boxes if _is_decoy(box)]
    return Sample(path, *size, None, [], decoys=decoys)


def blurred(image: np.ndarray, regions: list[Any]) -> np.ndarray:
    """The image with regions (x0, y0, x1, y1) blurred until no head can be seen there."""
    out = image.copy()
    for x0, y0, x1, y1 in (np.round(region).astype(int) for region in regions):
        part = image[y0:y1, x0:x1]
        if part.size:
            strength = max(min(part.shape[:2]) / 4, 8.0)
            out[y0:y1, x0:x1] = cv2.GaussianBlur(part, (0, 0), strength)
    return out


class _Folder:
    """A folder of pictures and labels in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images").mkdir(parents=True, exist_ok=True)
        self.samples: list[Sample] = []

    def add(self, sample: Sample, image: np.ndarray, name: str, times: int = 1) -> None:
        file = self.folder / "images" / (name.replace("/", "__").rsplit(".", 1)[0] + ".jpg")
        cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        sample.image_path = file.resolve()
        self.samples += [sample] * times

    def close(self) -> None:
        write_labels(self.folder.resolve() / "labels.jsonl", self.samples)


def main(
    photos: Path,
    proposals: list[Path],
    out: Path,
    held_out: Path = HELD_OUT,
    judged: Path = JUDGED,
    empty: Path | None = None,
    empty_proposals: Path | None = None,
    least: int = 1,
    repeat: int = 1,
    validation: Path = VALIDATION,
) -> None:
    """Write folders to learn from: `out`, and `out`_validation.

    Args:
        photos: folder that the proposals' paths begin in.
        proposals: files of `training.labelling.review propose`.
        out: folder to write.
        held_out: text file, a line a photograph that must not be learnt from.
        judged: folder of judgements.
        empty: folder of photographs without people, at any depth; one clip in five is held out.
        empty_proposals: what a model took for heads on them.
        least: heads that a photograph nobody judged must have.
        repeat: how often photographs that were judged whole, and empty ones with something that
            was taken for a head, are listed in `out`.
        validation: text file, a line a photograph that is validated on.
    """
    kept_away, validated = read_names(held_out), read_names(validation)
    folders = {False: _Folder(out), True: _Folder(out.with_name(out.name + "_validation"))}
    labels = {label["image"]: label for label in read_judged(judged)}
    counts = Counter[str]()
    rows = [row for file in proposals for row in whole_lines(file)]
    for row in tqdm(rows, unit="photo"):
        name, label = row["image"], labels.get(row["image"])
        if name in kept_away or (label is not None and label.get("drop")):
            counts["held out or dropped"] += 1
            continue
        image = cv2.imread(str(photos / name), cv2.IMREAD_COLOR)
        if label is None:
            sample = ruled_sample(row, photos / name)
            if len(sample.heads) < least:
                counts["nothing known"] += 1
                continue
            kind = "portraits" if sample.all_heads else "not whole"
        else:
            sample = judged_sample(label, photos / name, row)
            image = blurred(image, label.get("ignore", []))
            kind = "judged whole" if label["whole"] else "judged in part"
        unseen = name in validated
        times = repeat if label is not None and sample.all_heads and not unseen else 1
        folders[unseen].add(sample, image, name, times)
        counts[kind] += 1
        counts[f"heads, {kind}"] += len(sample.heads)
        counts["heads with a pose"] += sum(h.rotation is not None for h in sample.heads)
        counts["decoys"] += len(sample.decoys)
    if empty is not None:
        known = {r["image"]: r for r in whole_lines(empty_proposals)} if empty_proposals else {}
        for path in find_photos(empty):
            name = path.as_posix()
            if is_held_out(clip_of(path), SEED):
                continue
            image = cv2.imread(str(empty / path), cv2.IMREAD_COLOR)
            sample = empty_sample(empty / path, image.shape[1::-1], known.get(name))
            unseen = is_for_validation(name)
            times = repeat if sample.decoys and not unseen else 1
            folders[unseen].add(sample, image, "empty/" + name, times)
            counts["without people"] += 1
            counts["decoys without people"] += len(sample.decoys)
    for folder in folders.values():
        folder.close()
    for what, count in counts.most_common():
        print(f"{count:9,} {what}")
    print(json.dumps(dict(counts)))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
