# SPDX-License-Identifier: Apache-2.0
"""Runs on painted bags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from domains import private_graph  # noqa: F401
from painted import Load, entries, write_bag

from hpe_vlm_ros.recordings.sources import open_sources
from hpe_vlm_ros.replay import work
from hpe_vlm_ros.replay.plan import Settings
from hpe_vlm_ros.replay.run import perceive_recordings
from hpe_vlm_ros.replay.store import Store


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Twenty frames of a camera with its calibration."""
    return write_bag(tmp_path / "bag", entries(20))


@pytest.fixture
def painted_perceiver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line finds painted heads."""
    monkeypatch.setattr(work, "Loader", lambda *_: Load())


@pytest.fixture
def perceive(tmp_path: Path) -> Callable[..., Store]:
    """Perceives recordings into a folder of this name; the store."""

    def run(*paths: Path, out: str = "run", load: Any = Load(), **options: Any) -> Store:  # noqa: B008
        known = Settings.__dataclass_fields__
        chosen = {name: options.pop(name) for name in list(options) if name in known}
        settings = Settings("", **({"slice": 4} | chosen))
        recordings = open_sources([str(path) for path in paths])
        return perceive_recordings(
            recordings, settings, load, tmp_path / out, quiet=True, **options
        )

    return run
