# SPDX-License-Identifier: Apache-2.0
"""The paper's Table III with a row of our own, from answers worked out by hand."""

import cv2
import numpy as np
import pytest

from hpe_vlm_ros.answers import format_angles, format_referred, grid_box
from hpe_vlm_ros.geometry import rotation_from_angles
from training.data.sample import Expression, Head, Sample
from training.evaluation import running
from training.evaluation.asking import REFERRING, referred
from training.evaluation.measures import AnsweredScene
from training.evaluation.table_three import numbers, set_name, table

SCALE = (0.1, 0.1)
SMALL = np.array([100.0, 100, 110, 112])  # a pixel at the model's input


def scene(path, yaws, visible=0.05):
    poses = [rotation_from_angles(yaw, 0, 0) for yaw in yaws]
    heads = [Head(SMALL + 20 * n, pose, visible) for n, pose in enumerate(poses)]
    return Sample(path, 640, 480, None, heads)


def said(sample, free, ruled):
    return AnsweredScene(
        sample,
        {
            "own": [],
            "given": [[yaw, 0.0, 0.0] for yaw in ruled],
            "poses": {"free": free},
            "boxes": {"free": "nobody"},
        },
        SCALE,
    )


def reference(path, number, text, box=(100, 100, 300, 300)):
    expression = Expression((f"thing {number}", "it"), np.array(box, float), number)
    sample = Sample(path, 640, 480, None, [], [expression], all_heads=False)
    kept = {"sentence": "it", "box": list(box), "withheld": False, "text": text}
    return AnsweredScene(sample, {"referring": [kept]}, SCALE)


@pytest.fixture
def found(tmp_path):
    sample = scene(tmp_path / "a.jpg", [10.0, 20, 170])
    free = [format_angles(13, 0, 0), format_angles(20, 3, 0), "a person"]
    poses = [said(sample, free, [10.0, 26, 176])]
    right = format_referred(grid_box((100, 100, 300, 300), 640, 480))
    wrong = format_referred(grid_box((1, 1, 9, 9), 640, 480))
    texts = [right, wrong, "there", right]
    refs = [reference(tmp_path / "b.jpg", number, text) for number, text in enumerate(texts)]
    return numbers(poses, {"refcoco": refs, "refcocog": refs[:1]})


def test_every_head_counts_and_free_answers_stand_beside_the_grammars(found):
    assert found["heads"] == 3  # a pixel large and a twentieth of it visible
    assert found["mae_free"] == pytest.approx((1 + 1) / 2)  # of valid answers
    assert found["e_angle_free"] == pytest.approx(1 / 3)
    assert found["mae_grammar"] == pytest.approx((0 + 2 + 2) / 3)
    assert found["e_angle_grammar"] == 0
    assert found["e_bbox_heads"] == 1.0


def test_a_data_set_counts_valid_answers_and_tells_the_share_of_others(found):
    assert found["sets"]["refcoco"] == {
        "acc": pytest.approx(2 / 3),
        "e_bbox": 0.25,
        "references": 4,
    }
    assert found["sets"]["refcocog"]["acc"] == 1.0


def test_the_table_has_the_papers_rows_and_ours(found):
    lines = table(found, "shipped").splitlines()
    rows = {line.split("  ")[0]: line.split() for line in lines[1:-1]}
    assert rows["HPE-CogVLM"][-8:] == "90.5 0.000 84.7 0.000 87.8 0.000 7.36 0.052".split()
    assert rows["Original Grounding CogVLM"][-2:] == ["-", "-"]
    assert rows["shipped"][-8:] == "66.7 25.000 - - 100.0 0.000 1.00 33.333".split()
    assert rows["shipped, grammar"][-2:] == ["1.33", "0.000"]
    assert "refcoco 4 (3,785), refcocog 1 (5,023), heads 3 (32,738)" in lines[-1]


def test_folders_are_named_as_the_data_sets(tmp_path):
    assert set_name(tmp_path / "refcoco+") == "refcoco+"
    with pytest.raises(ValueError, match="must be called one of refcoco, refcoco., refcocog"):
        set_name(tmp_path / "coco")


def test_every_reference_of_a_photograph_is_asked_about_however_small(tmp_path):
    """One photograph, three references."""
    path = tmp_path / "photo.jpg"
    assert cv2.imwrite(str(path), np.zeros((480, 640, 3), np.uint8))
    samples = [reference(path, n, "", (1, 1, 4, 5)).sample for n in (3, 8, 9)]
    tasks = running.tasks_of(samples, 0, (REFERRING,))
    assert len(tasks) == 3 and {parts for _, parts in tasks.values()} == {(REFERRING,)}
    assert [one.ref_id for s in samples for one in referred(s, False, SCALE)] == [3, 8, 9]
    assert referred(samples[0], True, SCALE) == []
