# SPDX-License-Identifier: Apache-2.0
"""Offline replay: recordings in, an honest report out; needs no ROS install.

    python -m hpe_vlm_ros.replay BAG --out RUN [--truth FILE]

The way of a run: `recordings.sources` finds the recordings and lists their frames, `plan` cuts them
into slices, `work` perceives a slice with the same HeadPerceiver as the node, `store` keeps each
finished slice so that a run can be resumed, and `results` scores, exports and reports.
"""
