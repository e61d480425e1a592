# SPDX-License-Identifier: Apache-2.0
"""A server whose model is of another family: the client asks and reads as ever."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from chat_server import Reply, Server, prompt_of, said

from hpe_vlm_ros.answers import DETECTION_PROMPT, format_angles, format_boxes, parse_boxes
from hpe_vlm_ros.perceiver import HeadPerceiver

pytest.importorskip("torch", reason="the server's model needs requirements-torch.txt")

from tiny_families import CHAT_FAMILIES, write  # noqa: E402


def serving(perceiver: HeadPerceiver, seen: list[np.ndarray]) -> Callable[[dict[str, Any]], Reply]:
    """Answers as the model of `perceiver` does, about the picture in the request."""

    def answer(body: dict[str, Any]) -> Reply:
        url = next(p for p in body["messages"][0]["content"] if p["type"] == "image_url")
        code = base64.b64decode(url["image_url"]["url"].partition(",")[2])
        image = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        seen.append(np.ascontiguousarray(image))
        look, prompt = perceiver.look(seen[-1]), prompt_of(body)
        if prompt.startswith(DETECTION_PROMPT):
            return said(format_boxes([found.box for found in look.detect(2)]))
        boxes = parse_boxes(prompt).value
        if not boxes:
            return said("That was not asked before.")
        return said(format_angles(*look.poses(boxes[:1])[0]))

    return answer


@pytest.mark.parametrize("family", CHAT_FAMILIES)
def test_a_server_of_another_family_says_what_its_model_says(
    family: str, server: Server, tmp_path: Path
) -> None:
    local, seen = HeadPerceiver.load(write(tmp_path / family, family), "cpu"), []
    server.answer = serving(local, seen)
    remote = HeadPerceiver.load(server.url)
    image = np.random.default_rng(4).integers(0, 256, (72, 120, 3), dtype=np.uint8)
    boxes = [(10.0, 10.0, 60.0, 50.0), (70.0, 20.0, 110.0, 60.0)]
    poses = remote.poses(image, boxes)
    written = local.look(seen[-1]).poses([(83, 138, 500, 694), (583, 277, 916, 833)])
    for head, (yaw, pitch, roll) in zip(poses, written, strict=True):
        if max(abs(pitch), abs(roll)) < 90:
            assert (head.yaw, head.pitch, head.roll) == pytest.approx((yaw, pitch, roll))
        assert np.isfinite(head.rotation).all()
    assert len(remote(image)) <= 2
