# SPDX-License-Identifier: Apache-2.0
"""Evaluations: asking, keeping, resuming, and every number from answers worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.answers import format_angles, format_boxes, format_referred, grid_box
from hpe_vlm_ros.geometry import angles_from_rotation, rotation_from_angles
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training import stage5_evaluate
from training.data.labels import read_labels
from training.data.sample import Appearance, Head
from training.evaluation import asking, measures, running
from training.evaluation.lenses import by_lens
from training.evaluation.measures import AnsweredScene
from training.evaluation.results import grouped_table, result, stored
from training.evaluation.scoring import true_heads

SCALE = (1.0, 1.0)


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """An untrained model does not stop by itself."""
    for name in ("POSE_LIMIT", "BOX_LIMIT", "REFERRED_LIMIT"):
        monkeypatch.setattr(asking, name, 12)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny untrained model."""
    torch.manual_seed(0)
    vision = {"image_size": 64, "hidden_size": 24, "num_hidden_layers": 1, "num_heads": 2}
    vision |= {"intermediate_size": 32, "stem": None, "initializer_range": 0.2}
    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    config = embedded(**layers, num_attention_heads=2, initializer_range=0.2, vision_config=vision)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    checkpoint.save(folder, CogVLMForCausalLM(config), CogVLMProcessor.embedded(config))
    return folder


@pytest.fixture
def samples(scenes):
    """Scenes with heads large enough to count at 64 pixels, and somebody to be described."""
    found = read_labels(scenes)
    for index, sample in enumerate(found):
        for head in sample.heads:
            box = np.array([5.0, 5, 70, 55])
            appearance = Appearance(box, ("green", "red")[index % 2], frozenset(["glasses"]))
            head.box, head.appearance = box, appearance
            head.tone = ("dark", "light")[index % 2]
    return found


def right(sample):
    """Answers without a fault."""
    triples = [angles_from_rotation(head.rotation) for head in sample.heads]
    texts = [format_angles(*angles) for angles in triples]
    boxes = format_boxes([grid_box(h.box, sample.width, sample.height) for h in sample.heads])
    own = [[*h.box, *a, 0.9] for h, a in zip(sample.heads, triples, strict=True)]
    return {
        "own": own,
        "given": [list(angles) for angles in triples],
        "poses": dict.fromkeys(("free", "symbols", "grammar"), texts),
        "boxes": dict.fromkeys(("free", "symbols", "grammar"), boxes),
        "paraphrases": dict.fromkeys(asking.PARAPHRASES, texts),
        "referring": [],
    }


def test_right_answers_have_no_errors(samples):
    numbers = result([AnsweredScene(sample, right(sample), SCALE) for sample in samples])
    short = numbers["summary"]
    assert short["recall"] == short["precision"] == 1 and short["heads"] == 5
    assert short["mae"] == short["geodesic_median"] == short["e_angle_free"] == short["e_bbox"] == 0
    assert short["rec_acc"] is None and short["rec_answers"] == 0
    assert numbers["formats"]["none"]["mae"] == pytest.approx(0, abs=0.5)
    assert [row["e_angle"] for row in numbers["prompts"].values()] == [0] * 4


def test_each_way_of_reading_counts_what_it_accepts(samples):
    """Five heads in six scenes (one empty), answered in five ways."""
    asked = []
    faults = {
        3: "a person of head",
        4: "{%03d,%03d,%03d]",
        5: "{%03d,%03d,%03d,000}",
    }
    for index, sample in enumerate(samples):
        answers = right(sample)
        if index in faults:
            angles = [round(a % 360) % 360 for a in answers["given"][0]]
            angles[0] += 30 * (index == 5)
            text = faults[index] % tuple(angles) if "%" in faults[index] else faults[index]
            answers["poses"] |= {"free": [text]}
        answers["poses"] |= {"symbols": ["{000,000}"] * len(sample.heads)}
        answers["boxes"] |= {"free": "[[001,002,003"}
        asked.append(AnsweredScene(sample, answers, SCALE))
    scores = measures.by_format(asked)
    assert [row["e_angle"] for row in scores.values()] == pytest.approx([0.6, 0.2, 0.4, 1, 0])
    assert [row["e_bbox"] for row in scores.values()] == [1, 1, 1, 0, 0]
    assert scores["none"]["mae"] == pytest.approx(0, abs=0.5)
    assert scores["regex-loose"]["mae"] == pytest.approx(10 / 4, abs=0.5)
    assert math.isnan(scores["logit constraint"]["mae"])
    rows = measures.by_scene(measures.evaluation(asked))
    assert sum(row["invalid"] for row in rows.values()) == 3
    assert rows["multi front"]["heads"] == rows["multi back"]["heads"] == 0


def test_errors_by_range_and_by_tone(samples):
    asked = [AnsweredScene(sample, right(sample), SCALE) for sample in samples]
    for scene in asked:
        for triple in scene.answers["given"]:
            triple[0] += 6 if scene.sample.heads[0].tone == "dark" else 0
    scored = measures.evaluation(asked)
    tones = measures.by_tone(scored)
    assert {tone: row["heads"] for tone, row in tones.items()} == {"light": 3, "dark": 2}
    assert tones["light"]["mae"] == pytest.approx(0, abs=0.01)
    assert tones["dark"]["mae"] == pytest.approx(2)
    heads = [sample.heads[0] for sample in samples if sample.heads]
    backs = [h for h in heads if abs(angles_from_rotation(h.rotation)[0]) >= 90]
    dark = sum(head.tone == "dark" for head in backs)
    ranges = measures.by_range(scored.true_boxes)
    assert 0 < dark and ranges["back"]["yaw"] == pytest.approx(6 * dark / len(backs), abs=0.01)
    assert ranges["front"]["roll"] == pytest.approx(0, abs=0.01)


def test_errors_by_how_much_of_a_head_shows(samples):
    single = [sample.heads[0] for sample in samples if sample.heads]
    for head, share in zip(single, (1.0, 0.7, 0.3), strict=False):
        head.visible = share
    asked = [AnsweredScene(sample, right(sample), SCALE) for sample in samples]
    for scene in asked:
        for triple in scene.answers["given"]:
            triple[0] += 9 if scene.sample.heads[0].visible == 0.3 else 0
    rows = measures.by_visibility(measures.evaluation(asked))
    assert [rows[name]["heads"] for name in ("most", "a part")] == [1, 1]
    assert rows["all of it"]["heads"] == len(single) - 2
    assert rows["a part"]["mae"] == pytest.approx(3)
    assert [rows[n]["mae"] for n in ("most", "all of it")] == pytest.approx([0, 0], abs=0.01)


@pytest.mark.parametrize("yaw", [0, 120, -75])
@pytest.mark.parametrize("pitch", [-50, 0, 20])
def test_elevation_of_the_camera_as_a_head_sees_it(samples, yaw, pitch):
    """Pitch is about the camera's axis: whatever the yaw, it tilts the head's own plane."""
    sample = replace(samples[1], width=400, height=300, focal=300.0)
    middle = Head(np.array([180.0, 130, 220, 170]), rotation_from_angles(yaw, pitch, 0))
    assert measures.camera_elevation(middle, sample) == pytest.approx(-pitch, abs=1e-6)
    lower = replace(middle, box=middle.box + (0, 110, 0, 110))
    down = math.degrees(math.atan2(110, 300))  # the angle between the axis and the ray
    assert measures.camera_elevation(lower, sample) == pytest.approx(down - pitch)


def test_errors_by_where_the_camera_is(samples):
    single = [sample for sample in samples if sample.heads]
    for sample, pitch in zip(single, (-40, -20, 0, 30, 50), strict=True):
        box = np.array([20.0, 15, 60, 45])
        sample.heads[0] = replace(
            sample.heads[0], box=box, rotation=rotation_from_angles(0, pitch, 0)
        )
    asked = [AnsweredScene(sample, right(sample), SCALE) for sample in samples]
    rows = measures.by_view(measures.evaluation(asked))
    assert {name: row["heads"] for name, row in rows.items()} == {
        "below": 2, "level": 1, "above": 1, "steep": 1,
    }  # fmt: skip


def test_errors_as_told_and_with_the_lens_known(samples):
    """Told as before a lens of 60 degrees, heads before one of 100 stand further aside."""
    asked, turns = [], []
    for sample, yaw in zip([s for s in samples if s.heads], (0, 20, -50, 110, 170), strict=True):
        focal = sample.width / 2 / math.tan(math.radians(50))
        box = np.array([44.0, 11, 80, 49])
        column = 62 - sample.width / 2
        turns.append(math.atan(column / focal) - math.atan(column * math.tan(math.pi / 6) / 40))
        across = Rotation.from_euler("y", turns[-1]).as_matrix()
        head = Head(box, across @ rotation_from_angles(yaw, 0, 0))
        wide = replace(sample, focal=focal, heads=[head])
        asked.append(AnsweredScene(wide, right(wide) | {"given": [[yaw, 0.0, 0.0]]}, SCALE))
    (row,) = by_lens(asked).values()
    assert row["heads"] == 5 and row["geodesic_known"] == pytest.approx(0, abs=0.01)
    assert row["geodesic_median"] == pytest.approx(math.degrees(turns[0]), abs=0.01)
    assert row["mae_known"] == pytest.approx(0, abs=0.01) and row["mae"] > 4
    assert by_lens([replace(one, sample=replace(one.sample, focal=None)) for one in asked]) == {}


def test_accuracy_of_expressions(samples):
    """Withheld: one right, one elsewhere, one unreadable. Taught: two boxes for the right one."""
    box = grid_box((5, 5, 70, 55), 80, 60)
    left, other = (*box[:2], 500, box[3]), (500, *box[1:])
    halves = f"{format_referred(left)[:-2]};{format_referred(other)[2:]}"
    said = [(format_referred(box), True), ("[[000,000,100,100]]", True), ("[[000,", True)]
    said.append((halves, False))
    answers = right(samples[1]) | {
        "referring": [
            {"sentence": "who", "box": [5, 5, 70, 55], "withheld": withheld, "text": text}
            for text, withheld in said
        ]
    }
    asked = [AnsweredScene(samples[1], answers, SCALE)]
    words = measures.referring(asked)
    assert (words["rec_acc"], words["rec_acc_taught"]) == (0.5, 1)
    assert (words["rec_asked"], words["rec_e_bbox"]) == (3, 0.25)
    assert measures.invalid_boxes(asked) == 1 / 5


def test_only_large_people_are_asked_for(samples):
    sample = samples[1]
    assert asking.referred(sample, False, SCALE)
    assert not asking.referred(sample, False, (0.3, 0.3))


def test_a_head_of_unknown_pose_is_scored_as_a_box(samples):
    sample = samples[1]
    sample.heads.append(Head(np.array([0.0, 0, 40, 40]), None))
    true = true_heads(sample)
    assert np.isnan(true.angles[1]).all() and np.isfinite(true.angles[0]).all()


def test_asking_resumes_where_it_was_stopped(model, samples, tmp_path, monkeypatch):
    kept = tmp_path / "answers.jsonl"
    load, tasks = (
        lambda: stage5_evaluate.HeadPerceiver.load(model, "cpu", 2),
        running.tasks_of(samples[:4], 2),
    )
    whole = running.ask_all(load, tasks, kept)
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:2]) + lines[2][:9])
    count = []
    ask = running.ask_scene
    monkeypatch.setattr(running, "ask_scene", lambda *a: count.append(1) or ask(*a))
    assert running.ask_all(load, tasks, kept) == whole
    assert len(count) == 2 and len(kept.read_text().splitlines()) == 4
    asked_more = [name for name, said in whole.items() if "paraphrases" in said]
    assert len(asked_more) == 2
    with pytest.raises(ValueError, match="other scenes"):
        running.ask_all(load, running.tasks_of(samples[4:], 0), kept)


def test_several_workers_share_the_scenes(samples, tmp_path, monkeypatch):
    """Threads in place of processes, which take long to start."""
    context = SimpleNamespace(Pool=ThreadPool)
    monkeypatch.setattr(running.multiprocessing, "get_context", lambda kind: context)
    monkeypatch.setattr(running, "ask_scene", lambda *asked: {"asked": asked[1].image_path.stem})
    monkeypatch.setattr(running, "_start", lambda *options: running._MODEL.append(None))
    tasks, kept = running.tasks_of(samples, 0), tmp_path / "answers.jsonl"
    answers = running.ask_all(lambda: None, tasks, kept, workers=2)
    assert [said["asked"] for said in answers.values()] == [s.image_path.stem for s in samples]
    assert len(kept.read_text().splitlines()) == len(samples)


def test_stage_5_writes_every_key(model, scenes, tmp_path, capsys):
    out = tmp_path / "out"
    kept = {"data": "scenes", "pictures": 3, "summary": {"mae": 12.5}}
    (tmp_path / "cnn.json").write_text(json.dumps(kept))
    command = dict(model=model, data=scenes, limit=3, device="cpu", threads=1, variants=1)
    command |= {"keep": tmp_path / "kept.json", "sixdrepnet": tmp_path / "cnn.json"}
    stage5_evaluate.main(**command, out=out, base=model)
    printed = capsys.readouterr().out
    numbers = json.loads(printed.splitlines()[-1])
    wanted = "recall precision mae mae_front mae_back geodesic_median mae_end_to_end e_angle_free "
    wanted += "e_angle e_bbox rec_acc rec_acc_base sixdrepnet_mae heads"
    assert set(wanted.split()) <= set(numbers)
    assert numbers["sixdrepnet_mae"] == 12.5 and numbers["e_bbox"] == 1
    assert "OUTPUT FORMAT" in printed and "PROMPT" in printed
    assert json.loads((out / "result.json").read_text())["summary"] == numbers
    assert (out / "result.json").read_text() == (tmp_path / "kept.json").read_text()
    references = tmp_path / "refcoco"  # two of one photograph
    references.mkdir()
    thing = {"sentences": ["it"], "box": [1, 1, 9, 9]}
    line = json.loads((scenes / "labels.jsonl").read_text().splitlines()[0])
    line |= {"image": f"../scenes/{line['image']}", "heads": [], "all_heads": False}
    lines = [line | {"expressions": [thing | {"ref_id": number}]} for number in (7, 8)]
    (references / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    # smaller heads count too
    stage5_evaluate.main(**command, out=out, base=model, counted_at=640, references=[references])
    printed = capsys.readouterr().out
    assert json.loads(printed.splitlines()[-1])["heads"] > numbers["heads"]
    assert "TABLE III" in printed and "refcoco 2 (3,785)" in printed
    every = json.loads((out / "result.json").read_text())["table_three"]
    assert every["sets"]["refcoco"] == {"acc": None, "e_bbox": 1.0, "references": 2}


def test_results_on_other_scenes_are_not_compared(tmp_path):
    path = tmp_path / "base.json"
    assert stored(path, "mae", {"data": "a"}) == (None, "not run: base.json is not there")
    path.write_text(json.dumps({"data": "a", "pictures": 2, "summary": {"mae": 3.0}}))
    assert stored(path, "mae", {"data": "a", "pictures": 2}) == (3.0, "of base.json")
    assert stored(path, "rec", {"data": "a"})[0] is None
    assert "other scenes" in stored(path, "mae", {"data": "a", "pictures": 3})[1]


def test_tables_show_percents_and_gaps():
    rows = {"none": {"heads": 3, "e_angle": 0.125, "mae": None}}
    first, second = grouped_table("FORMAT", rows).splitlines()
    assert first.split() == ["FORMAT", "heads", "e_angle", "%", "mae"]
    assert second.split() == ["none", "3", "12.500", "-"]
    assert grouped_table("FORMAT", {}) == ""
