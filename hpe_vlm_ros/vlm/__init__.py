# SPDX-License-Identifier: Apache-2.0
"""The vision-language model, free of ROS and of training."""
