# SPDX-License-Identifier: Apache-2.0
"""Reader for CMU Panoptic: calibrations, 3-D faces and HD frames, labelled as DirectMHP does.

A sequence is a folder as panoptic-toolbox downloads it: `calibration_<sequence>.json`,
`hdFace3d/faceRecon3D_hd<frame>.json` and `hdImgs/00_<camera>/00_<camera>_<frame>.jpg`. Where only
the videos were downloaded, `panoptic_frames` writes the frames that are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hpe_vlm_ros.pictures import is_hidden

from ..sample import Sample
from .common import NoLabel, Report, read_json, usable_picture
from .landmarks import REFERENCE_FACE, Lens, label_head

Part = Literal["train", "val"]
# DirectMHP's split; the paper tests on the second part.
SEQUENCES: dict[Part, tuple[str, ...]] = {
    "train": (
        "171204_pose3", "161029_piano4", "160422_ultimatum1", "170307_dance5", "160906_pizza1",
        "170221_haggling_b3", "170224_haggling_a3", "170404_haggling_a1", "170407_haggling_b2",
    ),
    "val": (
        "171026_pose3", "171026_cello3", "160224_haggling1", "160906_ian1", "170915_office1",
        "170221_haggling_m3", "170228_haggling_b1", "170407_haggling_a2",
    ),
}  # fmt: skip
SOURCE_COUNTS = {
    "train": {"images": 15718, "heads": 35725},
    "val": {"images": 16216, "heads": 32738},
}
HD_CAMERAS = 31
STEP, LONG_STEP = 60, 180  # every how many frames; the latter in videos of more than
LONG_SECONDS = 300
FRAMES_A_SECOND = 29.97
SMALLEST_FILE = 100 * 1024  # bytes; a smaller HD frame is damaged or dark

# Landmarks of face70 (OpenPose's order) that correspond to REFERENCE_FACE's points.
MATCHED = np.array([17, 21, 26, 22, 45, 42, 39, 36, 35, 31, 54, 48, 57, 8])
SELLION = 27  # upper end of the nose's bridge
LEAST_SCORE, LEAST_POINTS = 0.1, 7  # a landmark's averageScore must be above; so many are needed
CENTIMETRES = 100.0


def read_panoptic(
    root: Path | str, part: Part = "val", report: Report | None = None
) -> list[Sample]:
    """The frames of a part that DirectMHP keeps: sequence by sequence, camera by camera.

    Every 60th frame (every 180th in videos of more than five minutes) of 31 HD cameras. Boxes have
    whole pixels, `position` is the upper end of the nose's bridge in metres. `focal` is the mean
    of the calibration's two; its principal point and lens distortion are used for the labels, but
    a `Sample` knows neither.
    Left out and counted: sequences and cameras that are not there; frames without face landmarks,
    unreadable, under 100 kB (damaged), with a face that has fewer than 7 landmarks scored above
    0.1 or no valid angle triple (the whole frame goes, as its heads would be labelled in part), or
    without a usable head; heads outside the frame, cut so that their box is longer than 1.5 times
    its width (or wider), or larger than 0.7 of the frame. From all sequences this leaves DirectMHP
    15,718 frames with 35,725 heads for training and 16,216 with 32,738 for validation, the paper's
    test set. The 100 kB are of the file as it lies there: frames written with another quality
    than OpenCV's 95 (as here and by DirectMHP) may differ.
    Raises FileNotFoundError if no sequence of the part is there, ValueError for a calibration
    that cannot be read.

    Args:
        root: the folder with the sequences' folders.
        part: train or val.
        report: takes the counts; without one they are only logged.
    """
    root, report = Path(root), Report() if report is None else report
    samples = []
    for name in _present(root, part, report):
        cameras = read_calibration(root / name / f"calibration_{name}.json")
        for number in range(HD_CAMERAS):
            files = (root / name / "hdImgs" / f"00_{number:02d}").glob("*.jpg")
            frames = sorted(file for file in files if not is_hidden(file.name))
            if number not in cameras or not frames:
                report.leave_out("camera without frames or calibration", f"{name} 00_{number:02d}")
                continue
            for path in _chosen(frames):
                sample = _sample(root / name, path, cameras[number], report)
                if sample is not None:
                    samples.append(sample)
    report.finish(samples, SOURCE_COUNTS[part])
    return samples


def read_calibration(path: Path) -> dict[int, dict[str, np.ndarray]]:
    """The HD cameras (panel 0) of a calibration by number: K, distCoef (5,), R (3, 3), t (3,).

    A point p of the dome, in centimetres, is at R p + t in the camera's optical frame.
    """
    shapes = {"K": (3, 3), "distCoef": (5,), "R": (3, 3), "t": (3,)}
    try:
        return {
            int(camera["node"]): {
                key: np.asarray(camera[key], dtype=float).reshape(shape)
                for key, shape in shapes.items()
            }
            for camera in read_json(path)["cameras"]
            if int(camera["panel"]) == 0
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a calibration of CMU Panoptic ({error!r})") from error


def _present(root: Path, part: Part, report: Report) -> list[str]:
    names = [name for name in SEQUENCES[part] if (root / name).is_dir()]
    if not names:
        raise FileNotFoundError(
            f"{root}: none of the sequences {', '.join(SEQUENCES[part])}; "
            "download them with panoptic-toolbox"
        )
    for name in SEQUENCES[part]:
        if name not in names:
            report.leave_out("sequence missing", name)
    return names


def frame_step(frames: int, rate: float) -> int:
    """Every how many frames of a video one is used."""
    return LONG_STEP if int(frames / rate) > LONG_SECONDS else STEP


def _number(frame: Path) -> int:
    return int(frame.stem.rsplit("_", 1)[1])


def _chosen(frames: list[Path]) -> Iterator[Path]:
    """The frames that are used, of all (or at least all used ones) of one camera."""
    frames = [frame for frame in frames if frame.stem.rsplit("_", 1)[-1].isdigit()]
    step = frame_step(_number(frames[-1]) + 1, FRAMES_A_SECOND) if frames else STEP
    return (frame for frame in frames if _number(frame) % step == 0)


def _sample(
    sequence: Path, path: Path, camera: dict[str, np.ndarray], report: Report
) -> Sample | None:
    name = f"{sequence.name}/{path.name}"
    faces = sequence / "hdFace3d" / f"faceRecon3D_hd{_number(path):08d}.json"
    if not faces.exists():
        report.leave_out("frame without face landmarks", name)
        return None
    size = usable_picture(path, report)
    if size is None:
        return None
    if path.stat().st_size < SMALLEST_FILE:
        report.leave_out("frame under 100 kB", name)
        return None
    try:
        people = [person["face70"] for person in read_json(faces)["people"]]
        arrays = [_arrays(face) for face in people]
    except (KeyError, TypeError, ValueError):
        report.leave_out("frame with unreadable face landmarks", faces)
        return None
    lens = Lens(camera["K"], size, camera["distCoef"])
    sample = Sample(path, *size, focal=float(camera["K"][[0, 1], [0, 1]].mean()))
    lost = _add_heads(sample, arrays, camera, lens, name, report)
    if lost or not sample.heads:
        why = "frame with a face that cannot be labelled" if lost else "frame without a usable head"
        report.leave_out(why, name)
        return None
    return sample


def _arrays(face: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    landmarks = np.asarray(face["landmarks"], dtype=float).reshape(70, 3)
    return landmarks, np.asarray(face["averageScore"], dtype=float).reshape(70)


def _add_heads(
    sample: Sample,
    faces: list[tuple[np.ndarray, np.ndarray]],
    camera: dict[str, np.ndarray],
    lens: Lens,
    name: str,
    report: Report,
) -> int:
    """Add the heads that can be labelled; returns how many faces have no angles."""
    lost = 0
    for index, (landmarks, scores) in enumerate(faces):
        in_camera = landmarks @ camera["R"].T + camera["t"]
        sure = scores[MATCHED] > LEAST_SCORE
        sellion = in_camera[SELLION] / CENTIMETRES if scores[SELLION] > LEAST_SCORE else None
        try:
            if sure.sum() < LEAST_POINTS:
                raise NoLabel("face with too few landmarks", seen=True, lost=True)
            head = label_head(in_camera[MATCHED[sure]], REFERENCE_FACE[sure], lens, sellion)
        except NoLabel as fault:
            report.leave_out_head(fault, f"{name}, face {index}", sample)
            lost += fault.lost
        else:
            sample.heads.append(head)
    return lost
