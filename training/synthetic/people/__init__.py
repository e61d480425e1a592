# SPDX-License-Identifier: Apache-2.0
"""Rendered people: bodies, avatars, poses and motion."""
