# SPDX-License-Identifier: Apache-2.0
"""Quality of service of what comes in and of what goes out."""

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def sensor_qos() -> QoSProfile:
    """Newest only, from reliable and best-effort cameras alike; overrides write into it."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def overridable() -> QoSOverridingOptions:
    """Declares the parameters qos_overrides./topic.subscription.{history, depth, reliability}."""
    return QoSOverridingOptions.with_default_policies()


def output_qos(depth: int) -> QoSProfile:
    """What tf2 and ordinary subscribers ask for; volatile, as is the default."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)
