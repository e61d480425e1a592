# SPDX-License-Identifier: Apache-2.0
"""Many rounds, many changes, two nodes, other clocks, and the end at any moment."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from graph import SCRIPT, stamp_of
from hri_msgs.msg import IdsList
from painting import painted
from rosgraph_msgs.msg import Clock
from scripted_node import HANG, SLOWER
from sensor_msgs.msg import Image

HEADS = ((80, 0),)
SLOW_IMPORT = 'import time\nprint("importing", flush=True)\ntime.sleep(3600)\n'


def in_the_graph(peer):
    return ("perception", peer.get_namespace()) in peer.get_node_names_and_namespaces()


def left_the_graph(peer):
    """Whether the node said goodbye; one that just vanishes stays for 20 seconds."""
    return peer.spin_until(lambda: not in_the_graph(peer), 10.0)


def test_many_rounds_of_the_lifecycle_under_a_running_stream(scripted, crowd):
    stream = crowd.create_timer(1 / 30, lambda: crowd.send(painted(HEADS)))
    for number in range(60):
        assert crowd.transition("configure") and crowd.transition("activate")
        if number % 20 == 0:
            heard = len(crowd.arrays)
            assert crowd.spin_until(lambda: len(crowd.arrays) > heard)  # noqa: B023
        assert crowd.transition("deactivate") and crowd.transition("cleanup")
    crowd.destroy_timer(stream)
    assert crowd.state() == "unconfigured"
    assert "Traceback" not in scripted.log and "[ERROR]" not in scripted.log


def test_parameters_change_under_a_running_stream(scripted, crowd):
    crowd.activate()
    stream = crowd.create_timer(1 / 30, lambda: crowd.send(painted(HEADS)))
    generator = np.random.default_rng(0)
    for _ in range(60):
        results = crowd.set_parameters(
            turn_speed=float(generator.uniform(1, 1000)),
            lost_timeout=float(generator.uniform(0.1, 5)),
            birth_frames=int(generator.integers(1, 10)),
            tracking=bool(generator.integers(2)),
            publish_tf=bool(generator.integers(2)),
            robot_frame=str(generator.choice(["", "robot"])),
        )
        assert all(result.successful for result in results)
    (refused,) = crowd.set_parameters(turn_speed=-1.0)
    assert not refused.successful
    crowd.destroy_timer(stream)
    crowd.set_parameters(tracking=True, birth_frames=3)
    assert crowd.answer(painted(HEADS)).heads
    assert "Traceback" not in scripted.log


def test_a_parameter_that_changes_while_an_image_is_in_work(scripted, crowd):
    """The image is answered all the same, and as the parameter says by then."""
    crowd.activate()
    while not all(head.id for head in crowd.answer(painted(HEADS)).heads):
        pass
    stamp = crowd.send(painted(HEADS, SLOWER))
    crowd.spin_for(0.3)  # the model takes far longer
    assert all(result.successful for result in crowd.set_parameters(tracking=False, max_heads=1))
    assert crowd.spin_until(lambda: stamp_of(crowd.arrays[-1]) == stamp), "it was lost"
    assert [head.id for head in crowd.arrays[-1].heads] == [""]
    assert "Traceback" not in scripted.log


def test_two_nodes_in_two_namespaces(scripted, crowd, start_node, second_peer):
    """Each has its own heads, and no name of one's is the other's: TF, REP-155, diagnostics."""
    statuses, tracked = [], []
    crowd.create_subscription(DiagnosticArray, "/diagnostics", statuses.append, 10)
    crowd.create_subscription(IdsList, "/humans/faces/tracked", tracked.append, 10)
    start_node(module=SCRIPT, autostart=True, max_age=0.0, max_rate=0.0)
    crowd.activate()
    second_peer.wait_for_node()
    sides = (crowd, 0), (second_peer, 60)
    named = {}
    while len(named) < 2:
        for peer, yaw in sides:
            (head,) = peer.answer(painted(((80, yaw),))).heads
            named |= {peer: head.id} if head.id else {}
    for peer, yaw in sides:
        heard = {round(np.degrees(h.yaw)) for a in peer.arrays for h in a.heads}
        assert heard == {yaw}
        assert peer.spin_until(lambda: peer.frames_of(peer.arrays[-1]))  # noqa: B023
        frames = peer.frames_of(peer.arrays[-1])
        space, number = peer.get_namespace()[1:], named[peer].rpartition("_")[2]
        assert named[peer] == f"{space}_{number}" and number.startswith("h")
        assert set(frames) == {f"face_{named[peer]}", f"gaze_{named[peer]}"}
        full = f"{peer.get_namespace()}/perception"
        assert crowd.spin_until(lambda: full in {s.hardware_id for a in statuses for s in a.status})  # noqa: B023
        for _ in range(60):  # a subscriber that matched after a list was sent hears the next one
            if crowd.spin_until(lambda: [named[peer]] in [list(t.ids) for t in tracked], 1.0):  # noqa: B023
                break
            peer.answer(painted(((80, yaw),)))
        else:
            pytest.fail(f"{named[peer]} was never listed on /humans/faces/tracked")
    # All that both have put into the one tree of frames and the one list of diagnostics.
    names = {t.child_frame_id.removeprefix("face_") for t in crowd.transforms}
    assert set(named.values()) <= names and len(set(named.values())) == 2
    for array in statuses:
        assert len({status.hardware_id for status in array.status}) == 1
        for status in array.status:
            assert status.name.startswith(f"{status.hardware_id}: ")


def test_frames_of_untracked_heads_bear_node_and_camera(scripted, crowd):
    """So that those of two cameras, or of two robots, are not taken for one."""
    crowd.set_parameters(cameras=["front", "rear"], tracking=False, id_prefix="bob")
    assert crowd.transition("configure") and crowd.transition("activate")
    for name in ("front", "rear"):
        camera = crowd.create_publisher(Image, f"{name}/image_raw", 1)
        wanted = f"face_bob_{name}_0"
        assert crowd.send_until(
            lambda: wanted in {t.child_frame_id for t in crowd.transforms},  # noqa: B023
            painted(HEADS),
            camera,
        )


def test_simulated_time(start_node, second_peer):
    """Ages count in the time of /clock, which stands where a bag is."""
    clock = second_peer.create_publisher(Clock, "/clock", 1)
    past = second_peer.get_clock().now().nanoseconds - 1000 * 10**9
    message = Clock()
    message.clock.sec = past // 10**9
    second_peer.create_timer(0.05, lambda: clock.publish(message))
    start_node(module=SCRIPT, autostart=True, use_sim_time=True, max_rate=0.0, max_age=600.0)
    second_peer.wait_for_node()
    assert second_peer.spin_until(clock.get_subscription_count)
    assert second_peer.answer(painted(HEADS), age=1300.0).heads  # 300 s old where the bag is


def pester(process, *numbers):
    """Sends these signals in turn until the process has ended; its exit status."""
    while process.alive:
        for number in numbers:
            process.send(number)
            time.sleep(0.004)
    return process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_model_hangs(start_node, second_peer, number):
    process = start_node(module=SCRIPT, autostart=True, max_age=0.0, max_rate=0.0)
    second_peer.wait_for_node()
    second_peer.answer(painted(HEADS))
    for _ in range(5):
        second_peer.send(painted(HEADS, HANG))
        second_peer.spin_for(0.1)
    assert process.stop(number) == 0
    assert "Traceback" not in process.log, process.log
    assert left_the_graph(second_peer)


@pytest.mark.parametrize(
    ("state", "numbers"),
    [
        ("importing", (signal.SIGINT,)),
        ("unconfigured", (signal.SIGINT,)),
        ("configuring", (signal.SIGTERM, signal.SIGINT)),
        ("active", (signal.SIGINT,)),
        ("active", (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)),
    ],
)
def test_signals_that_come_again_and_again(
    start_node, second_peer, tmp_path, monkeypatch, state, numbers
):
    """A terminal, a launch system and a person each send their own, until the very end."""
    if state == "importing":
        (tmp_path / "rclpy.py").write_text(SLOW_IMPORT)
        process = start_node(path=tmp_path)
        process.wait_for_words("importing")
    else:
        monkeypatch.setenv("SCRIPTED_LOAD", "3600" if state == "configuring" else "0")
        process = start_node(module=SCRIPT, autostart=state != "unconfigured")
        process.wait_for_words({"configuring": "loading", "active": "waiting"}.get(state, ""))
        assert second_peer.spin_until(lambda: in_the_graph(second_peer))
    assert pester(process, *numbers) == 0, process.log
    assert "Traceback" not in process.log, process.log
    if state != "importing":
        assert left_the_graph(second_peer)


def test_under_nohup_a_terminal_that_closes_ends_nothing(start_node, second_peer):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which the node inherits
    try:
        process = start_node(module=SCRIPT, autostart=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    second_peer.wait_for_node()
    process.send(signal.SIGHUP)
    assert second_peer.state() == "active"
    assert process.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("state", ["unconfigured", "active"])
def test_shutdown_by_lifecycle_ends_the_program(start_node, second_peer, state):
    """Even while the model hangs."""
    active = state == "active"
    process = start_node(module=SCRIPT, autostart=active, max_age=0.0, max_rate=0.0)
    if active:
        second_peer.wait_for_node()
        second_peer.answer(painted(HEADS))
        second_peer.send(painted(HEADS, HANG))
        second_peer.spin_for(0.2)
    assert second_peer.transition(f"{state} shutdown")
    assert process.wait() == 0
    assert "Traceback" not in process.log, process.log


def test_a_signal_while_the_weights_are_loaded(start_node, second_peer, monkeypatch):
    monkeypatch.setenv("SCRIPTED_LOAD", "3600")
    process = start_node(module=SCRIPT, autostart=True)
    process.wait_for_words("loading")
    assert second_peer.spin_until(lambda: in_the_graph(second_peer))
    assert process.stop(signal.SIGTERM) == 0
    assert left_the_graph(second_peer)
    assert "Traceback" not in process.log, process.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_imports(start_node, tmp_path, number):
    (tmp_path / "rclpy.py").write_text(SLOW_IMPORT)
    process = start_node(path=tmp_path)
    process.wait_for_words("importing")
    assert process.stop(number) == 0
    assert "Traceback" not in process.log, process.log
