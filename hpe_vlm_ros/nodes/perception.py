# SPDX-License-Identifier: Apache-2.0
"""The perception node as a program.

    python -m hpe_vlm_ros.nodes.perception --ros-args --params-file config/perception.yaml \
        -p autostart:=true

Ctrl-C, SIGTERM and SIGHUP end it with status 0 at any moment, however often they come: the imports
below take seconds, so the signals are taken care of before them.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from hpe_vlm_ros.nodes import signals

LAST_WORK = 1.0  # seconds for the image in work to be finished after a signal
GRACE = 1.6  # seconds from a signal to leaving the graph, whatever the main thread is doing

_under_way = False  # there is a context to shut down
_leaving = threading.Lock()  # of the thread that takes the node out of the graph; never given back


def leave() -> None:
    """Ends at once when nothing has been started yet; later, the context is shut down."""
    if not _under_way:
        os._exit(0)
    rclpy.try_shutdown()


if __name__ == "__main__":
    signals.on_first_signal(leave)

import rclpy  # noqa: E402
from rclpy.exceptions import ParameterException  # noqa: E402
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402

from hpe_vlm_ros.nodes.node import SHUTDOWN_GRACE_S, SUCCESS, PerceptionNode  # noqa: E402


def spin(node: PerceptionNode) -> None:
    """Serves the node until its context is shut down."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:  # rclpy raises through here for a transition that does not exist
            if node.context.ok():
                node.get_logger().error(f"request refused: {error}")


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is told to end; the exit status: 2 for what it cannot start with."""
    global _under_way
    signals.on_first_signal(leave)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        _under_way = True
        return run(PerceptionNode())
    except (ParameterException, ValueError, RuntimeError) as error:  # the last one is also rcl's
        if _under_way and not rclpy.ok():
            return 0  # told to end before there was a node
        print(f"perception: not started: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    finally:
        signals.ignore()


def run(node: PerceptionNode) -> int:
    """Serves the node until its context is shut down, and takes it out of the graph."""
    threading.Thread(target=end_soon, args=[node], name="end", daemon=True).start()
    try:
        if node.value("autostart") and node.trigger_configure() == SUCCESS:
            node.trigger_activate()
        spin(node)
    except Exception:
        # once a signal has shut the context down, whatever rclpy is at may raise
        if node.context.ok():
            raise
    ended = node.stop(LAST_WORK)
    leave_graph(node)
    rclpy.try_shutdown()
    if not ended:
        end()
    return 0


def end_soon(node: PerceptionNode) -> None:
    """Ends the process a grace period after its context, even while weights are being loaded: the
    main thread may be deep in a library then, where it hears no signal."""
    while node.context.ok():
        time.sleep(0.1)
    time.sleep(GRACE)
    leaving = threading.Thread(target=leave_graph, args=[node], name="leave", daemon=True)
    leaving.start()
    leaving.join(SHUTDOWN_GRACE_S)  # what it needs, the main thread may hold
    end()


def leave_graph(node: PerceptionNode) -> None:
    """Takes leave of the other nodes; done by the thread that comes first.

    A node that just vanishes stays in the graph for 20 seconds, and what it leaves in shared memory
    can keep the next one from being heard (Fast DDS, pull request 4728).
    """
    if _leaving.acquire(timeout=SHUTDOWN_GRACE_S):
        node.destroy_node()


def end() -> None:
    """An answer or the weights are still being made; nobody waits for them, so neither do we."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
