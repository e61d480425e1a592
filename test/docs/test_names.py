# SPDX-License-Identifier: Apache-2.0
"""Modules and files that pages name exist: in commands, and in code within sentences.

docs/log.md is history; what it names may be gone.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split("\0")[:-1]
PAGES = [path for path in TRACKED if path.endswith(".md") and path != "docs/log.md"]
OF_USERS = {"metadata.yaml"}  # of a rosbag2
PACKAGES = "hpe_vlm_ros|training|benchmarks|demo"


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_are_named_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(rf"python -m\s+((?:{PACKAGES})\b[\w.]*\w)", text)
    named += re.findall(rf"`((?:{PACKAGES})\.[\w.]*\w)(?: [^`]*)?`", text)
    for module in named:
        path = module.replace(".", "/")
        parent = path.rpartition("/")[0]
        ways = (f"{path}.py", f"{path}/__init__.py", f"{path}/__main__.py", f"{parent}.py")
        assert any((ROOT / way).is_file() for way in ways), f"{page}: {module}"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    """Whole paths, or their ends, such as `data/collage.py`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+\.(?:py|sh|yaml|msg|xml|cff))`", text))
    for name in named - OF_USERS:
        assert any(f"/{path}".endswith(f"/{name}") for path in TRACKED), f"{page}: {name}"
