# SPDX-License-Identifier: Apache-2.0
"""Folders that are ready to upload: what is in them, and that a hub that has one serves it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Hub, files_of

from hpe_vlm_ros.vlm.model_folder import default_folder
from training.release.publish import main, publish, published_card

ROOT = Path(__file__).parents[3]
CARD = """\
---
license: apache-2.0
library_name: hpe_vlm_ros
pipeline_tag: object-detection
tags: [head-pose]
---
# A model
[Peers](../../docs/peers.md), [paper](https://arxiv.org/abs/2406.01914), [below](#below),
[table](table.csv)
"""


def test_the_embedded_model_published_is_found_by_name(tmp_path: Path, capsys) -> None:
    out = tmp_path / "upload"
    main(default_folder(), out)
    files = files_of(out)
    assert sorted(line.split()[-1] for line in capsys.readouterr().out.splitlines()) == sorted(
        files
    )
    assert set(files) == {
        "LICENSE",
        "README.md",
        "config.json",
        "experts/refiner/config.json",
        "experts/refiner/refiner.onnx",
        "model.safetensors",
        "onnx/int8/export.json",
        "onnx/int8/image.onnx",
        "onnx/int8/step.onnx",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert b"](../" not in files["README.md"]
    served = Hub()
    served.repositories["lab/heads"] = {"v1": files}
    with served.running():
        done = subprocess.run(
            [sys.executable, "-m", "hpe_vlm_ros", "download", "lab/heads@v1"],
            env=os.environ
            | {"HF_ENDPOINT": served.address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert files_of(Path(done.stdout.strip())) == files  # nothing is there that is not fetched
    with pytest.raises(FileExistsError, match="is not empty"):
        publish(default_folder(), out)


def test_links_into_the_repository_lead_to_where_it_is_published(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "README.md").write_text(CARD)
    text = published_card(folder / "README.md", "https://example.com/heads")
    assert "[Peers](https://example.com/heads/blob/main/docs/peers.md)" in text
    assert "[table](https://example.com/heads/blob/main/models/small/table.csv)" in text
    assert "[paper](https://arxiv.org/abs/2406.01914), [below](#below)" in text


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="README.md is missing"):
        published_card(tmp_path / "README.md", "")
    (tmp_path / "README.md").write_text(CARD.replace("pipeline_tag: object-detection\n", ""))
    with pytest.raises(ValueError, match="its YAML header lacks pipeline_tag"):
        published_card(tmp_path / "README.md", "")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="has no export: python -m hpe_vlm_ros.vlm.export"):
        publish(tmp_path, tmp_path / "out")
