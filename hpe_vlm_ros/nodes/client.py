# SPDX-License-Identifier: Apache-2.0
"""The other end of the perception node's topics: a node that a program serves while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

ASK_AGAIN = 2.0  # seconds without an answer to a question about the state
LONGEST_SPIN = 0.05  # seconds between two checks of a condition


class Client(Node):
    """A node in a context of its own; signals stay with the caller."""

    def __init__(self, name: str, namespace: str = "/") -> None:
        self._own = Context()
        rclpy.init(context=self._own)
        super().__init__(name, namespace=namespace, context=self._own)
        self._executor = SingleThreadedExecutor(context=self._own)
        self._executor.add_node(self)

    def close(self) -> None:
        """Leaves the graph and shuts down the context, so that the object is of no more use."""
        self._executor.shutdown()
        self.destroy_node()
        rclpy.shutdown(context=self._own)

    def spin_until(
        self,
        condition: Callable[[], object],
        timeout: float,
        check: Callable[[], object] | None = None,
    ) -> bool:
        """Serves callbacks until the condition holds; whether it did within `timeout` seconds.

        check: called again and again; what it raises ends the waiting.
        """
        give_up = time.monotonic() + timeout
        while not condition():
            if check is not None:
                check()
            left = give_up - time.monotonic()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, LONGEST_SPIN))
        return True

    def spin_for(self, seconds: float, check: Callable[[], object] | None = None) -> None:
        """Serves callbacks for a time."""
        self.spin_until(lambda: False, seconds, check)

    def node_state(
        self, node: str, timeout: float, check: Callable[[], object] | None = None
    ) -> str | None:
        """The lifecycle state of a node, None where it does not tell.

        It is asked until it answers, since it drops its answers to clients that it has not heard
        of. It hears of them in the order in which they were made: once it has answered this one, it
        knows all.
        """
        give_up = time.monotonic() + timeout
        client = self.create_client(GetState, f"{node}/get_state")
        asked: list[Any] = []
        while (left := give_up - time.monotonic()) > 0:
            if client.service_is_ready():
                asked.append(client.call_async(GetState.Request()))
            pause = min(left, ASK_AGAIN if asked else LONGEST_SPIN)
            if self.spin_until(lambda: any(future.done() for future in asked), pause, check):
                (answer, *_) = (future.result() for future in asked if future.done())
                self.destroy_client(client)
                return str(answer.current_state.label)
        self.destroy_client(client)
        return None
