# SPDX-License-Identifier: Apache-2.0
"""Folders to learn from, made of photographs and judgements."""

import json

import cv2
import numpy as np
import pytest

from training.data.labels import read_labels
from training.labelling import build as building
from training.labelling.proposals import Proposal, as_record, to_ray

FACE = Proposal((60.0, 30.0, 140.0, 130.0), "face", 0.9, (20.0, -3.0, 1.0), (5.0, 3.0, 2.0))
FAR = Proposal((4.0, 4.0, 30.0, 40.0), "model", 0.3, (170.0, 0.0, 0.0), (9.0, 9.0, 9.0))


def proposed(folder, name, *proposals):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (160, 200, 3), np.uint8))
    return {"image": name, "id": name[-8:-4], "sha256": name, "width": 200, "height": 160,
            "proposals": [as_record(p) for p in proposals]}  # fmt: skip


def built(tmp_path, rows, labels=(), held_out=()):
    for name, lines in (("p.jsonl", rows), ("judged/set.jsonl", labels)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "held_out.txt").write_text("\n".join(held_out))
    building.main(
        tmp_path, [tmp_path / "p.jsonl"], tmp_path / "out", tmp_path / "held_out.txt",
        tmp_path / "judged",
    )  # fmt: skip
    validation = tmp_path / "out_validation"
    folders = [f for f in (tmp_path / "out", validation) if (f / "labels.jsonl").read_text()]
    return {s.image_path.name: s for f in folders for s in read_labels(f)}


def test_a_portrait_is_whole_and_its_pose_as_wide_as_the_teachers_differ(tmp_path):
    (sample,) = built(tmp_path, [proposed(tmp_path, "set/a.jpg", FACE, FAR)]).values()
    assert sample.all_heads and len(sample.decoys) == 1
    (head,) = sample.heads
    angles = to_ray(head.rotation, head.box, 200, 160)
    assert angles == pytest.approx(FACE.angles, abs=0.1)
    assert head.spread == pytest.approx(np.array(FACE.spread) / 1.69, abs=0.06)


def test_others_that_nobody_judged_do_not_claim_to_be_whole(tmp_path):
    sure = Proposal(FAR.box, "model", 0.9, FAR.angles, FAR.spread)
    (sample,) = built(tmp_path, [proposed(tmp_path, "set/a.jpg", FACE, sure)]).values()
    assert not sample.all_heads and len(sample.heads) == 1 and not sample.decoys


def test_judgements_count_and_ignored_regions_are_blurred(tmp_path):
    row = proposed(tmp_path, "set/a.jpg", FACE, FAR)
    label = {k: row[k] for k in ("image", "sha256", "width", "height")} | {
        "whole": True, "no": [[4, 4, 30, 40]], "ignore": [[150, 100, 200, 160]],
        "heads": [{"box": [60, 30, 140, 130], "facing": "B", "source": "eye"},
                  {"box": [1, 100, 20, 120], "facing": None, "source": "eye"},
                  {"box": [148, 110, 170, 140], "facing": "F", "source": "eye"}],
    }  # fmt: skip
    (sample,) = built(tmp_path, [row], [label]).values()
    back, unknown = sample.heads  # the third is blurred
    assert abs(to_ray(back.rotation, back.box, 200, 160)[0]) == pytest.approx(180, abs=0.1)
    assert back.spread.max() == 15 and not back.is_exact and unknown.rotation is None
    assert len(sample.decoys) == 1
    image = sample.load()
    assert image[105:155, 155:195].std() < 0.3 * image[5:60, 145:195].std()


def test_held_out_and_dropped_photographs_are_left_out(tmp_path):
    rows = [proposed(tmp_path, f"set/{name}.jpg", FACE) for name in "abc"]
    dropped = {"image": "set/b.jpg", "sha256": "b", "width": 200, "height": 160, "whole": False,
               "drop": True, "heads": []}  # fmt: skip
    assert list(built(tmp_path, rows, [dropped], ["set/a.jpg"])) == ["set__c.jpg"]


def test_what_a_model_took_for_a_head_on_a_whole_photograph_is_a_decoy(tmp_path):
    lamp = Proposal((150.0, 20.0, 180.0, 60.0), "model", 0.7, FAR.angles, FAR.spread)
    speck = Proposal((150.0, 120.0, 158.0, 130.0), "model", 0.7, FAR.angles, FAR.spread)
    row = proposed(tmp_path, "set/a.jpg", FACE, FAR, lamp, speck)
    label = {k: row[k] for k in ("image", "sha256", "width", "height")} | {
        "whole": True, "ignore": [[0, 0, 40, 50]],
        "heads": [{"box": [60, 30, 140, 130], "facing": "F", "source": "eye"}],
    }  # fmt: skip
    (sample,) = built(tmp_path, [row], [label]).values()
    assert [decoy.tolist() for decoy in sample.decoys] == [list(lamp.box)]
    (sample,) = built(tmp_path, [row], [label | {"whole": False}]).values()
    assert not sample.decoys
