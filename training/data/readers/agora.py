# SPDX-License-Identifier: Apache-2.0
"""Reader for AGORA: SMPL-X joints and cameras become head rotations and boxes as DirectMHP's do.

AGORA's download page offers "ground truth with joints and vertices": train_0_withjv.pkl to
train_9_withjv.pkl and the same for validation, pickled DataFrames with one row an image. They are
read without pandas and can run no code (`frame_pickle`).

`gt_joints_3d` holds each person's 127 SMPL-X joints in the camera's optical frame, in metres. They
come from the body's own frame by p = camR diag(1, -1, -1) joint + camT, where

    camR = Rx(camPitch) Ry(-camYaw) Ry(Yaw - 90)
    camT = Rx(camPitch) Ry(-camYaw) (person - camera)

and DirectMHP fits its reference face before that step and multiplies by camR afterwards. Fitting
to the joints as they stand in the camera's frame is the same and needs no more than this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.pictures import is_hidden

from ..sample import Sample
from .common import NoLabel, Report, usable_picture
from .frame_pickle import read_frame
from .landmarks import REFERENCE_FACE, Lens, label_head, project

# What DirectMHP prints after reading all ten files of a part.
SOURCE_COUNTS = {
    "train": {"images": 14408, "heads": 105046},
    "validation": {"images": 1070, "heads": 7505},
}
FILES_A_PART = 10

FACE_JOINTS = 76  # the first of the 51 face joints, in the order of the usual 68 less the jaw
# Those that correspond to REFERENCE_FACE's points but the last, the chin.
MATCHED = FACE_JOINTS + np.array([0, 4, 9, 5, 28, 25, 22, 19, 18, 14, 37, 31, 40])
SELLION = FACE_JOINTS + 10  # upper end of the nose's bridge
JOINTS = 127

# By what the picture's name holds, the first that fits; cam00 to cam03 are the indoor scenes'.
FOCAL_MM = {"hdri": 50.0, "cam00": 18.0, "cam01": 18.0, "cam02": 18.0, "cam03": 18.0, "": 28.0}
SENSOR_MM = (36.0, 20.25)
MAX_OCCLUSION = 90.0  # per cent of the person
FULL_WIDTH = 3840  # pixels, what gt_joints_2d refers to
TOLERANCE = 2.0  # pixels of the picture, between the projected joints and the file's

_COLUMNS = ("imgPath", "occlusion", "gt_joints_2d", "gt_joints_3d")


def read_agora(
    annotations: Path | str, images: Path | str, report: Report | None = None
) -> list[Sample]:
    """AGORA's images with a labelled head, in the order of the files; children included.

    Works with the 1280 x 720 pictures, which DirectMHP and the paper use, and the 3840 x 2160
    ones. Boxes have whole pixels. `position` is the upper end of the nose's bridge in metres.
    `visible` is 1 throughout: the source knows how much of the person is hidden, not of the head.
    Left out and counted: people hidden to 90 % or more; heads outside the picture, cut so that
    their box is longer than 1.5 times its width (or wider), larger than 0.7 of the picture, or
    without a valid angle triple; people whose joints do not project to where the file says;
    pictures that are missing, unreadable or without a head. These filters are DirectMHP's, and so
    are the counts: 14,408 images with 105,046 heads and, for validation, 1,070 with 7,505. The
    paper uses 9,654 images with 64,187 heads and does not say which.
    A picture that loses a head which may well show is marked `all_heads=False`.
    Raises FileNotFoundError, or ValueError naming a file that is no such table.

    Args:
        annotations: a folder with *_withjv.pkl files of one part, or one such file; they may be
            compressed (.gz, .bz2, .xz, .zip) and written anew by any pandas up to 3.
        images: the folder with the pictures, at any depth (train_0 to train_9 side by side).
        report: takes the counts; without one they are only logged.
    """
    annotations = Path(annotations)
    report = Report() if report is None else report
    files = [annotations] if annotations.is_file() else _tables(annotations)
    if not files:
        raise FileNotFoundError(
            f"{annotations}: no *_withjv.pkl; download AGORA's SMPL-X ground truth with joints"
        )
    pictures = {path.name: path for path in sorted(Path(images).rglob("*.png"))}
    samples = []
    for file in files:
        for row in _rows(file):
            sample = _sample(row, pictures, report)
            if sample is not None:
                samples.append(sample)
    part = files[0].name.split("_")[0]
    whole = len(files) == FILES_A_PART and part in SOURCE_COUNTS
    report.finish(samples, SOURCE_COUNTS[part] if whole else {})
    return samples


def _tables(folder: Path) -> list[Path]:
    """The tables of a folder, each once: a compressed copy only where there is no other."""
    found = sorted(folder.glob("*_withjv.pkl*"), reverse=True)  # so that the plain one comes last
    once = {file.name.split(".")[0]: file for file in found if not is_hidden(file.name)}
    return sorted(once.values())


def agora_lens(name: str, size: tuple[int, int]) -> Lens:
    """The camera that rendered the picture `name`, for a picture of `size` (width, height).

    50 mm where the name says hdri, 18 mm for the fixed cameras cam00 to cam03, else 28 mm, on a
    sensor of 36 x 20.25 mm; no distortion.
    """
    millimetres = next(focal for part, focal in FOCAL_MM.items() if part in name)
    (width, height), (wide, high) = size, SENSOR_MM
    focal_x, focal_y = millimetres / wide * width, millimetres / high * height
    return Lens(np.array([[focal_x, 0, width / 2], [0, focal_y, height / 2], [0, 0, 1.0]]), size)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    columns = read_frame(file)
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise ValueError(
            f"{file}: no column {', '.join(missing)}; take the file with joints (*_withjv.pkl)"
        )
    for values in zip(*(columns[name] for name in _COLUMNS), strict=True):
        row = dict(zip(_COLUMNS, values, strict=True))
        people = {len(row[name]) for name in _COLUMNS[1:]}
        if len(people) != 1:
            raise ValueError(f"{file}: {row['imgPath']} does not list the same people throughout")
        yield row


def _sample(row: dict[str, Any], pictures: dict[str, Path], report: Report) -> Sample | None:
    name = str(row["imgPath"])
    small = name if "_1280x720" in name else name.replace(".png", "_1280x720.png")
    path = pictures.get(small) or pictures.get(name)
    if path is None:
        report.leave_out("picture missing", small)
        return None
    size = usable_picture(path, report)
    if size is None:
        return None
    lens = agora_lens(name, size)
    sample = Sample(path, *size, focal=float(lens.matrix[0, 0]))
    people = zip(row["occlusion"], row["gt_joints_2d"], row["gt_joints_3d"], strict=True)
    for index, (occlusion, pixels, joints) in enumerate(people):
        try:
            _add_head(sample, float(occlusion), np.asarray(pixels), np.asarray(joints), lens)
        except NoLabel as fault:
            report.leave_out_head(fault, f"{name}, person {index}", sample)
    if not sample.heads:
        report.leave_out("picture without a usable head", name)
        return None
    return sample


def _add_head(
    sample: Sample, occlusion: float, pixels: np.ndarray, joints: np.ndarray, lens: Lens
) -> None:
    if not occlusion < MAX_OCCLUSION:
        raise NoLabel(f"person hidden to {MAX_OCCLUSION:g} % or more", seen=False)
    if joints.shape != (JOINTS, 3) or pixels.shape != (JOINTS, 2):
        raise NoLabel(f"person without {JOINTS} joints", seen=True)
    joints = joints.astype(float)
    if _misfit(joints, pixels, lens) > TOLERANCE:
        raise NoLabel("person whose joints do not project to where the file says", seen=True)
    reference = REFERENCE_FACE[: len(MATCHED)]
    sample.heads.append(label_head(joints[MATCHED], reference, lens, sellion=joints[SELLION]))


def _misfit(joints: np.ndarray, pixels: np.ndarray, lens: Lens) -> float:
    """Median distance in pixels between the projected joints and the file's, which refer to the
    full-size picture or, in files that DirectMHP extended, to this one."""
    projected = project(joints, lens)
    scales = (lens.size[0] / FULL_WIDTH, 1.0)
    return min(float(np.median(np.linalg.norm(projected - pixels * s, axis=1))) for s in scales)
