# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes with exact truth as a rosbag2, as if a camera had taken them.

    python -m benchmarks.scene_bag FOLDER [--scenes 100] [--fps 2] [--raw]

Topics: /camera/image_raw/compressed (or /camera/image_raw with --raw), /camera/camera_info, and the
truth as HeadPoseArray on /truth/head_poses. The truth also lies beside the bag, in FOLDER.json,
with the visible share of each head, which messages do not hold. Needs no ROS.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from rosbags.typesys.store import Typestore

from benchmarks.machine import described
from hpe_vlm_ros.recordings.bag_writer import VERSION, BagWriter
from hpe_vlm_ros.recordings.bags import CAMERA_INFO, COMPRESSED, HEADS, RAW
from hpe_vlm_ros.recordings.records import FrameRecord
from hpe_vlm_ros.recordings.result_bag import Builder
from hpe_vlm_ros.recordings.truth_heads import true_head
from training.data.labels import read_labels
from training.data.sample import Sample
from training.testsets import SCENES

FRAME_ID = "camera_optical"
IMAGES, INFO, TRUTH = "/camera/image_raw", "/camera/camera_info", "/truth/head_poses"
START = 1_700_000_000 * 10**9  # ns, of the first frame


def write_scenes(
    folder: Path,
    samples: Sequence[Sample],
    fps: float = 2.0,
    raw: bool = False,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    version: Literal[8, 9] = VERSION,
) -> None:
    """Writes samples as a bag, `fps` a second; heads whose pose is unknown are left out."""
    kind, topic = (RAW, IMAGES) if raw else (COMPRESSED, f"{IMAGES}/compressed")
    entries = []
    with BagWriter(folder, storage, compression, version) as bag:
        for number, sample in enumerate(samples):
            stamp = START + int(number * 1e9 / fps)
            info, image, truth = messages(bag.types, sample, number, stamp, raw)
            bag.add(INFO, stamp, CAMERA_INFO, info)
            bag.add(topic, stamp, kind, image)
            bag.add(TRUTH, stamp, HEADS, truth)
            entries.append(_entry(sample, stamp))
    folder.with_name(f"{folder.name}.json").write_text(json.dumps(entries), encoding="utf-8")


def messages(
    types: Typestore, sample: Sample, number: int, stamp: int, raw: bool
) -> tuple[Any, Any, Any]:
    """camera_info, image and truth of one sample under one header."""
    build = Builder(types, "truth")
    record = true_record(sample, number, stamp)
    header = build.header(record)
    return _info(types, header, sample), _image(types, header, sample, raw), build.array(record)


def true_record(sample: Sample, number: int, stamp: int) -> FrameRecord:
    heads = tuple(
        true_head(head.box, head.rotation, head.visible, position=head.position)
        for head in sample.heads
        if head.rotation is not None
    )
    return FrameRecord(
        recording="scenes", number=number, stamp=stamp, recorded=stamp,
        name=sample.image_path.name, frame_id=FRAME_ID, width=sample.width, height=sample.height,
        heads=heads,
    )  # fmt: skip


def _entry(sample: Sample, stamp: int) -> dict[str, Any]:
    """A frame of truth as `replay --truth` reads it."""
    heads = [
        {
            "box": np.asarray(head.box).tolist(),
            "rotation": np.asarray(head.rotation).tolist(),
            "visible": head.visible,
            "position": None if head.position is None else np.asarray(head.position).tolist(),
        }
        for head in sample.heads
        if head.rotation is not None
    ]
    return {"stamp_ns": stamp, "heads": heads}


def _info(types: Typestore, header: Any, sample: Sample) -> Any:
    made = types.types
    f, cx, cy = float(sample.focal or 0.0), sample.width / 2, sample.height / 2
    return made[CAMERA_INFO](
        header=header,
        height=sample.height,
        width=sample.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([f, 0, cx, 0, f, cy, 0, 0, 1.0]),
        r=np.eye(3).ravel(),
        p=np.array([f, 0, cx, 0, 0, f, cy, 0, 0, 0, 1.0, 0]),
        binning_x=0,
        binning_y=0,
        roi=made["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
    )


def _image(types: Typestore, header: Any, sample: Sample, raw: bool) -> Any:
    if not raw:
        data = np.frombuffer(sample.image_path.read_bytes(), np.uint8)
        return types.types[COMPRESSED](header=header, format="jpeg", data=data)
    pixels = np.asarray(cv2.imread(str(sample.image_path)), np.uint8)
    height, width, _ = pixels.shape
    return types.types[RAW](
        header=header, height=height, width=width, encoding="bgr8", is_bigendian=0,
        step=3 * width, data=pixels.ravel(),
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = described("python -m benchmarks.scene_bag", __doc__)
    parser.add_argument("folder", type=Path, help="of the new bag")
    parser.add_argument("--scenes", type=int, default=100, metavar="N", help="how many (100)")
    parser.add_argument("--fps", type=float, default=2.0, metavar="F", help="frames a second (2)")
    parser.add_argument("--raw", action="store_true", help="raw images instead of JPEG")
    options = parser.parse_args(arguments)
    write_scenes(options.folder, read_labels(SCENES, options.scenes), options.fps, options.raw)
    print(f"wrote {options.folder}")


if __name__ == "__main__":
    main()
