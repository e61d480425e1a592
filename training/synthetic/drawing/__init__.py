# SPDX-License-Identifier: Apache-2.0
"""Software rendering: rasteriser, shading, textures."""
