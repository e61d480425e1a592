# SPDX-License-Identifier: Apache-2.0
"""What several rooms of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # other work on the machine fails no test
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder with random weights that answers some head for any picture."""
    torch = pytest.importorskip("torch", reason="needs requirements-train.txt")

    from hpe_vlm_ros.vlm.processing import CogVLMProcessor
    from hpe_vlm_ros.vlm.pytorch.checkpoint import save
    from hpe_vlm_ros.vlm.pytorch.configuration import embedded
    from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

    torch.manual_seed(1)
    tower = {"image_size": 64, "stem": None, "hidden_size": 32, "num_hidden_layers": 1}
    config = embedded(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        head_shape={"diameter": 0.3, "offset": [0.0, 0.0, -0.09]},
        vision_config={**tower, "num_heads": 2, "intermediate_size": 64},
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(folder, CogVLMForCausalLM(config), CogVLMProcessor.embedded(config), torch.float32)
    return folder
