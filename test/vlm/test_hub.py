# SPDX-License-Identifier: Apache-2.0
"""Models by name: what of a hub is fetched and when, what the cache serves, and what errors say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, files_of
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.vlm import CheckpointError, hub
from hpe_vlm_ros.vlm.hub import HubName, find_model, short_name, wanted_files
from hpe_vlm_ros.vlm.model_folder import default_folder

WEIGHTS = b"not read here" * 1000
MODEL = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "onnx/int8/export.json": b'{"format": 1}',
    "onnx/int8/step.onnx": b"graph",
    "tokenizer.json": b'{"model": 1}',
}
OTHERS = {
    ".gitattributes": b"*",
    "modeling_cogvlm.py": b"raise SystemExit('remote code')",
    "pytorch_model.bin": b"pickle",
    "onnx/../stray.onnx": b"graph",
    "read_outs.safetensors": b"for training",
    "samples/model.safetensors": b"another",
}
ASK = """
import json, sys
from hpe_vlm_ros.vlm.hub import find_model
for model, download in json.loads(sys.argv[1]):
    try:
        print(json.dumps(str(find_model(model, download))))
    except ValueError as error:
        print(json.dumps("error: " + str(error)))
"""


@pytest.fixture
def server() -> Iterator[Hub]:
    served = Hub()
    served.repositories["lab/heads"] = {
        "main": MODEL | OTHERS,
        "v1.0": MODEL | {"model.safetensors": b"the first"},
    }
    with served.running():
        yield served


@pytest.fixture
def environment(server: Hub, tmp_path: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return os.environ | {
        "HF_ENDPOINT": server.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }


@pytest.fixture
def ask(environment: dict[str, str], tmp_path: Path) -> Any:
    """Asks for models in a process of its own, whose environment names the hub: what it found or
    why not, and what it said meanwhile."""

    def find(*cases: tuple[str, bool], **more: str) -> tuple[list[str], str]:
        done = subprocess.run(
            [sys.executable, "-c", ASK, json.dumps(cases)],
            env=environment | more,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return find


def test_nothing_is_downloaded_without_being_asked(ask: Any, server: Hub, tmp_path: Path) -> None:
    (unpinned, pinned), printed = ask(("lab/heads", False), ("lab/heads@v1.0", False))
    assert "lab/heads (commit " in unpinned and "; 5 files, 13.0 kB)" in unpinned
    assert "python -m hpe_vlm_ros download lab/heads`" in unpinned
    assert all(way in unpinned for way in ("--download", "download:=true", "download=True"))
    assert "lab/heads@v1.0 (commit " in pinned and "; 5 files, 41 bytes)" in pinned
    assert not server.fetched and not printed and not list(tmp_path.glob("home/hub/models--*"))


def test_what_is_downloaded_is_announced_and_then_served_by_the_cache(ask, server: Hub) -> None:
    (folder, again), printed = ask(("lab/heads", True), ("lab/heads", False))
    assert again == folder
    kept = {path: data for path, data in files_of(Path(folder)).items()}
    assert kept == MODEL  # no code, no pickle, nothing for training, no strays
    assert set(server.fetched) == set(MODEL)
    assert server.fetched[0] == "config.json" and server.fetched[-1] == "model.safetensors"
    assert "downloading lab/heads (commit " in printed and "5 files, 13.0 kB" in printed
    assert server.address in printed and "home/hub" in printed

    server.asked.clear()
    (first, cached), printed = ask(("lab/heads@v1.0", True), ("lab/heads", True))
    assert (Path(first) / "model.safetensors").read_bytes() == b"the first"
    assert cached == folder
    commit = Path(folder).name
    server.asked.clear()
    (by_tag, by_commit, other), _ = ask(
        ("lab/heads@v1.0", False),
        (f"lab/heads@{commit}", False),
        ("lab/others", True),
        HF_HUB_OFFLINE="1",
    )
    assert (by_tag, by_commit) == (first, folder)
    assert "lab/others is no folder and not in the cache" in other and "HF_HUB_OFFLINE" in other
    assert not server.asked

    (Path(folder) / "model.safetensors").unlink()  # as after a download that was interrupted
    (broken, mended), _ = ask(("lab/heads", False), ("lab/heads", True))
    assert "not in the cache" in broken and mended == folder
    assert (Path(folder) / "model.safetensors").read_bytes() == WEIGHTS


def test_errors_say_what_is_wrong(ask: Any, server: Hub) -> None:
    server.repositories["lab/pickled"] = {"main": {"config.json": b"{}", "a.bin": b"pickle"}}
    server.repositories["lab/empty"] = {"main": {"README.md": b"soon"}}
    server.repositories["lab/loose"] = {"main": {"model.safetensors": b"", "vit.py": b""}}
    server.repositories["lab/broken"] = {"main": MODEL | {"config.json": b"["}}
    errors, _ = ask(
        ("lab/missing", True),
        ("lab/heads@v9", True),
        ("lab/pickled", True),
        ("lab/empty", True),
        ("lab/loose", True),
        ("lab/broken", True),
        ("lab/a..b", True),
    )
    expected = [
        "there is no model folder lab/missing, and the hub has no model of that name",
        "lab/heads on the hub has no revision v9: name a branch, a tag or a whole commit",
        "lab/pickled on the hub holds weights in pickle format only (a.bin), which can run code",
        "lab/empty on the hub has no safetensors: name a repository with model.safetensors",
        "lab/loose on the hub has no config.json",
        "config.json is not readable JSON",
        "lab/a..b",
    ]
    for error, text in zip(errors, expected, strict=True):
        assert error.startswith("error: ") and text in error, error
    assert set(server.fetched) == {"config.json"}  # of lab/broken: no weights of what is no use


def test_a_hub_that_cannot_be_reached(ask: Any, server: Hub) -> None:
    (error,), _ = ask(("lab/heads", True), HF_ENDPOINT="http://127.0.0.1:9")
    assert "lab/heads is no folder and not in the cache" in error
    assert "the hub cannot be reached" in error and "check the name and the network" in error


def test_a_folder_that_exists_is_preferred(ask: Any, server: Hub, tmp_path: Path) -> None:
    (tmp_path / "lab" / "heads").mkdir(parents=True)
    (folder,), _ = ask(("lab/heads", True))
    assert folder == "lab/heads" and not server.asked


def test_the_default_and_what_is_neither_folder_nor_name(tmp_path: Path) -> None:
    assert find_model(None) == find_model("") == default_folder()
    for model in ("missing", "./missing/model", tmp_path / "missing", "a/b/c", "lab/heads@"):
        with pytest.raises(CheckpointError, match="there is no model folder .*org/name@revision"):
            find_model(model, download=True)


def test_without_the_hubs_client_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="pip install huggingface_hub"):
        find_model("lab/heads", download=True)


WORD = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@given(WORD, WORD, st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,8}", fullmatch=True))
def test_names_are_read_back(org: str, name: str, revision: str | None) -> None:
    written = HubName(f"{org}/{name}", revision)
    assert HubName.read(str(written)) == written
    assert short_name(str(written)) == name


@given(st.text(max_size=20))
def test_only_names_are_names(text: str) -> None:
    found = HubName.read(text)
    assert found is None or str(found) == text
    if text.count("/") == 0 or text[:1] in ("/", ".", "~"):
        assert found is None


PART = st.sampled_from(
    ["model", "config", "onnx", "int8", "fp32", "..", "x", ".safetensors", ".json", ".onnx", ".bin"]
    + [".py", ".pkl", "/", "read_outs"]
)


@given(st.lists(st.lists(PART, min_size=1, max_size=7).map("".join), max_size=8))
def test_of_any_repository_only_weights_graphs_and_json_are_wanted(files: list[str]) -> None:
    everything = [*files, "config.json", "model.safetensors"]
    wanted = wanted_files(everything, "lab/heads")
    assert {"config.json", "model.safetensors"} <= set(wanted) <= set(everything)
    for file in wanted:
        folders = file.split("/")[:-1]
        assert folders == [] or folders in (["onnx", "int8"], ["onnx", "fp32"])
        assert file.endswith((".safetensors", ".json", ".onnx"))
        assert file != hub.READ_OUTS


def test_predict_with_a_model_by_name(
    server: Hub,
    environment: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The embedded model, served as a hub would, gives what it gives from its folder."""
    import cv2
    import numpy as np

    from hpe_vlm_ros.__main__ import main

    server.repositories["lab/embedded"] = {"main": files_of(default_folder())}
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), picture)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hpe_vlm_ros", *arguments]
        return subprocess.run(
            command, env=environment | more, cwd=tmp_path, capture_output=True, text=True
        )

    refused = run("predict", "noise.png", "--model", "lab/embedded")
    assert refused.returncode == 1 and "hpe_vlm_ros download lab/embedded" in refused.stderr
    fetched = run("download", "lab/embedded")
    assert fetched.returncode == 0, fetched.stderr
    kept = {path.name for path in Path(fetched.stdout.strip()).rglob("*")}
    assert {"config.json", "model.safetensors", "tokenizer.json", "step.onnx"} < kept
    named = run("predict", "noise.png", "--model", "lab/embedded", HF_HUB_OFFLINE="1")
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "noise.png"]) == 0
    assert named.stdout == capsys.readouterr().out != "", named.stderr
