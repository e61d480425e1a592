# SPDX-License-Identifier: Apache-2.0
"""Which ROS domain a test process takes."""

import os
from collections.abc import Iterator

import pytest


def domain() -> int:
    """Of this process: with the next one it belongs to no other worker of the same run, and seldom
    to one of another run. Above 101 the ports of a domain meet those given to ordinary sockets."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 1 + os.getppid() % 10 * 10 + worker % 5 * 2


@pytest.fixture(scope="session", autouse=True)
def private_graph() -> Iterator[None]:
    """A domain of its own, on loopback, for this process and those it starts. A conftest.py that
    imports it has it for all tests beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain()))
        patch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")  # as Humble always does
        if os.environ.get("ROS_DISTRO") == "humble":
            patch.setenv("ROS_LOCALHOST_ONLY", "1")
        else:
            patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield
