# SPDX-License-Identifier: Apache-2.0
"""The node's health as REP-107 diagnostics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from hpe_vlm_ros.nodes.cameras import Camera

if TYPE_CHECKING:
    from hpe_vlm_ros.perceiver import HeadPerceiver

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
SILENT = 3.0  # seconds without an image
WORRYING, GRAVE = 2.0, 10.0  # seconds without an answer, or in which most images get lost
INVALID_RATIO = 0.1  # of the answers about heads; single ones do no harm
DROPPED_LATE = 0.5  # of the answers
LOSSES = (
    ": large ones are lost on the way where quality of service is best effort. With Fast DDS, use "
    "config/fastdds.xml for camera and node (FASTRTPS_DEFAULT_PROFILES_FILE and "
    "FASTDDS_DEFAULT_PROFILES_FILE); else ask for a reliable one in qos_overrides, or set "
    "image_transport to compressed"
)


class Health:
    """What went wrong with the model lately; asked once a second for messages."""

    def __init__(self, node_name: str) -> None:
        """node_name: with its namespace, so that two nodes are told apart."""
        self._name = node_name
        self.fault = ""
        self.failures = 0  # in a row

    def failed(self, text: str) -> None:
        """Keeps a reason for the diagnostics, and counts it as one more failure in a row."""
        self.fault, self.failures = text, self.failures + 1

    def recovered(self) -> None:
        """An image was answered or a transition succeeded: there is no fault any more."""
        self.fault, self.failures = "", 0

    def statuses(
        self,
        state: str,
        model: HeadPerceiver | None,
        cameras: Sequence[Camera],
        period: float = 0.0,
    ) -> list[DiagnosticStatus]:
        """period: seconds from image to image that max_rate asks for."""
        result = [self._model(state, model)]
        if state == "active":
            slowest = max((camera.arrivals.latency for camera in cameras), default=0.0)
            turn = len(cameras) * max(period, slowest)  # what a camera has to wait for
            result += [self._camera(camera, turn) for camera in cameras]
        return result

    def _model(self, state: str, model: HeadPerceiver | None) -> DiagnosticStatus:
        level, text = (ERROR, self.fault) if self.fault else (OK, state)
        if not self.fault and state == "unconfigured":
            text = "unconfigured: no model is loaded"
        facts: dict[str, object] = {"state": state, "model": "", "device": ""}
        if model is not None:
            facts |= {"model": model.model_id, "device": model.device, **model.facts()}
            if not self.fault and (warning := model.warning()):
                level, text = WARN, warning
        return self._status(level, "model", text, facts | {"failures": self.failures} | _memory())

    def _camera(self, camera: Camera, turn: float) -> DiagnosticStatus:
        statistics = camera.statistics
        facts: dict[str, object] = {
            "images in, per s": round(statistics.rate("received"), 2),
            "answers out, per s": round(statistics.rate("published"), 2),
        }
        for name in ("latency", "age"):
            if (found := statistics.percentiles(name)) is not None:
                facts[f"{name} p50, ms"], facts[f"{name} p95, ms"] = (
                    round(1000 * v, 1) for v in found
                )
        facts |= dict(sorted(statistics.counts.items()))
        level, text = judge(camera, turn)
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
    """The message of /diagnostics; `stamp` is the node's time."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message


def judge(camera: Camera, turn: float) -> tuple[bytes, str]:
    """The gravest thing there is to say about a camera's stream; it is its turn every `turn` s."""
    statistics, arrivals = camera.statistics, camera.arrivals
    share, losing = arrivals.losing()
    if arrivals.silence() > SILENT:
        return (ERROR, camera.qos_mismatch) if camera.qos_mismatch else _silent(camera, losing)
    answers, late = statistics.rate("answered"), statistics.rate("late")
    invalid, heads = statistics.rate("invalid"), statistics.rate("heads")
    unanswered = arrivals.unanswered() - turn
    if unanswered > WORRYING or (not answers and statistics.rate("failed")):
        level = WARN if WORRYING < unanswered <= GRAVE else ERROR
        why = arrivals.reason or "the model has not answered yet"
        return level, f"no image answered for {unanswered + turn:.0f} s: {why}"
    if losing > WORRYING:
        return (ERROR if losing > GRAVE else WARN), f"{share:.0%} of the images never came{LOSSES}"
    if heads and invalid / heads > INVALID_RATIO:
        return WARN, f"{invalid / heads:.0%} of the answers about heads are invalid"
    if answers and late / answers > DROPPED_LATE:
        return WARN, "most answers come later than max_age: raise it, or lower max_heads"
    if camera.info_problem:
        return WARN, camera.info_problem
    return OK, "answering" if answers else "waiting for the first answer"


def _silent(camera: Camera, losing: float) -> tuple[bytes, str]:
    silence = camera.arrivals.silence()
    past = "never came" if silence == float("inf") else f"last came {silence:.0f} s ago"
    text = f"no images: one {past} on {camera.topic}; check the camera and image_topic"
    if not camera.offers():
        return WARN, text
    level = ERROR if losing > GRAVE else WARN
    return level, f"{text}. It is published, so images may get lost{LOSSES}"


def _memory() -> dict[str, object]:
    """Resident memory, where the system tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return {}
    # some ARM systems have pages of 16 or 64 kB
    return {"memory, MB": round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)}
