# SPDX-License-Identifier: Apache-2.0
"""Photographs that belong together are found and never divided."""

import json

import cv2
import numpy as np

from training.labelling.groups import difference_hash, group, held_out, keys_of, main, validated
from training.labelling.photo_folder import is_for_validation


def test_what_tells_that_two_belong_together():
    origin = {
        "a.jpg": {"path": "files/blog/2013/06/IMG_1.jpg"},
        "b.jpg": {"path": "files/blog/2013/06/other.jpg"},
        "c.jpg": {"path": "img/bio-jacobs_small.jpg"},
        "d.jpg": {"path": "team/bio-jacobs.jpg"},
    }
    keys = {f"set/{name}": keys_of(f"set/{name}", origin) for name in origin}
    of = group(keys, {})
    assert of["set/a.jpg"] == of["set/b.jpg"] != of["set/c.jpg"] == of["set/d.jpg"]
    frames = {name: keys_of(name, {}) for name in ("clips/walk_0001.jpg", "clips/walk_0031.jpg")}
    assert len(set(group(frames, {}).values())) == 1


def test_pictures_that_look_alike_are_one_group():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (90, 120, 3), np.uint8)
    image = np.repeat(np.repeat(image[:9, :9], 10, 0), 10, 1)
    lighter = np.clip(image.astype(int) + 9, 0, 255).astype(np.uint8)
    other = np.ascontiguousarray(image[::-1, ::-1])
    names = {"a": image, "b": lighter, "c": other}
    hashes = {name: [difference_hash(picture)] for name, picture in names.items()}
    of = group({name: [name] for name in names}, hashes)
    assert of["a"] == of["b"] != of["c"]


def test_groups_are_held_out_whole_and_what_was_learnt_from_never():
    names = [f"set/{i}.jpg" for i in range(400)]
    of = {name: f"set/{i // 2 * 2}.jpg" for i, name in enumerate(names)}
    out = held_out(of)
    assert 0.1 < len(out) / len(names) < 0.3
    assert all((of[name] in out) == (name in out) for name in names)
    some = sorted(out)[:2]
    assert not set(some) & held_out(of, never=[some[0]])
    inside = next(name for name in names if name not in out)
    assert {n for n in names if of[n] == of[inside]} <= held_out(of, always=[inside])


def test_nothing_is_validated_on_of_a_group_that_was_learnt_from():
    names = [f"set/{i}.jpg" for i in range(900)]
    of = {name: f"set/{i // 3 * 3}.jpg" for i, name in enumerate(names[:600])}
    of |= {name: name for name in names[600:]}
    out = held_out(of)
    validation = validated(of, out)
    assert 10 < len(validation) < 60 and not validation & out
    assert {n for n in names if of[n] in {of[w] for w in validation}} <= validation
    assert all(is_for_validation(name) for name in validation)


def test_new_photographs_are_divided_and_old_ones_stay(tmp_path):
    """Of two clips seen before one is held out; a new frame of either goes where its clip is."""
    rng = np.random.default_rng(0)
    for name in ("out_0001", "out_0002", "in_0001", "in_0002"):
        noise = np.repeat(np.repeat(rng.integers(0, 256, (9, 9, 3), np.uint8), 8, 0), 8, 1)
        (tmp_path / "photos/set").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"photos/set/{name}.png"), noise)
    for folder, line in (("teachers", {"faces": []}), ("judged", {})):
        (tmp_path / folder).mkdir()
        line = json.dumps({"image": "set/in_0001.png"} | line)
        (tmp_path / folder / "set.jsonl").write_text(line + "\n")
    file = tmp_path / "held_out.txt"
    file.write_text("set/out_0001.png")
    for _ in range(2):
        main(
            tmp_path / "photos", tmp_path / "teachers", file, tmp_path / "judged",
            tmp_path / "validation.txt",
        )  # fmt: skip
        assert file.read_text().split() == ["set/out_0001.png", "set/out_0002.png"]
