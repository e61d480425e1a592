# SPDX-License-Identifier: Apache-2.0
"""What robots get: enough to run the default model in ONNX Runtime, and nothing of training."""

from __future__ import annotations

import fnmatch
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import setuptools

ROOT = Path(__file__).parents[1]
MOST = 25e6  # bytes
NEEDED = ("config.json", "tokenizer.json", "onnx/int8/image.onnx", "onnx/int8/step.onnx",
          "experts/refiner/config.json", "experts/refiner/refiner.onnx")  # fmt: skip


def by_colcon() -> set[Path]:
    """Files that CMakeLists.txt installs by default, below the repository."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r'option\(HPE_VLM_ROS_WEIGHTS\s+"[^"]+" OFF\)', text)
    left_out = re.findall(r'PATTERN "([^"]+)" EXCLUDE', text)
    paths = re.findall(r'REGEX "([^"]+)" EXCLUDE', text)
    found = set()
    for names in re.findall(r"install\((?:DIRECTORY|FILES)\s+(.+?)\s+DESTINATION", text, re.DOTALL):
        for name in names.replace("${PROJECT_NAME}", "hpe_vlm_ros").split():
            place = ROOT / name
            found |= {place} if place.is_file() else {p for p in place.rglob("*") if p.is_file()}

    def stays(file: Path) -> bool:
        parts = file.relative_to(ROOT).parts
        named = any(fnmatch.fnmatch(part, p) for part in parts for p in left_out)
        return not named and not any(re.search(p, str(file)) for p in paths)

    return {file for file in found if stays(file)}


def by_pip(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Files that setup.py installs."""
    told: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, "setup", lambda **options: told.update(options))
    runpy.run_path("setup.py")
    found = {ROOT / name for _, names in told["data_files"] for name in names}
    for package in told["packages"]:
        folder = ROOT / package.replace(".", "/")
        for pattern in ("*.py", *told["package_data"].get(package, ())):
            found |= set(folder.glob(pattern))
    return found


@pytest.mark.parametrize("way", ["colcon", "pip"])
def test_what_is_installed_is_small_and_runs(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = by_colcon() if way == "colcon" else by_pip(monkeypatch)
    names = {str(file.relative_to(ROOT)) for file in files}
    assert names > {f"models/embedded/{name}" for name in NEEDED}
    assert {"hpe_vlm_ros/perceiver.py", "hpe_vlm_ros/evaluation/report/report.html.j2"} < names
    weights = [name for name in names if name.endswith(".safetensors")]
    assert all(name.startswith("models/embedded/experts/signals/") for name in weights)
    assert not [name for name in names if name.startswith(("training", "test", "benchmarks"))]
    size = sum(file.stat().st_size for file in files)
    assert 15e6 < size < MOST, f"{size / 1e6:.1f} MB"


def test_every_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = set((ROOT / "hpe_vlm_ros").rglob("*.py"))
    assert sources <= by_pip(monkeypatch) and sources <= by_colcon()
