# SPDX-License-Identifier: Apache-2.0
"""What README.md and docs/start.md name exists; and every shipped YAML and XML file parses."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
START = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^    (\S.*?)(?:\s+# .*)?$", re.MULTILINE)
SHELL = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
COMMANDS = COMMAND.findall(SHELL)
COMMANDS_OF_START = COMMAND.findall(START) + re.findall(r"^\| `(.+?)` \|", START, re.MULTILINE)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_length():
    """Whoever looks in for the first time reads it whole: what is longer belongs into docs/."""
    assert len(README.splitlines()) <= 150
    assert README.index("](docs/figures/demo.webp)") < 800
    card = (ROOT / "models" / "embedded" / "README.md").read_text(encoding="utf-8")
    assert len(card.splitlines()) <= 80


def test_commands_of_the_quick_starts():
    """Three without ROS, four with it: those of docs/start.md, which are tested elsewhere."""
    without, with_ros = SHELL.split("\n## Quick start ")[1:3]
    assert len(COMMAND.findall(without)) == 3
    commands = COMMAND.findall(with_ros.split("\n## ")[0])
    assert len(commands) == 4 and commands[0].startswith("git clone --depth 1 ")
    for command in " && ".join(commands[1:]).split(" && "):
        assert command in COMMANDS_OF_START, command


def test_what_to_expect_is_what_the_card_says():
    card = (ROOT / "models" / "embedded" / "README.md").read_text(encoding="utf-8")
    section = README.split("## What to expect\n", 1)[1].split("\n\nSizes ", 1)[0]
    measured = re.findall(r"\b0\.\d+|\d+(?:\.\d+)? (?:degrees|ms)\b|`[0-9a-f]{8}`", section)
    assert len(measured) >= 10
    for value in measured:
        number = value.removesuffix(" degrees").removesuffix(" ms")
        assert number in card, f"{value}: not on models/embedded/README.md"


def test_python_example(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shutil.copy(
        ROOT / "training" / "testsets" / "walks" / "images" / "5_040.jpg", tmp_path / "photo.jpg"
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    heads = [re.findall(r"-?\d+\.\d+", line) for line in capsys.readouterr().out.splitlines()]
    assert heads and all(len(numbers) == 8 for numbers in heads)


def test_make_targets():
    targets = set(re.findall(r"^ *`?make (\w+)|[ (]`make (\w+)`", README + START, re.MULTILINE))
    targets = {"".join(target) for target in targets}
    assert targets == {"run", "test", "docs"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.search(r"^exec make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_modules():
    modules = re.findall(r"python -m (\S+)", "\n".join(COMMANDS + COMMANDS_OF_START))
    assert len(modules) >= 10
    for module in modules:
        assert find_spec(module) is not None, module


def test_files_named_in_commands():
    paths = re.findall(r"(?<![\w/])((?:config|scripts|launch)/[\w./]+)", README + START)
    assert paths
    for path in paths:
        assert (ROOT / path).is_file(), path
    launched = re.findall(r"ros2 launch hpe_vlm_ros (\S+\.py)", README + START)
    assert launched
    for name in launched:
        assert (ROOT / "launch" / name).is_file()


@pytest.mark.parametrize("path", tracked("*.yaml", "*.yml", "*.cff"), ids=lambda p: p.name)
def test_yaml_parses(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", tracked("*.xml"), ids=lambda p: p.name)
def test_xml_parses(path):
    ElementTree.parse(path)


def test_one_version_everywhere():
    version = ElementTree.parse(ROOT / "package.xml").findtext("version")
    assert f'version="{version}"' in (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    newest = re.search(r"^(\S+)(?: \(.+\))?\n-+$", changelog, re.MULTILINE).group(1)
    assert newest in {"Forthcoming", version}


def test_every_message_field_is_commented():
    for path in tracked("msg/*.msg"):
        above = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            field = line.strip() and not line.startswith("#")
            assert not field or above, f"{path.name}: {line} follows no comment"
            above = "" if not line.strip() else above or line.startswith("#")


def test_importing_the_package_needs_neither_torch_nor_ros():
    code = (
        "import sys, hpe_vlm_ros, hpe_vlm_ros.answers, hpe_vlm_ros.geometry;"
        "import hpe_vlm_ros.people.attention, hpe_vlm_ros.people.tracking;"
        "import hpe_vlm_ros.evaluation.calibration;"
        "sys.exit(bool({'torch', 'rclpy', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_package_xml_declares_what_the_node_imports_of_ros():
    """Those that it does without where they are not installed apart."""
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {entry.text for entry in root if entry.tag.endswith("depend")}
    sources = [path.read_text(encoding="utf-8") for path in tracked("hpe_vlm_ros/*.py")]
    found = re.findall(
        r"^\s*from (\w+)\.(?:msg|srv|action) import", "\n".join(sources), re.MULTILINE
    )
    optional = {"foxglove_msgs", "hri_msgs", "vision_msgs", "visualization_msgs"}
    assert set(found) - optional - {"hpe_vlm_ros"} <= declared
    assert {"rclpy", "rcl_interfaces", "python3-onnxruntime-pip", "python3-rosbags-pip"} <= declared


def test_the_licence_is_named_and_installed():
    licence = ElementTree.parse(ROOT / "package.xml").find("license")
    assert licence.text == "Apache-2.0" and (ROOT / licence.get("file")).is_file()
    assert re.search(r"install\(FILES LICENSE ", (ROOT / "CMakeLists.txt").read_text())
    assert ElementTree.parse(ROOT / "package.xml").find("url").text.startswith("https://")


def test_the_distributions_of_the_start_page_can_be_checked():
    script = (ROOT / "scripts" / "check.sh").read_text(encoding="utf-8")
    table = START.split("| ROS 2 |", 1)[1].split("\n\n", 1)[0]
    names = [name.lower() for name in re.findall(r"^\| (\w+) \|", table, re.MULTILINE)]
    assert names == ["humble", "jazzy", "kilted", "lyrical"]
    assert re.findall(r"^  (\w+)\) pythons=", script, re.MULTILINE) == names
    for wheels in re.findall(r"wheels=(\w+)", script):
        assert (ROOT / f"requirements-ros-{wheels}.txt").is_file()
