# SPDX-License-Identifier: Apache-2.0
"""The node with a model of another family, and with two models."""

from pathlib import Path

from graph import NodeProcess, Peer, picture
from tiny_families import write


def test_a_published_model_warns_and_reads_heads_that_another_finds(
    node: NodeProcess, peer: Peer, tiny_model: Path, tmp_path: Path
) -> None:
    model = write(tmp_path / "published", "qwen3_vl", taught=False)
    assert all(
        one.successful
        for one in peer.set_parameters(
            model=str(model), detector=str(tiny_model), tracking=False, max_age=0.0
        )
    )
    peer.activate()
    array = peer.answer(picture())
    assert array.heads
    assert array.model_id.startswith("published-") and ", heads found by tiny-" in array.model_id
    assert "this Qwen3-VL has not been trained for head poses" in node.log
