# SPDX-License-Identifier: Apache-2.0
"""What is around rendered people: camera, light, background, objects."""
