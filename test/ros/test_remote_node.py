# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics and the log tell of a model on a server."""

from __future__ import annotations

import pytest
from chat_server import Server
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from dialect_servers import LlamaCpp
from graph import NodeProcess, Peer, picture
from talking_model import TalkingModel

from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    format_angles,
    format_boxes,
    format_referred,
    pose_prompt,
)
from hpe_vlm_ros.remote import square

BOX = (100, 200, 300, 500)


@pytest.mark.parametrize("right", [True, False])
def test_diagnostics_tell_what_a_server_can_do(node: NodeProcess, peer: Peer, right: bool) -> None:
    x0, y0, x1, y1 = square.place()
    told = (x0, y0, x1, y1) if right else (x0, y0 + 100, x1, y1 + 100)
    says = {
        DETECTION_PROMPT: format_boxes([BOX]),
        pose_prompt(BOX): format_angles(30, -10, 5),
        square.QUESTION: format_referred(told),
    }
    server = Server()
    LlamaCpp(TalkingModel(says)).serve(server)
    heard: list[DiagnosticStatus] = []

    def keep(array: DiagnosticArray) -> None:
        heard.extend(s for s in array.status if s.name == "/perception: model")

    peer.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    try:
        peer.set_parameters(model=server.url, max_age=30.0)
        peer.activate()
        assert len(peer.answer(picture()).heads) == 1
        heard.clear()
        assert peer.spin_until(lambda: heard)
    finally:
        server.close()
    facts = {value.key: value.value for value in heard[-1].values}
    assert facts["model"] == "head-poses@127.0.0.1" and facts["server"] == "llama.cpp"
    assert facts["grammar"] == "obeyed, as llama.cpp takes it"
    assert facts["probabilities"].startswith("of ") and facts["thinking"] == "off"
    if right:
        assert heard[-1].level == DiagnosticStatus.OK
        assert facts["square test"] == "right to 0.0 % of a side"
    else:
        assert heard[-1].level == DiagnosticStatus.WARN
        assert "pixels" in heard[-1].message and "boxes are off by" in heard[-1].message
        assert "boxes are off by" in node.log
    assert "server: llama.cpp; grammar: obeyed" in node.log
