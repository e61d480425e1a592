# SPDX-License-Identifier: Apache-2.0
"""What the README says exists, does; and every shipped YAML and XML file parses."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (\S.*?)(?:\s+# .*)?$", README, re.MULTILINE)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def rows(title: str) -> dict[str, list[str]]:
    """The README's table under this title, by its first column."""
    table = README.split(f"| {title} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table]
    return {first: rest for first, *rest in cells}


def test_make_targets():
    targets = {line.split()[1] for line in COMMANDS if line.startswith("make ")}
    assert targets == {"run", "test"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.search(r"^exec make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_modules():
    modules = re.findall(r"python -m (\S+)", "\n".join(COMMANDS))
    assert len(modules) >= 4
    for module in modules:
        assert find_spec(module) is not None, module


def test_links():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 6
    for link in links:
        assert "://" in link or (ROOT / link).exists(), link


def test_files_named_in_commands():
    paths = re.findall(r"(?<![\w/])((?:config|scripts|launch)/[\w./]+)", README)
    assert paths
    for path in paths:
        assert (ROOT / path).is_file(), path
    launched = re.findall(r"ros2 launch hpe_vlm_ros (\S+\.py)", README)
    assert launched
    for name in launched:
        assert (ROOT / "launch" / name).is_file()


def test_parameters_and_their_defaults():
    shipped = yaml.safe_load((ROOT / "config" / "perception.yaml").read_text(encoding="utf-8"))
    values = shipped["/**"]["ros__parameters"]
    table = rows("parameter")
    assert list(table) == list(values)
    for name, (default, _) in table.items():
        assert yaml.safe_load(default) == values[name], name


def test_topics_are_those_of_the_node():
    source = (ROOT / "hpe_vlm_ros" / "nodes" / "outputs.py").read_text(encoding="utf-8")
    made = re.findall(r'^    "([~/]\S+)": \w+,$', source, re.MULTILINE)
    converted = re.search(r"CONVERTED = \((.+)\)", source)
    made += [f"~/{name}" for name in re.findall(r'"(\w+)"', converted.group(1))]
    outputs = [topic for topic, cells in rows("topic").items() if cells[1].startswith("out")]
    elsewhere = {"/diagnostics", "/humans/faces/tracked", "/humans/faces/<id>/roi"}
    assert set(outputs) - elsewhere == set(made)


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
        "import hpe_vlm_ros.attention, hpe_vlm_ros.tracking, hpe_vlm_ros.replay.calibration;"
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


def test_the_distributions_of_the_readme_can_be_checked():
    script = (ROOT / "scripts" / "check.sh").read_text(encoding="utf-8")
    names = [name.lower() for name in rows("ROS 2")]
    assert names == ["humble", "jazzy", "kilted", "lyrical"]
    assert re.findall(r"^  (\w+)\) pythons=", script, re.MULTILINE) == names
    for wheels in re.findall(r"wheels=(\w+)", script):
        assert (ROOT / f"requirements-ros-{wheels}.txt").is_file()
