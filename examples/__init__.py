# SPDX-License-Identifier: Apache-2.0
"""Small behaviours that live on the perception node's topics alone."""
