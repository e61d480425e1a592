# SPDX-License-Identifier: Apache-2.0
"""Thin ROS 2 nodes around HeadPerceiver; the only part of the package that imports rclpy."""
