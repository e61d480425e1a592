# SPDX-License-Identifier: Apache-2.0
"""What a newcomer meets: files of the project, issue forms, checks of commits, images, release."""

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from catkin_pkg.changelog import Changelog, populate_changelog_from_rst
from catkin_pkg.package import parse_package

ROOT = Path(__file__).parents[1]
TRACKED = subprocess.run(
    ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
).stdout.split("\0")[:-1]
HOOKS = {
    hook["id"]: hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
}
FORMS = [path for path in TRACKED if re.match(r"\.github/ISSUE_TEMPLATE/(?!config)", path)]
DOCKERFILES = [path for path in TRACKED if path.endswith("Dockerfile")]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in TRACKED if p.endswith(".md")])
def test_links_between_documents(path):
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(path)):
        assert "://" in link or (ROOT / path).parent.joinpath(link).exists(), link


def test_placeholders_stand_in_package_xml_alone():
    """Whoever publishes fills in one file. Tests that need some address have example.com."""
    package = parse_package(ROOT / "package.xml")
    assert {url.type for url in package.urls} >= {"repository", "bugtracker"}
    found = subprocess.run(
        ["git", "grep", "-lIi", "@example[.]org\\|//example[.]org"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert set(found.stdout.split()) <= {"package.xml"}


@pytest.mark.parametrize("path", FORMS)
def test_issue_form(path):
    form = yaml.safe_load(read(path))
    assert len(form["name"]) > 3 and form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in asked} <= {"textarea", "input", "dropdown", "checkboxes"}
    ids = [field["id"] for field in asked]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field.get("validations", {}).get("required") for field in asked)


def test_documents_that_forms_name_exist():
    named = re.findall(r"[\w/]+\.md", "".join(map(read, FORMS)))
    assert FORMS and named
    assert set(named) <= set(TRACKED)


def test_commits_are_checked_as_make_test_does():
    recipe = re.search(r"^test:.*\n\t(.+)", read("Makefile"), re.MULTILINE).group(1)
    for check in ("ruff", "mypy", "codespell"):
        entry = HOOKS[check]["entry"].split()[0]
        assert re.search(rf"\b{entry}\b", recipe) and HOOKS[check]["language"] == "system"


def test_no_large_file_but_weights_and_test_sets():
    hook = HOOKS["check-added-large-files"]
    limit = int(re.search(r"--maxkb=(\d+)", hook["entry"]).group(1))
    assert limit == 500 and "--enforce-all" in hook["entry"]
    excepted = re.compile(hook["exclude"])
    for path in ("models/new/model.safetensors", "training/testsets/new/labels.jsonl"):
        assert excepted.search(path)
    for path in ("docs/models/a", "training/labels.jsonl", "models.csv", "a/training/testsets/b"):
        assert not excepted.search(path)
    sizes = {path: (ROOT / path).lstat().st_size for path in TRACKED if (ROOT / path).exists()}
    large = {path for path, size in sizes.items() if size > limit * 1024}
    assert not {path for path in large if not excepted.search(path)}


def instructions(path: str) -> list[list[str]]:
    """A Dockerfile's instructions, each as its words; continued lines joined, comments left out."""
    lines = [line for line in read(path).splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.split() for line in joined.splitlines() if line.strip()]


def in_images(path: str) -> bool:
    """Whether .dockerignore lets it through, by the patterns used there: all but what has a `!`."""
    excluded, *others = (
        line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")
    )
    assert excluded == "*"
    let_through = [line[1:] for line in others if line.startswith("!")]
    return any(fnmatch.fnmatch(path.split("/")[0], pattern) for pattern in let_through)


def test_images_are_made_of_all_that_is_installed():
    script = read("CMakeLists.txt")
    listed = re.findall(r"^\s+((?:msg|action)/\S+)$", script, re.MULTILINE)
    listed += re.findall(r"include\((cmake/\S+)\)", script)
    for names in re.findall(r"install\([A-Z]+\s+(.+?)\s+DESTINATION", script, re.DOTALL):
        listed += names.replace("${PROJECT_NAME}", "hpe_vlm_ros").split()
    assert {"hpe_vlm_ros/", "launch", "models", "LICENSE", "msg/HeadPose.msg"} < set(listed)
    for path in [*listed, "package.xml", "requirements.txt", "requirements-torch.txt"]:
        assert (ROOT / path).exists() and in_images(path), path
    for path in ("training/model/lora.py", ".git/config", "test/test_public.py", "docs/faults.md"):
        assert not in_images(path)


@pytest.mark.parametrize("path", DOCKERFILES)
def test_dockerfile(path):
    steps = instructions(path)
    verbs = [step[0] for step in steps]
    assert {"FROM", "RUN", "COPY", "ENTRYPOINT", "CMD"} <= set(verbs)
    assert set(verbs) <= {"FROM", "RUN", "COPY", "ADD", "ARG", "ENV", "ENTRYPOINT", "CMD"}
    assert verbs[0] == "FROM" and re.fullmatch(r"\S+:[\w.-]+", steps[0][1])  # of a fixed release
    for _, source, _ in (step for step in steps if step[0] == "COPY"):
        assert in_images(source) and (ROOT / source).is_file()
    words = " ".join(word for step in steps for word in step)
    for name in re.findall(r"/ws/src/hpe_vlm_ros/(\S+)", words):
        assert in_images(name) and (ROOT / name).stat().st_mode & 0o111  # is run
    for name in re.findall(r"requirements\S*\.txt", words):
        assert (ROOT / name).is_file()
    assert f"docker build -f {path} " in read(path)
    assert f"({Path(path).name})" in read("docker/README.md")


def test_there_are_images_for_x86_and_jetson():
    assert DOCKERFILES == ["docker/jazzy.Dockerfile", "docker/jetson.Dockerfile"]
    assert re.search(r"^FROM ros:jazzy\b", read(DOCKERFILES[0]), re.MULTILINE)
    assert re.search(r"^FROM \S+/l4t-", read(DOCKERFILES[1]), re.MULTILINE)


@pytest.mark.parametrize("name", ["install", "entrypoint"])
def test_scripts_of_the_images_parse(name):
    subprocess.run(["bash", "-n", ROOT / "docker" / f"{name}.sh"], check=True)


def test_the_workflow_installs_as_the_start_page_says_on_every_distribution():
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]
    page = read("docs/start.md")
    table = page.split("| ROS 2 |", 1)[1].split("\n\n", 1)[0]
    named = [name.lower() for name in re.findall(r"^\| (\w+) \|", table, re.MULTILINE)]
    assert jobs["colcon"]["strategy"]["matrix"]["ros"] == named
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    scripts = re.findall(r"\.ci/\w+", "\n".join(runs))
    assert sorted(scripts) == [".ci/colcon", ".ci/run"]
    for path in scripts:
        assert (ROOT / path).stat().st_mode & 0o111
        subprocess.run(["bash", "-n", ROOT / path], check=True)
    for command in ("rosdep install", "colcon build", ". install/"):
        line = re.search(rf"^    ({re.escape(command)}.*)$", page, re.MULTILINE).group(1)
        assert f"\n{line}\n" in read(".ci/colcon")


def test_package_xml_is_as_bloom_takes_it():
    """bloom knows three variables of conditions, and refuses what Debian does not package.

    bloom/generators/common.py, package_conditional_context; bloom/generators/debian/generator.py.
    """
    warnings: list[str] = []
    package = parse_package(ROOT / "package.xml", warnings=warnings)
    assert not warnings and package.maintainers and package.licenses[0].file == "LICENSE"

    def from_pip(surroundings: dict[str, str]) -> set[str]:
        package.evaluate_conditions(surroundings)
        depends = package.exec_depends + package.build_depends + package.test_depends
        return {d.name for d in depends if d.evaluated_condition and d.name.endswith("-pip")}

    released = {"ROS_VERSION": "2", "ROS_DISTRO": "jazzy", "ROS_PYTHON_VERSION": "3"}
    assert from_pip(released) == set()
    sourced = {**released, "AMENT_PREFIX_PATH": "/opt/ros/jazzy"}
    assert from_pip(sourced) == {"python3-onnxruntime-pip", "python3-rosbags-pip"}


def test_changelog_is_read_once_it_is_dated():
    """As catkin_prepare_release does it before bloom reads it."""
    released = f"9.9.9 (2026-01-02)\n{18 * '-'}"
    dated = re.sub(r"^Forthcoming\n-+", released, read("CHANGELOG.rst"), flags=re.MULTILINE)
    changelog = Changelog("hpe_vlm_ros")
    populate_changelog_from_rst(changelog, dated)
    versions = {version: changes for version, _, changes in changelog.foreach_version()}
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
    assert newest in {"9.9.9", str(parse_package(ROOT / "package.xml").version)}
    assert len(versions[newest][0].bullets) > 1
