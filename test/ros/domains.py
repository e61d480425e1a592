# SPDX-License-Identifier: Apache-2.0
"""Which ROS domain a test process takes."""

import os


def domain() -> int:
    """Of this process: with the next one it belongs to no other worker of the same run, and seldom
    to one of another run. Above 101 the ports of a domain meet those given to ordinary sockets."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 1 + os.getppid() % 10 * 10 + worker % 5 * 2
