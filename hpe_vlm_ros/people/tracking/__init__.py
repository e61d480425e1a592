# SPDX-License-Identifier: Apache-2.0
"""Heads of single images to people over time: stable ids and filtered poses. numpy and lap.

from hpe_vlm_ros.people.tracking import Observation, Settings, Tracker
tracker = Tracker()
heads = tracker.update(stamp_ns, [Observation(e.box, e.rotation, e.score) for e in estimates])
"""

from .tracker import Ids, LateFrame, Observation, Settings, Status, TrackedHead, Tracker

__all__ = ["Ids", "LateFrame", "Observation", "Settings", "Status", "TrackedHead", "Tracker"]
