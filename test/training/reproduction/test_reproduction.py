# SPDX-License-Identifier: Apache-2.0
"""The report has a twin of every table, and says of every number where it is from."""

import json

import cv2
import numpy as np
import pytest
import torch

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training.data.sample import Head, Sample
from training.merging.stream import ORIGINAL, TUNED
from training.reproduction import attention, figures, report
from training.reproduction.claims import CLAIMS, verdicts
from training.reproduction.tables import TABLES, markdown

OURS = {
    "note": "a short run",
    "pictures": 5,
    "summary": {"rec_acc": 0.5, "e_bbox": 0.0, "mae": 9.5, "e_angle_free": 0.001, "heads": 7},
    "formats": {"none": {"e_angle": 0.5, "mae": 8.0}, "regex-loose": {"e_angle": 0.2, "mae": 9.0}},
    "scenes": {"single front": {"heads": 4, "invalid": 1, "e_angle": 0.25}},
}


def table(number):
    return next(t for t in TABLES if t.number == number)


def test_there_is_a_twin_of_every_table():
    assert [t.number for t in TABLES] == ["III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI"]
    for one in TABLES:
        for row in one.rows:
            assert len(row.paper) == len(one.columns), (one.number, row.label)
    assert {claim.table for claim in CLAIMS} == {t.number for t in TABLES}


def test_numbers_stand_beside_the_papers():
    lines = markdown(table("III"), {"stage4": OURS}).splitlines()
    ours = next(line for line in lines if line.startswith("| HPE-CogVLM"))
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[1:] == [
        "90.5 / 84.7 / 87.8 %", "50.00 %", "0 %", "0.00 %", "7.36", "9.50", "0.052 %", "0.10 %",
        cells[-1],
    ]  # fmt: skip
    assert f"{cells[-1]}. a short run; scored on 7 heads of 5 scenes" in lines
    columns = {line.count("|") for line in lines if line.startswith("|")}
    assert len(columns) == 1


def test_thresholds_that_choose_alike_are_named(tmp_path):
    kept = tmp_path / "merge.json"
    assert report.cosines(kept) == ""
    kept.write_text(json.dumps({"layers": {"a": {"similarity": 0.999}, "b": {"similarity": 0.99}}}))
    assert "0.99000: all of the paper's thresholds" in report.cosines(kept)
    text = report.report({}, dict.fromkeys(report.TITLES, False), "A remark.")
    assert text.index("Table VI:") < text.index("A remark.") < text.index("Table VII:")


def test_what_is_not_run_says_why():
    lines = markdown(table("III"), {}).splitlines()
    hopenet = next(line for line in lines if line.startswith("| HopeNet"))
    number = hopenet.strip("| ").rpartition("| ")[2]
    (note,) = (line for line in lines if line.startswith(f"{number}. "))
    assert hopenet.count("not run") == 4 and "not run: " in note and "package registry" in note
    assert "no training/reproduction/results/sixdrepnet.json" in markdown(table("VII"), {})


def test_a_part_of_a_result_is_found_by_its_group():
    lines = markdown(table("IX"), {"task_arithmetic": OURS}).splitlines()
    row = next(line for line in lines if line.startswith("| Task arithmetic, single front"))
    assert "25.00 %" in row and "| 4 |" in row.replace("  ", " ")


@pytest.mark.parametrize(("mae", "verdict"), [(20.0, "**shows"), (5.0, "**does not show")])
def test_claims_are_judged_by_the_numbers(mae, verdict):
    other = {"summary": {"mae": mae}}
    judgements = verdicts("III", {"stage4": OURS, "sixdrepnet": other})
    assert (
        verdict in judgements[0] and "cannot be told, no number of `non_merging`" in judgements[1]
    )
    loose = verdicts("VIII", {"task_arithmetic": OURS})
    assert "**shows here**" in loose[0]


def test_a_file_that_is_no_result_is_named(tmp_path):
    (tmp_path / "merge.json").write_text('{"layers": {}}')
    (tmp_path / "stage4.json").write_text(json.dumps(OURS))
    assert report.read_results(tmp_path) == {"stage4": OURS}
    (tmp_path / "torn.json").write_text('{"summary": ')
    with pytest.raises(ValueError, match="torn.json"):
        report.read_results(tmp_path)


@pytest.fixture
def two_heads(tmp_path):
    """A picture with two large heads."""
    path = tmp_path / "two.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    boxes = (np.array([5.0, 10, 30, 50]), np.array([50.0, 10, 75, 50]))
    heads = [Head(box, rotation_from_angles(30, 5, 0)) for box in boxes]
    return Sample(path, 80, 60, 70.0, [*heads, Head(np.array([35.0, 5, 40, 9]), None)])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    vision = {"image_size": 64, "hidden_size": 24, "num_hidden_layers": 1, "num_heads": 2}
    vision |= {"intermediate_size": 32, "stem": None}
    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = embedded(**layers, num_attention_heads=2, vision_config=vision)
    return CogVLMForCausalLM(config).eval(), CogVLMProcessor.embedded(config)


def test_attention_is_that_of_the_model_itself(model, two_heads, monkeypatch):
    """Against weights computed from what the model's own attention is given."""
    network, processor = model
    taken, batches = [], []
    real, packed = torch.nn.functional.scaled_dot_product_attention, attention.pack

    def spy(query, key, value, attn_mask=None, **options):
        if attn_mask is not None:  # the vision tower has none
            scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
            taken.append(scores.masked_fill(~attn_mask, float("-inf")).softmax(-1)[0])
        return real(query, key, value, attn_mask=attn_mask, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
    monkeypatch.setattr(attention, "pack", lambda *a: batches.append(packed(*a)) or batches[0])
    weights = attention.attention_map(network, processor, two_heads, two_heads.heads[0])
    (batch,) = batches
    assert len(taken) == 2 and (batch.targets >= 0).sum() > 3
    patches = slice(2, network.config.num_image_tokens)
    mean = torch.stack(taken)[:, :, batch.targets[0] >= 0, patches].mean((0, 1, 2))
    np.testing.assert_allclose(weights.ravel(), mean / mean.sum(), atol=1e-6)


def test_attention_within_a_box_is_counted(two_heads):
    seen = np.zeros((4, 4))
    seen[1, 0], seen[1, 3], seen[3, 1] = 2, 1, 1
    first, second = figures.largest(two_heads)
    assert figures.share_inside(seen, first.box, two_heads) == 0.5
    assert figures.share_inside(seen, second.box, two_heads) == 0.25


def test_the_report_is_written_with_its_figures(two_heads, tmp_path, monkeypatch, capsys):
    results = tmp_path / "results"
    results.mkdir()
    lines = [{"samples": n * 100, "degrees": 50.0 / n} for n in range(1, 5)]
    (results / "sixdrepnet.json").write_text(json.dumps({"summary": {"mae": 9.9}, "curve": lines}))
    for ratio in (10, 25):
        (results / f"stage4_{ratio}.json").write_text(json.dumps(OURS))
    layers = {
        f"model.layers.{i}.mlp.up": {"similarity": 0.9, "side": side}
        for i, side in enumerate((ORIGINAL, TUNED))
    }
    (results / "merge.json").write_text(json.dumps({"layers": layers}))
    monkeypatch.setattr(report, "read_labels", lambda data, limit: [two_heads])
    monkeypatch.setattr(attention, "attention_maps", lambda *a: [np.eye(4), np.eye(4)])
    report.main(results=results, out=tmp_path / "docs")
    text = (tmp_path / "docs" / "reproduction.md").read_text()
    assert "lowest cosine here is 0.90000.\n" in text
    assert "Trained on: a short run; scored on 7 heads of 5 scenes.\n" in text
    assert "4 figures" in capsys.readouterr().out
    for title in ("Table III", "Table XI", "Figure 4", "Figure 5", "Figure 6"):
        assert title in text
    pictures = sorted((tmp_path / "docs" / "figures").glob("*.png"))
    assert len(pictures) == 4 and all(f"figures/{p.name}" in text for p in pictures)
