# SPDX-License-Identifier: Apache-2.0
"""The vision-language model, free of ROS and of training."""

import os

# PyTorch's threads wait for one another thousands of times a frame, by default for up to some
# milliseconds in a busy loop. Where other programs want the same cores, each wait then burns the
# very time that the awaited thread needs: frames took 30 s instead of 5. Read when PyTorch loads.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


class CheckpointError(ValueError):
    """A model folder that cannot be used; the message says what is wrong and what to do."""
