# SPDX-License-Identifier: Apache-2.0
"""What the node's ~/annotations look like over the camera's stream, drawn without Foxglove.

    python docs/figures/people.py        (in the environment of scripts/env.sh; writes people.png)

The shipped model answers views that pan over a rendered scene; `People` follows the heads; the
message that would go to Foxglove is drawn line by line. Grey: predicted; green: looks here.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from std_msgs.msg import Header

from benchmarks.soak.people_stream import SIZE, people_stream
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.nodes.extras import Shown
from hpe_vlm_ros.nodes.extras.annotations import convert
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.perceiver import HeadPerceiver

FILE = Path(__file__).with_name("people.png")
RATE = 5.0  # answers a second
SHOWN = 10, 13, 16


def bgr(colour: Any) -> tuple[int, int, int]:
    return round(255 * colour.b), round(255 * colour.g), round(255 * colour.r)


def draw(rgb: np.ndarray, annotations: Any) -> np.ndarray:
    """The picture with an ImageAnnotations message over it, BGR."""
    image = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    for line in annotations.points:
        points = np.array([[(p.x, p.y) for p in line.points]]).round().astype(np.int32)
        closed = line.type == line.LINE_LOOP
        cv2.polylines(image, points, closed, bgr(line.outline_color), 2, cv2.LINE_AA)
    for text in annotations.texts:
        place = round(text.position.x), max(16, round(text.position.y))
        for colour, width in (((0, 0, 0), 4), (bgr(text.text_color), 1)):
            cv2.putText(
                image, text.text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width, cv2.LINE_AA
            )
    return image


def main(seed: int = 7) -> None:
    perceiver, people, panels = HeadPerceiver.load(device="cpu"), People(), []
    header = Header(frame_id="camera_optical")
    for number, frame in enumerate(islice(people_stream(RATE, seed), max(SHOWN) + 1)):
        camera = CameraIntrinsics(frame.focal, frame.focal, SIZE[0] / 2, SIZE[1] / 2)
        view = View(SIZE, camera, perceiver.head_shape)
        found = people.see(int((1 + number / RATE) * 1e9), perceiver(frame.rgb), view)
        if number in SHOWN:
            panels.append(draw(frame.rgb, convert(Shown("", header, SIZE, found))))
    small = cv2.resize(np.hstack(panels), (1440, 360), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(FILE), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
