# SPDX-License-Identifier: Apache-2.0
"""The prepared GPU run, end to end on a CPU at tiny size, and the arithmetic beside it."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from transformers import Qwen3VLForConditionalGeneration

from benchmarks.full_size import on_gpu as gpu
from benchmarks.full_size.__main__ import PHASES
from benchmarks.full_size.qwen3_vl import (
    Frame,
    Roofline,
    generate,
    phases,
    qwen_config,
    random_model,
)
from benchmarks.full_size.roofline import Card

KINDS = ["cogvlm17b", "qwen3_vl_8b"]  # 2B is the same program with other sizes


def run_here(command: list[str], **_: Any) -> CompletedProcess[str]:
    """As subprocess.run of `python -m module`, without a start that takes longer than the rest."""
    part = import_module(command[2])
    program = import_module(f"{command[2]}.__main__") if hasattr(part, "__path__") else part
    with redirect_stdout(StringIO()) as output:
        status = program.main(command[3:])
    return CompletedProcess(command, status, output.getvalue(), "")


def test_both_kinds_of_model_run_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu.subprocess, "run", run_here)
    options = ["--tiny", "--out", str(tmp_path), "--limit", "1200", "--only", *KINDS]
    assert gpu.main([*options, "--tflops", "1", "--bandwidth", "100"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == KINDS
    for name, found in results.items():
        assert len(found["results"]) == 2, name  # in full precision and in 4 bits
        assert json.loads((tmp_path / f"{name}.json").read_text()) == found
        for result in found["results"].values():
            assert result["memory_gb"] > 0 and [row["heads"] for row in result["rows"]] == [1, 2]
            for row in result["rows"]:
                assert row["total"] == pytest.approx(sum(row[phase] for phase in PHASES))
                assert row["speedup"] == pytest.approx(row["generate"] / row["total"])
                assert 0 < row["least_total"] < row["total"]


def test_a_model_that_fails_is_told_and_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = {"bad": ["benchmarks.no_such_module"], "good": ["json.tool", "--help"]}
    monkeypatch.setattr(gpu, "JOBS", jobs)
    assert gpu.main(["--out", str(tmp_path), "--only", "bad", "good"]) == 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert "no_such_module" in results["bad"]["failed"] and "failed" in results["good"]
    assert "no_such_module" in (tmp_path / "bad.txt").read_text()
    assert "bad: " in capsys.readouterr().out


@pytest.mark.parametrize(("size", "parameters"), [("2B", 2.13e9), ("8B", 8.77e9)])
def test_the_sizes_are_the_published_ones(size: str, parameters: float) -> None:
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(qwen_config(size))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(parameters, rel=0.005)


def test_what_is_timed_is_what_the_model_says_of_the_whole_row() -> None:
    """Forwards behind a kept picture give the logits of one forward over picture and question."""
    torch.manual_seed(0)
    model = random_model(qwen_config("tiny"), "cpu", torch.float32)
    frame, said = Frame(model, 96, 64), []
    model.register_forward_hook(lambda module, inputs, output: said.append(output.logits[:, -1]))
    assert phases(frame, 2, "cpu").keys() == set(PHASES)
    behind = [logits for logits in said if len(logits) == 2][0]  # of the question about two heads
    whole = model(**frame.picture(31)).logits[:, -1]
    torch.testing.assert_close(behind, whole.expand(2, -1), atol=1e-5, rtol=1e-4)
    assert generate(frame, 1, "cpu") > 0


def test_the_roofline_counts_weights_once_a_forward() -> None:
    model = random_model(qwen_config("tiny"), "cpu", torch.float32)
    frame = Frame(model, 96, 64)
    layers = sum(p.numel() for p in model.model.language_model.layers.parameters())
    head = model.lm_head.weight.numel()
    slow_memory = Roofline(model, frame, Card(flops=1e30, bandwidth=1.0)).least(1)
    kept = 2 * 2 * 2 * 16 * 4  # keys and values of 2 layers, 2 heads of 16, 4 bytes
    steps = [31, *[1] * 18]
    ends = [frame.tokens + sum(steps[: n + 1]) for n in range(19)]
    read = 19 * 4 * (layers + head) + kept * sum(ends)
    assert slow_memory["pose"] == pytest.approx(1000 * read)
    assert Roofline(model, frame, None).least(1)["pose"] is None
