# SPDX-License-Identifier: Apache-2.0
"""States, refusals and the end of the node's process."""

import re
import shutil
import signal

import numpy as np
import pytest
from graph import NodeProcess, Peer, picture
from lifecycle_msgs.srv import ChangeState


def test_the_states_do_what_they_promise(node: NodeProcess, peer: Peer):
    assert peer.count_publishers("perception/head_poses") == 0
    assert peer.transition("configure")
    assert "loaded tiny-" in node.log
    assert peer.spin_until(lambda: peer.count_publishers("perception/head_poses"))
    assert peer.count_subscribers("image_raw") == 0, "subscribed before it was active"

    for _ in range(2):  # a second round works like the first
        assert peer.transition("activate")
        peer.wait_for_node()
        assert peer.answer(picture()).heads
        assert peer.transition("deactivate")
        assert peer.spin_until(lambda: not peer.count_subscribers("image_raw"))

    assert peer.transition("cleanup")
    assert peer.state() == "unconfigured"
    assert peer.spin_until(lambda: not peer.count_publishers("perception/head_poses"))
    assert peer.set_parameters(image_topic="/image_raw")[0].successful
    peer.activate()
    assert peer.answer(picture()).heads


def test_a_transition_that_does_not_exist_is_refused(node: NodeProcess, peer: Peer):
    request = ChangeState.Request()
    request.transition.id = 3  # activate, though it is unconfigured
    client = peer.create_client(ChangeState, "perception/change_state")
    peer.spin_until(client.service_is_ready)
    client.call_async(request)
    assert peer.spin_until(lambda: "refused" in node.log), node.log
    assert peer.state() == "unconfigured" and node.alive
    peer.activate()
    assert peer.answer(picture()).heads


def without_config(folder):
    (folder / "config.json").unlink()


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def without_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def with_a_wrong_shape(folder):
    from safetensors.numpy import load_file, save_file  # here, since it comes with PyTorch alone

    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = np.zeros((3, 5), np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def in_pickle_format(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def not_there(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_there, ["no model folder"]),
        (without_config, ["config.json"]),
        (without_weights, ["model.safetensors"]),
        (without_tokenizer, ["tokenizer.json"]),
        (with_a_wrong_shape, ["[3, 5]"]),
        (in_pickle_format, ["pickle", "safetensors"]),
    ],
)
def test_bad_models_are_refused_and_the_node_stays(node, peer, tiny_model, tmp_path, spoil, words):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    spoil(folder)
    peer.set_parameters(model=str(folder))
    assert not peer.transition("configure")
    assert peer.state() == "unconfigured" and node.alive
    (line,) = [line for line in node.log.splitlines() if "not configured" in line]
    for word in words:
        assert word in line.replace("(3, 5)", "[3, 5]")
    assert "Traceback" not in node.log

    peer.set_parameters(model=str(tiny_model))
    peer.activate()
    assert peer.answer(picture()).heads


def test_a_topic_that_cannot_be_is_refused_and_the_node_stays(node: NodeProcess, peer: Peer):
    peer.set_parameters(image_topic="/no topic")
    assert peer.transition("configure")
    assert not peer.transition("activate")
    assert "not activated" in node.log and "/no topic" in node.log
    assert peer.state() == "inactive" and node.alive


def test_without_pytorch_the_shipped_model_runs_and_others_say_what_to_install(
    start_node, second_peer, tmp_path
):
    (tmp_path / "torch.py").write_text("raise ImportError(\"No module named 'torch'\")\n")
    process = start_node(path=tmp_path)
    assert second_peer.transition("configure"), process.log
    assert second_peer.transition("cleanup")
    second_peer.set_parameters(backend="torch")
    assert not second_peer.transition("configure")
    assert re.search("not configured: .*install", process.log), process.log
    assert "requirements-torch.txt" in process.log
    assert second_peer.state() == "unconfigured"
    assert process.stop(signal.SIGTERM) == 0
    assert "Traceback" not in process.log, process.log


def test_ctrl_c_in_the_midst_of_work(start_node, second_peer, tiny_model):
    process = start_node(model=tiny_model, device="cpu", autostart=True, max_rate=0.0)
    second_peer.wait_for_node()
    second_peer.answer(picture())
    for _ in range(5):
        second_peer.send(picture())
    process.send(signal.SIGINT)  # a terminal sends it to the group, and a launch system once more
    assert process.stop(signal.SIGINT) == 0
    assert "Traceback" not in process.log and "terminate" not in process.log, process.log


def test_a_parameter_of_the_wrong_type_is_named(start_node):
    process = start_node(max_rate=5)
    assert process.wait() == 2
    assert "max_rate" in process.log and "Traceback" not in process.log, process.log


@pytest.mark.parametrize("text", [None, "/**: [", "- a", "/**:\n  ros__parameters:\n    model: {"])
def test_a_parameter_file_that_cannot_be_read_is_named(start_node, tmp_path, text):
    file = tmp_path / "robot.yaml"
    if text is not None:
        file.write_text(text)
    process = start_node(parameters_file=file)
    assert process.wait() == 2
    assert "not started" in process.log and "robot.yaml" in process.log, process.log
    assert "Traceback" not in process.log, process.log
