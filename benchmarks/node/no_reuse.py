# SPDX-License-Identifier: Apache-2.0
"""The perception node with one thing changed: it encodes the image anew for every question."""

import sys
from functools import partial

from hpe_vlm_ros import perceiver
from hpe_vlm_ros.nodes.perception import main

load = partial(perceiver.HeadPerceiver.load, reuse_prefix=False)
perceiver.HeadPerceiver.load = staticmethod(load)  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
