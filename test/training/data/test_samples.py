# SPDX-License-Identifier: Apache-2.0
"""Samples that lack something: through the readers of scene labels, augmentation and prompts."""

import json

import numpy as np
import pytest
import torch

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer
from training.data.__main__ import main
from training.data.augment import mirrored, render_view
from training.data.collage import Collage, make_collage, subjects
from training.data.labels import read_labels, sample_record
from training.data.prompts import PackingOptions, build_prompts
from training.data.readers.registry import READERS
from training.data.sample import Expression, Head, Sample
from training.supervision.dense_head import dense_answer_targets, dense_loss, dense_targets

BOX = np.array([20.0, 10, 60, 50])


@pytest.fixture
def photo(tmp_path, picture):
    """A photograph with two boxes, one of them with a pose, and an expression; no camera."""
    path = picture(tmp_path / "photos" / "a.jpg", 160, 120)
    heads = [Head(BOX, None), Head(BOX + 60, np.eye(3), 0.8, np.array([0.1, 0.2, 2.0]))]
    words = Expression(("left guy", "man in green"), BOX, 7)
    return Sample(path, 160, 120, None, heads, [words], all_heads=False)


def test_labels_are_written_and_read_back(photo, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "labels.jsonl").write_text(json.dumps(sample_record(photo, folder)) + "\n")
    (back,) = read_labels(folder)
    assert back.image_path.samefile(photo.image_path)
    assert (back.width, back.height, back.focal, back.all_heads) == (160, 120, None, False)
    assert back.heads[0].rotation is None and back.heads[0].position is None
    np.testing.assert_array_equal(back.heads[1].rotation, np.eye(3))
    np.testing.assert_array_equal(back.heads[1].position, [0.1, 0.2, 2.0])
    (words,) = back.expressions
    assert words.sentences == ("left guy", "man in green") and words.ref_id == 7
    np.testing.assert_array_equal(words.box, BOX)


def test_unknown_poses_stay_unknown(photo):
    assert photo.likely_focal == 160
    rng = np.random.default_rng(0)
    for _ in range(5):
        view, heads = render_view(photo, photo.load(), (96, 96), rng)
        assert heads[0].rotation is None and heads[1].rotation is not None
    swapped = mirrored(view, heads)[1]
    assert swapped[0].rotation is None and swapped[1].rotation is not None


def test_no_prompt_denies_a_head_or_asks_for_an_unknown_pose(photo):
    tokenizer, rng = build_tokenizer(), np.random.default_rng(0)
    size, options = (120, 160), PackingOptions()
    complete = build_prompts(photo.heads, size, tokenizer, options, rng, all_heads=True)
    partial = build_prompts(photo.heads, size, tokenizer, options, rng, all_heads=False)
    assert (len(complete), len(partial)) == (2, 1)
    assert "angles" in tokenizer.decode(partial[0].answer)


def test_collages_are_cut_from_completely_labelled_pictures(photo):
    single = (1.0, *[0.0] * (len(Collage().cells) - 1))  # one cell fills the picture
    options = Collage(share=1.0, cells=single)
    assert subjects([photo], options) == []
    photo.all_heads = True
    pool = subjects([photo], options)
    assert len(pool) == 2
    _, heads = make_collage(pool[:1], (96, 96), np.random.default_rng(0), options)
    assert heads[0].rotation is None


def test_dense_targets_learn_a_box_without_a_pose(photo):
    grid, size = (6, 8), (120, 160)
    targets = dense_targets([photo.heads], grid, size, 0.2, 10)
    output = torch.zeros(1, 48, 11, requires_grad=True)
    losses = dense_loss(output, *targets)
    assert all(torch.isfinite(value) for value in losses.values())
    only_boxes = dense_targets([photo.heads[:1]], grid, size, 0.2, 10)
    losses = dense_loss(output, *only_boxes)
    assert losses["dense_angle"] == 0 and losses["dense_box"] > 0
    sum(losses.values()).backward()
    assert torch.isfinite(output.grad).all()
    spoken, _, values = dense_answer_targets([photo.heads[:1]], grid, size, 0.2, 10)
    assert not spoken.any() and len(values) == 0


def test_the_command_checks_and_converts(tmp_path, picture, capsys):
    for name in ("a", "b"):
        picture(tmp_path / "Images" / f"{name}.jpg", 80, 60)
    cut = (tmp_path / "Images" / "b.jpg").read_bytes()[:1500]
    (tmp_path / "Images" / "b.jpg").write_bytes(cut)
    boxes = [{"tag": "person", "hbox": [5, 5, 20, 25]}]
    lines = [json.dumps({"ID": name, "gtboxes": boxes}) for name in ("a", "b")]
    (tmp_path / "own.odgt").write_text("\n".join(lines))
    arguments = [str(tmp_path / "own.odgt"), str(tmp_path / "Images"), "--decode"]
    main(["crowdhuman", *arguments, "--output", str(tmp_path / "out" / "labels.jsonl")])
    output = capsys.readouterr().out
    assert (
        "kept 1 images" in output and "left out 1: picture damaged" in output and "b.jpg" in output
    )
    (sample,) = read_labels(tmp_path / "out")
    assert sample.image_path.samefile(tmp_path / "Images" / "a.jpg")
    with pytest.raises(SystemExit, match="none.odgt"):
        main(["crowdhuman", str(tmp_path / "none.odgt"), str(tmp_path)])


def test_the_command_knows_every_reader(capsys):
    for name in READERS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert "positional arguments" in capsys.readouterr().out


def test_facing_is_asked_in_words_of_heads_whose_pose_is_known(photo):
    tokenizer, size = build_tokenizer(), (120, 160)
    up = rotation_from_angles(0, 50, 0)
    heads = [*photo.heads, Head(BOX + 30, up)]
    options = PackingOptions(detection=False, max_poses=0, max_facing=1)
    (prompt,) = build_prompts(heads, size, tokenizer, options, np.random.default_rng(0))
    assert tokenizer.decode(prompt.question).startswith("What is the head facing")
    assert tokenizer.decode(prompt.answer[:-1]) == "The head facing is up."  # the rarer one
    both = PackingOptions(detection=False, max_poses=0, max_facing=5)
    prompts = build_prompts(heads, size, tokenizer, both, np.random.default_rng(0))
    assert len(prompts) == 2 and not any(prompts[1].kinds)
    assert tokenizer.unk_token_id not in prompts[1].question + prompts[1].answer
