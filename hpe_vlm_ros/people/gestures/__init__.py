# SPDX-License-Identifier: Apache-2.0
"""Head gestures over time: windows of poses, what a rule says of them, and events; numpy only."""
