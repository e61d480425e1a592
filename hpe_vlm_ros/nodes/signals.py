# SPDX-License-Identifier: Apache-2.0
"""The first signal that asks the process to end counts, and no further one. Imports nothing large,
so that a program can call this before anything else.

A launch system sends SIGINT twice (to the group, and to each node), and an impatient person more
often. Python's own handlers run in the main thread only, which may be deep in a library; and while
the interpreter is taken down the default ones are in force again, which kill.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def on_first_signal(end: Callable[[], None]) -> None:
    """Calls `end` once, in a thread of its own, at the first SIGINT, SIGTERM or SIGHUP.

    Later ones are ignored. A SIGHUP that is ignored already, as under nohup, stays so; a SIGINT
    does not: shells let programs in the background ignore it, launch systems stop nodes with it.
    To be called in the main thread; `ignore` has to follow before that ends.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)

    def wait() -> None:
        while os.read(reader, 1)[0] not in ENDING:
            pass  # signals that somebody else handles come through here as well
        end()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def ignore() -> None:
    """From now on none of these signals does anything, even while the interpreter is taken down."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
