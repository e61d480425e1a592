# SPDX-License-Identifier: Apache-2.0
"""The vision-language model, free of ROS and of training."""


class CheckpointError(ValueError):
    """A model folder that cannot be used; the message says what is wrong and what to do."""
