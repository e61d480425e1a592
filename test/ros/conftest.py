# SPDX-License-Identifier: Apache-2.0
"""A private ROS graph on this machine, a tiny model, and node processes to test in it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from domains import domain, private_graph  # noqa: F401
from graph import ROOT, SCRIPT, SECOND, NodeProcess, Peer, shipped_parameters

SCRIPTED = "/scripted"


@pytest.fixture(scope="session", autouse=True)
def soak(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path | None]:
    """What the soak prints; the file is locked while it runs. It is started before the first test
    here, by one worker for all, if any test is to look at it; it computes little."""
    request.getfixturevalue("private_graph")
    if not any(item.path.name == "test_soak.py" for item in request.session.items):
        yield None
        return
    from test_soak import MINUTES

    folder = tmp_path_factory.getbasetemp()
    output = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "soak"
    try:
        file = output.open("xb")
    except FileExistsError:
        yield output
        return
    folders = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    apart = str(domain() + 1)  # its people must not turn up in other tests
    environment = {**os.environ, "PYTHONPATH": folders, "ROS_DOMAIN_ID": apart}
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # which the process inherits
        program = [sys.executable, str(Path(__file__).with_name("soaked.py")), str(MINUTES)]
        process = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=file, stderr=file)
    yield output
    if request.session.shouldfail or request.session.shouldstop:
        process.send_signal(signal.SIGINT)
    process.wait(600)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A node in this process: camera, subscriber and lifecycle client."""
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def second_peer() -> Iterator[Peer]:
    """A peer of the nodes that `start_node` starts."""
    made = Peer(SECOND)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_node(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """The node's process that most tests share, since starting one takes seconds."""
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log")
    yield process
    process.end()


@pytest.fixture
def node(shared_node: NodeProcess, peer: Peer, tiny_model: Path) -> NodeProcess:
    """The shared node, unconfigured, with the shipped parameters and the tiny model."""
    peer.unconfigure()
    peer.set_parameters(**{**shipped_parameters(), "model": str(tiny_model), "device": "cpu"})
    shared_node.forget_log()
    return shared_node


@pytest.fixture
def active(node: NodeProcess, peer: Peer) -> NodeProcess:
    """The same, active, and found by the peer."""
    peer.activate()
    return node


@pytest.fixture
def untracked(active: NodeProcess, peer: Peer) -> NodeProcess:
    """The same, with each image standing for itself."""
    assert peer.set_parameters(tracking=False)[0].successful
    return active


@pytest.fixture
def crowd() -> Iterator[Peer]:
    """A peer of the scripted node."""
    made = Peer(SCRIPTED)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_scripted_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(tmp_path_factory.mktemp("scripted") / "log", SCRIPTED, module=SCRIPT)
    yield process
    process.end()


@pytest.fixture
def scripted(shared_scripted_node: NodeProcess, crowd: Peer) -> NodeProcess:
    """The node with a model that finds painted squares; unconfigured, any age and rate."""
    crowd.unconfigure()
    crowd.set_parameters(**{**shipped_parameters(), "max_age": 0.0, "max_rate": 0.0})
    shared_scripted_node.forget_log()
    return shared_scripted_node


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Starts further processes, in a namespace apart from the shared node's; ends what is left."""
    started: list[NodeProcess] = []

    def start(**parameters: object) -> NodeProcess:
        log = tmp_path / f"node{len(started)}.log"
        started.append(NodeProcess(log, SECOND, **parameters))
        return started[-1]

    yield start
    for process in started:
        print(f"{process.log}\nexit status (None: it ran): {process.status}")  # if the test failed
        process.end()
