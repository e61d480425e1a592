# SPDX-License-Identifier: Apache-2.0
"""A server and a picture for every test."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from chat_server import Server
from numpy.typing import NDArray


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("HPE_VLM_API_KEY", raising=False)
    running = Server()
    yield running
    running.close()


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.full((480, 640, 3), 90, np.uint8)
