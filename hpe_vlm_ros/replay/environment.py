# SPDX-License-Identifier: Apache-2.0
"""What a run was made with, so that it can be repeated."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata
from typing import Any

PACKAGES = (
    "hpe_vlm_ros",
    "numpy",
    "onnxruntime",
    "torch",
    "transformers",
    "opencv-python-headless",
    "rosbags",
)


def environment(device: str | None) -> dict[str, Any]:
    """Versions and machine, without names of users or hosts."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "device": device or "unknown",
        "packages": {name: found for name in PACKAGES if (found := version(name))},
    }


def version(name: str) -> str | None:
    """An installed package's version; None where it is not installed as a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def command(arguments: Sequence[str]) -> str:
    """The command line that repeats this run."""
    return shlex.join(["python", "-m", "hpe_vlm_ros.replay", *arguments])
