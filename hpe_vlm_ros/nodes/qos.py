# SPDX-License-Identifier: Apache-2.0
"""Quality of service of what comes in and of what goes out."""

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def sensor_qos() -> QoSProfile:
    """Newest only, from reliable and best-effort cameras alike; overrides write into it."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def kept_qos() -> QoSProfile:
    """What was published before we came too, of those who keep it (transient local)."""
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overridable() -> QoSOverridingOptions:
    """Declares the parameters qos_overrides./topic.subscription.{history, depth, reliability,
    durability}."""
    kinds = QoSPolicyKind
    return QoSOverridingOptions([kinds.HISTORY, kinds.DEPTH, kinds.RELIABILITY, kinds.DURABILITY])


def output_qos(depth: int) -> QoSProfile:
    """What tf2 and ordinary subscribers ask for; volatile, as is the default."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def no_events() -> PublisherEventCallbacks:
    """For publishers. By default each has two handlers that warn of subscribers with other demands,
    who are warned themselves, and that rclpy's executor goes through at every wake-up."""
    return PublisherEventCallbacks(use_default_callbacks=False)
