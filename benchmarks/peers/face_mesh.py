# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's face mesh over pictures, for `benchmarks.peers`; imports nothing of this package.

MediaPipe 0.10.21, the last whose wheel brings its own models, wants older libraries than ours, so
it lives in an environment of its own:

    python3.11 -m venv mediapipe-env
    mediapipe-env/bin/pip install mediapipe==0.10.21
    python -m benchmarks.peers --mediapipe mediapipe-env/bin/python

Reads paths of pictures, one a line; writes a JSON line for each: milliseconds, and the 468
landmarks of each face as x, y, z in pixels (z in x's scale, smaller is nearer).
"""

from __future__ import annotations

import json
import sys
import time

MOST_FACES = 20


def main() -> None:
    import cv2
    import mediapipe

    settings = {"static_image_mode": True, "max_num_faces": MOST_FACES}
    with mediapipe.solutions.face_mesh.FaceMesh(**settings) as mesh:
        for line in sys.stdin:
            image = cv2.cvtColor(cv2.imread(line.rstrip("\n")), cv2.COLOR_BGR2RGB)
            height, width = image.shape[:2]
            started = time.perf_counter()
            found = mesh.process(image).multi_face_landmarks or []
            elapsed = 1000 * (time.perf_counter() - started)
            faces = [
                [[p.x * width, p.y * height, p.z * width] for p in face.landmark] for face in found
            ]
            print(json.dumps({"ms": elapsed, "faces": faces}), flush=True)


if __name__ == "__main__":
    main()
