# SPDX-License-Identifier: Apache-2.0
"""What people get to see of a run: pictures, the recorded answers, and a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tf2_msgs.msg import TFMessage

from demo.bags import write_message
from demo.frames import Rgb
from demo.link import Sent
from demo.play import NAMESPACE, Played
from hpe_vlm_ros.drawing import contact_sheet, draw_heads
from hpe_vlm_ros.geometry import matrix_from_quaternion, rotation_from_face
from hpe_vlm_ros.images import to_rgb
from hpe_vlm_ros.msg import HeadPose
from hpe_vlm_ros.recordings.bag_writer import BagWriter

LONGEST = 960  # pixels of a side of the video
SHEET = (4, 16)  # columns, pictures


@dataclass(frozen=True)
class ReceivedHead:
    """A head as drawing wants it, out of nothing but the message."""

    box: tuple[float, float, float, float]
    rotation: NDArray[np.float64]
    yaw: float

    @classmethod
    def of(cls, message: HeadPose) -> ReceivedHead:
        turn = message.pose.pose.orientation
        face = matrix_from_quaternion((turn.x, turn.y, turn.z, turn.w))
        box = (message.x_min, message.y_min, message.x_max, message.y_max)
        return cls(box, rotation_from_face(face), math.degrees(message.yaw))


def drawn(sent: Sent) -> Rgb:
    """The picture of a frame with what the node answered about it."""
    heads = sent.answer.heads if sent.answer else []
    return draw_heads(to_rgb(sent.frame.image), [ReceivedHead.of(head) for head in heads])


def caption(sent: Sent) -> str:
    if sent.answer is None:
        text = "no answer"
    else:
        count = len(sent.answer.heads)
        text = f"{count} head{'' if count == 1 else 's'}"
    return f"{sent.frame.caption}: {text}" if sent.frame.caption else text


def write_pictures(sent: Sequence[Sent], folder: Path) -> list[Path]:
    """The annotated video and a contact sheet of frames at equal distances; the files written."""
    columns, count = SHEET
    chosen = np.unique(np.linspace(0, len(sent) - 1, min(count, len(sent))).round().astype(int))
    sheet = contact_sheet(
        [drawn(sent[i]) for i in chosen], columns, captions=[caption(sent[i]) for i in chosen]
    )
    file = folder / "contact_sheet.png"
    if not cv2.imwrite(str(file), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{file} cannot be written; choose another folder with --out")
    return [write_video(sent, folder / "heads.mp4"), file]


def write_video(sent: Sequence[Sent], file: Path) -> Path:
    """The annotated frames as MPEG-4, or where OpenCV cannot write that, as an animated WebP."""
    height, width = to_rgb(sent[0].frame.image).shape[:2]
    ratio = min(1.0, LONGEST / max(height, width))
    size = (max(2, int(width * ratio) // 2 * 2), max(2, int(height * ratio) // 2 * 2))
    rate = frame_rate([s.frame.stamp for s in sent])
    pictures = (contact_sheet([drawn(s)], 1, size, [caption(s)], gap=0) for s in sent)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    if not writer.isOpened():
        return _write_webp(pictures, rate, file.with_suffix(".webp"))
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return file


def _write_webp(pictures: Iterator[Rgb], rate: float, file: Path) -> Path:
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    images[0].save(file, save_all=True, append_images=images[1:], duration=1000 / rate, quality=80)
    return file


def frame_rate(stamps: Sequence[int]) -> float:
    """Frames per second of stamps in nanoseconds, 1 to 60."""
    if len(stamps) < 2:
        return 1.0
    return float(np.clip(1e9 / max(np.median(np.diff(stamps)), 1.0), 1.0, 60.0))


def write_results(sent: Sequence[Sent], folder: Path) -> Path:
    """A rosbag2 with every image (JPEG), its calibration, poses and TF under original headers.

    All that belongs to a frame lies at the time of its stamp, so that the bag plays at the source's
    pace with the answers beside their images, however long the model took.
    """
    with BagWriter(folder) as bag:
        for one in sent:
            stamp = one.frame.stamp
            write_message(bag, f"{NAMESPACE}/image_raw/compressed", stamp, one.frame.image)
            if one.frame.info is not None:
                write_message(bag, f"{NAMESPACE}/camera_info", stamp, one.frame.info)
            if one.answer is not None:
                write_message(bag, f"{NAMESPACE}/perception/head_poses", stamp, one.answer)
            if one.transforms:
                write_message(bag, "/tf", stamp, TFMessage(transforms=one.transforms))
    return folder


def table(played: Played) -> str:
    """The run in numbers, and for named frames how many heads each kind has."""
    answers = [s for s in played.sent if s.answer is not None]
    heads = [len(s.answer.heads) for s in answers if s.answer]
    model = [s.answer.inference_latency for s in answers if s.answer]
    rows = [
        ("frames sent", f"{len(played.sent)}"),
        ("frames answered", f"{len(answers)}"),
        ("dropped", f"{len(played.sent) - len(answers)}"),
        ("heads", f"{sum(heads)}  (in one frame at most {max(heads, default=0)})"),
        ("TF frames", f"{sum(len(s.transforms) for s in played.sent)}"),
        ("latency p50 / p95", _percentiles([s.latency or 0.0 for s in answers])),
        ("model alone p50 / p95", _percentiles([t.sec + t.nanosec / 1e9 for t in model])),
    ]
    if played.unreadable:
        rows.insert(0, ("unreadable", f"{played.unreadable}  (not sent)"))
    lines = [f"{name:<22} {value}" for name, value in rows]
    return "\n".join([*lines, *_by_caption(answers)])


def _by_caption(answers: Sequence[Sent]) -> list[str]:
    kinds: dict[str, list[Sent]] = {}
    for sent in answers:
        kinds.setdefault(sent.frame.caption, []).append(sent)
    if not 1 < len(kinds) <= 20:
        return []
    lines = ["", f"{'':<22} frames  heads per frame  looking at the camera"]
    for name, group in kinds.items():
        found = [head for s in group if s.answer for head in s.answer.heads]
        known = [h for h in found if math.isfinite(h.looking_at_robot_angle)]
        looking = f"{np.mean([h.looking_at_robot for h in known]):.0%}" if known else "unknown"
        lines.append(f"{name:<22} {len(group):>6} {len(found) / len(group):>16.2f} {looking:>22}")
    return lines


def _percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    middle, high = np.percentile(np.asarray(seconds) * 1000, (50, 95))
    return f"{middle:.0f} / {high:.0f} ms"
