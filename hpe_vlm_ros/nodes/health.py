# SPDX-License-Identifier: Apache-2.0
"""The node's health as REP-107 diagnostics."""

from __future__ import annotations

import time
from collections.abc import Iterable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from hpe_vlm_ros.nodes.cameras import Camera

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
SILENT = 3.0  # seconds without an image
INVALID_RATIO = 0.1
DROPPED_LATE = 0.5  # of the answers


class Health:
    """What went wrong with the model lately; asked once a second for messages."""

    def __init__(self, node_name: str) -> None:
        """node_name: with its namespace, so that two nodes are told apart."""
        self._name = node_name
        self.fault = ""
        self.failures = 0  # in a row

    def failed(self, text: str) -> None:
        self.fault, self.failures = text, self.failures + 1

    def recovered(self) -> None:
        self.fault, self.failures = "", 0

    def statuses(
        self, state: str, model: str, device: str, cameras: Iterable[Camera]
    ) -> list[DiagnosticStatus]:
        result = [self._model(state, model, device)]
        if state == "active":
            result += [self._camera(camera) for camera in cameras]
        return result

    def _model(self, state: str, model: str, device: str) -> DiagnosticStatus:
        level, text = (ERROR, self.fault) if self.fault else (OK, state)
        if not self.fault and state == "unconfigured":
            text = "unconfigured: no model is loaded"
        facts = {"state": state, "model": model, "device": device, "failures": self.failures}
        return self._status(level, "model", text, facts | _memory())

    def _camera(self, camera: Camera) -> DiagnosticStatus:
        seen = camera.statistics
        facts: dict[str, object] = {
            "images in, per s": round(seen.rate("received"), 2),
            "answers out, per s": round(seen.rate("published"), 2),
        }
        for name in ("latency", "age"):
            if (found := seen.percentiles(name)) is not None:
                facts[f"{name} p50, ms"], facts[f"{name} p95, ms"] = (
                    round(1000 * v, 1) for v in found
                )
        facts |= {name: count for name, count in sorted(seen.counts.items())}
        level, text = _judge(camera)
        return self._status(level, f"camera {camera.name}".rstrip(), text, facts)

    def _status(
        self, level: bytes, about: str, text: str, facts: dict[str, object]
    ) -> DiagnosticStatus:
        values = [KeyValue(key=key, value=str(value)) for key, value in facts.items()]
        return DiagnosticStatus(
            level=level,
            name=f"{self._name}: {about}",
            message=text,
            hardware_id=self._name,
            values=values,
        )


def array(statuses: list[DiagnosticStatus], stamp: object) -> DiagnosticArray:
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message


def _judge(camera: Camera) -> tuple[bytes, str]:
    """The gravest thing there is to say about a camera's stream."""
    seen = camera.statistics
    silence = time.monotonic() - camera.last_image
    answers, late = seen.rate("answered"), seen.rate("late")
    invalid, heads = seen.rate("invalid"), seen.rate("heads")
    if camera.qos_mismatch and silence > SILENT:
        return ERROR, camera.qos_mismatch
    if silence > SILENT:
        past = "never came" if silence == float("inf") else f"last came {silence:.0f} s ago"
        return WARN, f"no images: one {past} on {camera.topic}; check the camera and image_topic"
    if not answers and seen.rate("failed"):
        return ERROR, "no image could be answered; see the node's warnings"
    if heads and invalid / heads > INVALID_RATIO:
        return WARN, f"{invalid / heads:.0%} of the answers about heads are invalid"
    if answers and late / answers > DROPPED_LATE:
        return WARN, "most answers come later than max_age: raise it, or lower max_heads"
    if camera.info_problem:
        return WARN, camera.info_problem
    return OK, "answering" if answers else "waiting for the first answer"


def _memory() -> dict[str, object]:
    """Resident memory, where the system tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return {}
    return {"memory, MB": round(pages * 4096 / 1e6)}
