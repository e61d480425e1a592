# SPDX-License-Identifier: Apache-2.0
"""The package at work: `python -m demo.run` plays camera images into the real node over DDS."""
