# SPDX-License-Identifier: Apache-2.0
"""The pipeline script runs from nothing to a score, each stage on what the one before it made.
What ships a model (export, calibration) has tests of its own; here it is asked for, no more.

Starting Python six times would take longer than all the rest, so a stand-in for `python` hands its
arguments to this process, which does what they ask.
"""

import importlib
import json
import os
import select
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from jsonargparse import auto_cli, auto_parser

from hpe_vlm_ros.vlm import export
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training.evaluation import asking
from training.labelling import review
from training.model.init import new_embedded_model
from training.reproduction.baselines.recipes import RECIPES
from training.reproduction.tables import TABLES
from training.supervision.read_outs import READ_OUTS, read_outs_of
from training.synthetic import render

pytestmark = pytest.mark.usefixtures("briefly_recounted")
ROOT = Path(__file__).parents[2]
STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" > "$EXCHANGE/asked"
read -r status < "$EXCHANGE/done"
exit "$status"
"""
SHIPPING = (
    "training.release.fit_head_shape",
    "hpe_vlm_ros.vlm.export",
    "training.release.calibrate",
)
QUICK = (
    "--schedule.steps=2 --schedule.workers=0 --schedule.save_every=2 --data_options.batch_size=2"
)


@pytest.fixture
def exchange(tmp_path):
    """A folder with two pipes and a stand-in for python."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    for name in ("asked", "done"):
        os.mkfifo(folder / name)
    (folder / "python").write_text(STAND_IN)
    (folder / "python").chmod(0o755)
    return folder


def serve(exchange, process, run):
    """Do what the script asks for until it ends; returns the modules it ran."""
    modules = []
    # both ends held open: nothing waits for a script that was stopped
    asked, done = (os.open(exchange / name, os.O_RDWR) for name in ("asked", "done"))
    text = b""
    while process.poll() is None:
        if not select.select([asked], [], [], 0.2)[0]:
            continue
        text += os.read(asked, 65536)
        if text.endswith(b"\n"):
            words, text = text.decode().splitlines(), b""
            modules.append(run(words))
            os.write(done, b"0\n")
    os.close(asked)
    os.close(done)
    return modules


def run_here(words, scenes):
    """Python's arguments, done in this process; several processes are one here."""
    last = len(words) - words[::-1].index("-m")
    module, options = words[last], words[last + 1 :]
    if module == "training.synthetic.render":
        understood(module, options)
        shutil.copytree(scenes, options[0], dirs_exist_ok=True)
        return module
    if module in SHIPPING:
        understood(module, options)
        return module
    if "--workers" in options:
        options[options.index("--workers") + 1] = "1"
    auto_cli(program(module), as_positional=False, args=options)
    return module


def chained(script, places, environment, exchange, scenes):
    """Modules that a script ran, one behind the other, to its end."""
    command = ["sh", str(ROOT / "training" / script), *map(str, places)]
    process = subprocess.Popen(command, env=environment)
    try:
        modules = serve(exchange, process, lambda words: run_here(words, scenes))
    finally:
        process.kill()
    assert process.returncode == 0
    return modules


def program(module):
    """The function that a module's command line calls."""
    part = importlib.import_module(module)
    return part.main if hasattr(part, "main") else part.train


def understood(module, options):
    """The parsed options, if the program has them all."""
    if module == "hpe_vlm_ros.vlm.export":
        return export.parser().parse_args(options)
    if module == "training.synthetic.render":
        return render.parse(options)
    parser = auto_parser(program(module), as_positional=module in SHIPPING)
    return parser.parse_args(options)


@pytest.mark.parametrize("start", ["nothing", "a model"])
def test_the_pipeline_chains(start, exchange, scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "BOX_LIMIT", 20)
    learnt = ["stage0_ground", "stage1_pretrain", "stage1_pretrain"]
    environment = os.environ | {
        "PATH": f"{exchange}:{os.environ['PATH']}",
        "EXCHANGE": str(exchange),
        "PROCESSES": "2",
        "SCENES": "6",
        "BASE_OPTIONS": "--image_size=64",
        "STAGE_OPTIONS": QUICK,
        "SCORE_OPTIONS": f"--limit=2 --variants=0 --data={scenes}",
    }
    if start == "a model":
        checkpoint.save(tmp_path / "known", *new_embedded_model(64))
        environment["FROM"], learnt = str(tmp_path / "known"), ["stage1_pretrain"]
    runs = tmp_path / "runs"
    monkeypatch.chdir(ROOT)
    modules = chained("run_all.sh", [runs], environment, exchange, scenes)
    stages = [*learnt, "stage2_finetune", "stage3_merge", "stage4_rehearse"]
    stages += ["stage3_merge"] if start == "a model" else []
    stages = [f"training.{stage}" for stage in stages]
    evaluation = [*SHIPPING, "training.stage5_evaluate"]
    assert modules == ["training.synthetic.render"] * 4 + stages + evaluation
    assert json.loads((runs / "stage3" / "merge.json").read_text())["method"] == "winner_takes_all"
    if start == "a model":  # ships the mean of stages 1 and 4, not of what was known and stage 4
        places = tmp_path / "known", runs / "decoder/model", runs / "stage4/model", runs / "shipped"
        known, first, last, mean = (checkpoint.load_model(p, "cpu").state_dict() for p in places)
        off = [
            sum((mean[n] - (m[n] + last[n]) / 2).abs().sum() for n in mean) for m in (first, known)
        ]
        assert off[0] < off[1] / 2
    result = json.loads((runs / "scored" / "result.json").read_text())
    assert result["pictures"] == 2 and "rec_acc_base" in result["summary"]
    assert read_outs_of(runs / "shipped") == runs / "shipped" / READ_OUTS


def test_the_full_size_pipeline_chains(exchange, scenes, full_size_layers, tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "BOX_LIMIT", 20)
    base, data, runs = (tmp_path / name for name in ("base", "data", "runs"))
    model = CogVLMForCausalLM(full_size_layers).to(torch.bfloat16)
    checkpoint.save(base, model, CogVLMProcessor.embedded(full_size_layers), torch.bfloat16)
    for role in ("weak", "rehearsal", "task", "validation", "test", "refcoco"):
        shutil.copytree(scenes, data / role)
    environment = os.environ | {
        "PATH": f"{exchange}:{os.environ['PATH']}",
        "EXCHANGE": str(exchange),
        "LAUNCH": "python",
        "STAGE_OPTIONS": f"{QUICK} --threads=1 --schedule.warmup=0",
        "SCORE_OPTIONS": "--limit=1 --variants=0",
    }
    monkeypatch.chdir(ROOT)
    modules = chained("run_full_size.sh", [base, data, runs], environment, exchange, scenes)
    fold = "stage3_merge"
    stages = ["stage1_pretrain", fold, "stage2_finetune", fold, "stage3_merge"]
    stages += ["stage4_rehearse", fold, "stage5_evaluate"]
    assert modules == [f"training.{stage}" for stage in stages]
    merged = json.loads((runs / "merged" / "merge.json").read_text())
    assert merged["method"] == "winner_takes_all"
    result = json.loads((runs / "scored" / "result.json").read_text())
    assert result["pictures"] == 1 and list(result["table_three"]["sets"]) == ["refcoco"]
    name = "model.layers.0.self_attn.language_expert_query_key_value.weight"
    before, after = (checkpoint.load_model(m, "cpu").state_dict() for m in (base, runs / "shipped"))
    assert not torch.equal(before[name], after[name])


RECORDER = """#!/bin/sh
printf '%s\\037' "$@" >> "$RECORD"
echo >> "$RECORD"
"""


def test_every_command_behind_the_tables_is_understood(tmp_path):
    """Nothing is run; every option of every command is one that its program has."""
    root, runs = tmp_path / "root", tmp_path / "runs"
    for stage in ("base", "stage1", "decoder", "stage2", "stage3", "stage4"):
        (runs / stage).mkdir(parents=True)
        (runs / stage / "log.jsonl").write_text('{"step": 20, "loss": 1.0}\n')
    (runs / "stage3" / "merge.json").write_text("{}")
    (root / "training" / "reproduction").mkdir(parents=True)
    for name in ("reproduction/run_tables.sh", "stages.sh"):
        shutil.copy(ROOT / "training" / name, root / "training" / name)
    (root / "python").write_text(RECORDER)
    (root / "python").chmod(0o755)
    record = tmp_path / "record"
    environment = os.environ | {"PATH": f"{root}:{os.environ['PATH']}", "RECORD": str(record)}
    command = ["sh", str(root / "training" / "reproduction" / "run_tables.sh"), str(runs)]
    subprocess.run(command, env=environment, check=True)
    kept = []
    for line in record.read_text().splitlines():
        words = line.split("\037")[:-1]
        last = len(words) - words[::-1].index("-m")
        options = [w.replace("config/training", str(RECIPES)) for w in words[last + 1 :]]
        parsed = understood(words[last], options)
        kept += [Path(parsed.keep).stem] if getattr(parsed, "keep", None) else []
    rows = {row.result for table in TABLES for row in table.rows if not row.reason}
    assert rows - set(kept) == {"whenet"}


def test_every_command_of_the_photographs_is_understood(tmp_path):
    """Nothing is run; the steps come in order, with options that their programs have."""
    root, runs, photos = (tmp_path / name for name in ("root", "runs", "photos"))
    for folder in ("real_photos/a", "real_photos/b", "no_people/rooms"):
        (photos / folder).mkdir(parents=True)
    (runs / "stage1" / "model").mkdir(parents=True)
    (runs / "stage1" / READ_OUTS).touch()
    (root / "training").mkdir(parents=True)
    shutil.copy(ROOT / "training" / "run_photos.sh", root / "training")
    (root / "python").write_text(RECORDER)
    (root / "python").chmod(0o755)
    record = tmp_path / "record"
    environment = os.environ | {"PATH": f"{root}:{os.environ['PATH']}", "RECORD": str(record)}
    script = str(root / "training" / "run_photos.sh")
    subprocess.run(["sh", script, runs, photos, photos], env=environment, check=True)
    ran = []
    for line in record.read_text().splitlines():
        words = line.split("\037")[:-1]
        last = len(words) - words[::-1].index("-m")
        module, options = words[last], words[last + 1 :]
        ran.append(module)
        options = [w.replace("config/training", str(RECIPES)) for w in options]
        if module == "training.labelling.review":
            assert options.pop(0) == "propose"
            function, positional = review.propose, False
            assert options[options.index("--sets") + 1] in ("[a,b]", "[b,a]", "[rooms]")
        elif module == "hpe_vlm_ros.vlm.export":
            continue
        else:
            function = program(module)
            named = ("labelling.build", "labelling.testset", "stage1_pretrain", "stage3_merge")
            positional = module.removeprefix("training.") not in named
        auto_parser(function, as_positional=positional).parse_args(options)
    assert ran == [
        "training.labelling.review", "training.labelling.review", "training.labelling.build",
        "training.stage1_pretrain", "training.stage3_merge", "hpe_vlm_ros.vlm.export",
        "training.release.fit_scores", "training.refiner.candidates",
        "training.refiner.candidates", "training.refiner.crops", "training.refiner.crops",
        "training.teach_refiner", "training.release.refiner", "training.labelling.testset",
        "training.evaluation.photos", "training.evaluation.photos",
    ]  # fmt: skip


def test_scenes_are_drawn_from_what_the_environment_names(tmp_path):
    """The first command is recorded, and refused so that no other is run."""
    (tmp_path / "python").write_text(RECORDER + "exit 1\n")
    (tmp_path / "python").chmod(0o755)
    record = tmp_path / "record"
    given = {"ASSETS": "/a folder", "PANORAMAS": "/light", "AVATARS": "/people here"}
    environment = os.environ | given | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment["RECORD"] = str(record)
    command = ["sh", str(ROOT / "training/run_all.sh"), str(tmp_path / "runs")]
    assert subprocess.run(command, env=environment).returncode == 1
    words = record.read_text().splitlines()[0].split("\x1f")[:-1]
    asked = understood(words[1], words[2:])
    assert words[1] == "training.synthetic.render" and asked.split == "train"
    assert [str(getattr(asked, name.lower())) for name in given] == list(given.values())
