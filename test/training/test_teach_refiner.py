# SPDX-License-Identifier: Apache-2.0
"""The refiner's training: squares out of pictures, what is done to them, and a run that goes on."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hpe_vlm_ros.geometry import geodesic_degrees, mirror_rotation, rotation_from_angles
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.pictures import read_picture
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera
from hpe_vlm_ros.refinement import MARGIN, OUTPUTS, SIDE, cut_out, refined, squares
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.experts import FOLDER
from hpe_vlm_ros.vlm.model_folder import default_folder
from hpe_vlm_ros.vlm.refiner import NAME
from training import teach_refiner
from training.refiner import batches, candidates, crops, run, shares
from training.refiner.crops import STORED, STORED_SIDE, Crops
from training.refiner.losses import losses, turn_parts
from training.refiner.network import read_weights, trained_in
from training.release import refiner as release
from training.testsets import SCENES

BOX = STORED_SIDE / STORED  # pixels of a box's longer side in a kept square
SQUARE = np.array([-BOX / 2, -BOX / 2, BOX / 2, BOX / 2]) + STORED_SIDE / 2


@pytest.fixture(scope="module")
def cut(kept_scenes, tmp_path_factory):
    """A folder of squares out of six pictures of noise."""
    folder = tmp_path_factory.mktemp("crops")
    named = folder / "named.jsonl"
    image = kept_scenes / "images" / "000000.jpg"
    boxes = [[5, 5, 30, 30], [60, 40, 66, 46]]  # the second is too small to tell anything
    named.write_text(json.dumps({"image": str(image), "boxes": boxes}) + "\n")
    crops.main([kept_scenes], folder, [named])
    return folder


def test_squares_are_of_heads_and_of_what_is_none(cut):
    kept = Crops.read(cut)
    assert kept.heads.sum() == 5  # one in each picture but the first
    assert (~kept.heads).sum() >= 6  # places anywhere, and what was named
    assert kept.pixels.shape == (len(kept.heads), STORED_SIDE, STORED_SIDE, 3)
    sides = kept.boxes[:, 2:] - kept.boxes[:, :2]
    np.testing.assert_allclose(sides.max(1), BOX, rtol=0.05)
    middles = kept.boxes.reshape(-1, 2, 2).mean(1)
    np.testing.assert_allclose(middles, STORED_SIDE / 2, atol=2.0)
    assert np.isfinite(kept.rotations[kept.heads]).all()
    assert np.isnan(kept.rotations[~kept.heads]).all()


def marked(box):
    """A dark square with a bright ellipse in its box."""
    rows, columns = np.indices((STORED_SIDE, STORED_SIDE))
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = ((columns + 0.5 - x) / (box[2] - x)) ** 2 + ((rows + 0.5 - y) / (box[3] - y)) ** 2 < 1
    return np.repeat(np.where(inside, 230, 20).astype(np.uint8)[..., None], 3, axis=2)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.6, 1.0))
def test_the_box_follows_its_head(seed, aspect):
    x, y = STORED_SIDE / 2 - BOX * aspect / 2, STORED_SIDE / 2 - BOX / 2
    box = np.array([x, y, x + BOX * aspect, y + BOX])
    unknown, exact = np.full((3, 3), np.nan), np.zeros(3)
    rng = np.random.default_rng(seed)
    square, target = batches.view(marked(box), box, True, unknown, exact, rng)
    grey = square.astype(float).mean(2)
    rows, columns = np.nonzero(grey > (grey.min() + grey.max()) / 2)
    middle = (target.box[:2] + 0.5) * SIDE
    inside = (np.abs(middle - SIDE / 2) + np.exp(target.box[2:]) * SIDE / 2 < SIDE / 2).all()
    if inside and grey.max() > 2 * grey.min():
        assert abs(columns.mean() - middle[0]) < 3 and abs(rows.mean() - middle[1]) < 3
        assert np.ptp(columns) + 1 == pytest.approx(np.exp(target.box[2]) * SIDE, abs=8)


def test_a_perfect_detector_shows_the_head_in_the_middle():
    rotation = rotation_from_angles(30, 10, 5)
    square = np.zeros((STORED_SIDE, STORED_SIDE, 3), np.uint8)
    _, target = batches.view(square, SQUARE, True, rotation, np.array([1.0, 2.0, 3.0]), None)
    np.testing.assert_allclose(target.box[:2], 0, atol=1e-9)
    np.testing.assert_allclose(np.exp(target.box[2:]), 1 / MARGIN, rtol=1e-6)
    np.testing.assert_allclose(target.rotation, rotation)
    np.testing.assert_allclose(np.degrees(target.spread), [2, 1, 3])  # about x, y and z


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_a_turn_of_the_square_turns_the_head_in_its_plane(seed):
    """The camera's axis stays what it is, so the direction the head faces keeps its depth."""
    rotation = rotation_from_angles(40, 10, 5)
    square = np.zeros((STORED_SIDE, STORED_SIDE, 3), np.uint8)
    rng = np.random.default_rng(seed)
    _, target = batches.view(square, SQUARE, True, rotation, np.zeros(3), rng)
    np.testing.assert_allclose(target.rotation @ target.rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(target.rotation) == pytest.approx(1)
    np.testing.assert_allclose(target.rotation[2], [*rotation[2, :]] * mirror(target, rotation))


def mirror(target, rotation):
    """Signs that a mirror gives the third row: x of the head changes its own."""
    flipped = np.sign(target.rotation[2, 0]) != np.sign(rotation[2, 0])
    return np.array([-1.0 if flipped else 1.0, 1.0, 1.0])


def test_losses_are_least_for_the_truth():
    rotation = torch.tensor(rotation_from_angles(30, 10, 5), dtype=torch.float32)
    truth = torch.zeros(2, OUTPUTS)
    truth[:, 0] = torch.tensor([9.0, -9.0])
    truth[:, 5:11] = rotation[:, :2].T.flatten()
    truth[:, 11:] = -3.0
    nothing = torch.full((3, 3), float("nan"))
    targets = (
        torch.tensor([1.0, 0.0]),
        torch.zeros(2, 4),
        torch.stack([rotation, nothing]),
        torch.zeros(2, 3),
    )
    right = losses(truth, *targets)
    assert right["presence"] < 1e-3 and right["box"] == 0 and right["turn"] < 1e-3
    wrong = losses(truth + 0.3, *targets)
    assert all(wrong[name] > right[name] for name in ("box", "turn", "sure"))
    nobody = losses(truth[1:], *(part[1:] for part in targets))
    assert all(torch.isfinite(value) for value in nobody.values())


def test_parts_of_a_turn_are_its_rotation_vector():
    first = Rotation.random(20, random_state=1)
    vector = np.random.default_rng(2).normal(0, 0.6, (20, 3))
    second = Rotation.from_rotvec(vector) * first
    parts = turn_parts(torch.tensor(first.as_matrix()), torch.tensor(second.as_matrix()))
    np.testing.assert_allclose(parts.numpy(), vector, atol=1e-4)


def teach(cut, out, steps, base, **options):
    teach_refiner.main(
        cut, out, cut, base, steps=steps, size=4, every=1, threads=1, loaders=0, **options
    )
    return torch.load(out / run.STATE, weights_only=True)["step"]


def without_experts(folder, copy):
    """A model folder with the files of another, but for its experts."""
    copy.mkdir()
    for part in folder.iterdir():
        if part.name != FOLDER:
            (copy / part.name).symlink_to(part)
    return copy


@pytest.fixture(scope="module")
def taught(cut, tmp_path_factory):
    """A refiner after two steps from the stem, in two runs."""
    out = tmp_path_factory.mktemp("taught")
    base = without_experts(default_folder(), out / "base")
    assert teach(cut, out, 1, base) == 1
    assert teach(cut, out, 2, base) == 2
    return out / run.TRAINED


@pytest.fixture(scope="module")
def released(taught, kept_scenes, tmp_path_factory):
    """The shipped model with that refiner instead of its own."""
    folder = without_experts(default_folder(), tmp_path_factory.mktemp("models") / "model")
    release.export(read_weights(taught), folder / FOLDER / NAME)
    return folder


@torch.no_grad()
def presence(weights, cut):
    """What a refiner says of squares' middles."""
    half = (STORED_SIDE - SIDE) // 2
    middles = np.array(Crops.read(cut).pixels)[:, half:-half, half:-half]
    outputs = read_weights(weights).eval()(torch.from_numpy(middles).permute(0, 3, 1, 2))
    return outputs[:, 0].numpy()


def test_an_exported_graph_holds_all_weights(taught, released):
    known, exported = (read_weights(f).state_dict() for f in (taught, trained_in(released)))
    assert all(torch.equal(part, exported[name]) for name, part in known.items())


def test_weights_are_averaged_with_those_they_were_learnt_from(taught):
    learnt = read_weights(taught).state_dict()
    shipped = read_weights(trained_in(default_folder())).state_dict()
    mixed = release.averaged(taught, default_folder(), 0.25).state_dict()
    for name, part in mixed.items():
        torch.testing.assert_close(part, 0.75 * shipped[name] + 0.25 * learnt[name])
    alone = release.averaged(taught, None, 0.25).state_dict()
    assert all(torch.equal(part, learnt[name]) for name, part in alone.items())


def test_learning_goes_on_from_the_refiner_of_the_model(cut, taught, tmp_path):
    teach(cut, tmp_path, 1, default_folder(), rate=0.0)
    known = trained_in(default_folder())
    own, stem = presence(known, cut), presence(taught, cut)
    assert (
        np.abs(presence(tmp_path / run.TRAINED, cut) - own).max() < 0.2 * np.abs(stem - own).max()
    )
    errors = np.load(tmp_path / teach_refiner.ERRORS)
    squares = Crops.read(cut)
    np.testing.assert_allclose(
        errors.mean(), teach_refiner.validate(read_weights(known), squares)["presence"], rtol=1e-4
    )
    assert not (taught.parent / teach_refiner.ERRORS).exists()


def test_what_is_hard_is_drawn_more_often_and_wrong_labels_not_much_more(cut):
    squares = Crops.read(cut)
    errors = np.zeros(len(squares.heads))
    hard, wrong, *easy = np.flatnonzero(~squares.heads)
    errors[hard], errors[wrong] = shares.HARDEST, 100.0
    often = shares.chances(squares, errors)
    assert often[hard] == often[wrong] > 5 * often[easy[0]]
    same = shares.chances(squares)
    for heads in (squares.heads, ~squares.heads):  # shares of both stay
        assert often[heads].sum() == pytest.approx(same[heads].sum())


def test_faces_profiles_and_backs_have_fixed_shares():
    turns = Rotation.from_euler(
        "y", [[0], [10], [-50], [90], [-100], [180]], degrees=True
    ).as_matrix()
    turns = np.concatenate([turns, np.full((2, 3, 3), np.nan)])
    heads = np.array([True] * 7 + [False])
    squares = Crops(
        np.zeros((8, 1, 1, 3), np.uint8), np.zeros((8, 4)), heads, turns,
        np.zeros((8, 3)), np.ones(8, dtype=bool),
    )  # fmt: skip
    assert shares.facing(squares)[:7].tolist() == [0, 0, 1, 2, 2, 3, 2]
    often = shares.chances(squares)[:7] / shares.chances(squares)[:7].sum()
    faces, halves, profiles, backs = shares.FACING
    expected = [faces / 2] * 2 + [halves] + [profiles / 3] * 2 + [backs, profiles / 3]
    np.testing.assert_allclose(often, expected)


def test_heads_that_look_up_or_down_are_drawn_more_often():
    turns = Rotation.from_euler("x", [[0], [10], [-20], [25]], degrees=True).as_matrix()
    squares = Crops(
        np.zeros((4, 1, 1, 3), np.uint8), np.zeros((4, 4)), np.ones(4, dtype=bool), turns,
        np.zeros((4, 3)), np.ones(4, dtype=bool),
    )  # fmt: skip
    often = shares.chances(squares)
    np.testing.assert_allclose(often / often[0], [1, 1, shares.STEEP_FACTOR, shares.STEEP_FACTOR])


def test_the_exported_network_says_what_the_trained_one_does(taught, released):
    refiner = HeadPerceiver.load(released, threads=1).refiner
    network = read_weights(taught).eval()
    image = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    boxes = [(10.0, 10.0, 40.0, 50.0), (60.0, 20.0, 90.0, 70.0)]
    output = refiner(image, boxes)
    tiles = squares(boxes)
    square = np.stack([cut_out(image, tile) for tile in tiles])
    with torch.no_grad():
        ours = network(torch.from_numpy(square).permute(0, 3, 1, 2)).numpy()
    same = refined(ours, tiles)
    np.testing.assert_allclose(output.presence, same.presence, atol=1e-3)
    np.testing.assert_allclose(output.boxes, same.boxes, atol=1e-2)
    assert geodesic_degrees(output.rotations, same.rotations).max() < 0.05


def test_what_is_said_of_mirror_images_is_told_of_the_picture(released):
    refiner = HeadPerceiver.load(released, threads=1).refiner
    image = np.random.default_rng(1).integers(0, 255, (80, 100, 3), np.uint8)
    box, other_box = (8.0, 8.0, 40.0, 40.0), (59.5, 8.0, 91.5, 40.0)
    (tile,), (other_tile,) = squares([box]), squares([other_box])
    assert other_tile.x == 100 - tile.x - tile.width  # its mirror image, to the pixel
    seen = refiner(image, [box], mirrored=True)
    other = refiner(np.ascontiguousarray(image[:, ::-1]), [other_box])
    np.testing.assert_allclose(seen.presence, other.presence, atol=1e-3)
    x0, y0, x1, y1 = other.boxes[0]
    np.testing.assert_allclose(seen.boxes[0], [100 - x1, y0, 100 - x0, y1], atol=1e-2)
    assert geodesic_degrees(seen.rotations[0], mirror_rotation(other.rotations[0])) < 0.05
    np.testing.assert_allclose(seen.deviations, other.deviations, rtol=1e-3)


def test_candidates_go_on_where_they_were_stopped(kept_scenes, tmp_path):
    file = tmp_path / "named.jsonl"
    candidates.main(kept_scenes, file, part="0/2")
    first = file.read_text()
    candidates.main(kept_scenes, file)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert file.read_text().startswith(first) and len(rows) == 6
    assert len({row["image"] for row in rows}) == 6


def changed(folder, tmp_path, name, change):
    """A copy of a model's refiner of which one file is changed, in a model folder."""
    model = without_experts(folder, tmp_path / "model")
    copy = shutil.copytree(folder / FOLDER / NAME, model / FOLDER / NAME)
    change(copy / name)
    return model


def write_config(**entries):
    """Sets entries of a config.json."""

    def change(file):
        file.write_text(json.dumps(json.loads(file.read_text()) | entries))

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("refiner.onnx", lambda f: f.write_bytes(f.read_bytes()[:1000]), "missing, cut short"),
        ("refiner.onnx", lambda f: f.unlink(), "missing, cut short"),
        ("config.json", write_config(format=9), "has format 9, this version reads 1"),
        ("config.json", write_config(settings={"presence": "x"}), "presence is 'x'"),
        ("config.json", write_config(settings={"colour": 1}), "colour"),
        ("config.json", write_config(settings={"rotation_scale": -1}), "rotation_scale"),
        ("config.json", lambda f: f.write_text("{"), "config.json"),
    ],
)
def test_a_damaged_refiner_is_refused_and_can_be_left_out(
    released, tmp_path, name, change, message
):
    folder = changed(released, tmp_path, name, change)
    with pytest.raises(CheckpointError, match=message):
        HeadPerceiver.load(folder, threads=1)
    assert HeadPerceiver.load(folder, threads=1, refine=False).refiner is None


def test_without_refining_heads_are_what_the_language_model_says(released):
    image = read_picture(SCENES / "images" / "000001.jpg")
    plain = HeadPerceiver.load(released, threads=1, refine=False)
    refining = HeadPerceiver.load(released, threads=1)
    assert refining.model_id.startswith(plain.model_id + "+refiner-")
    boxes = [head.box for head in plain(image)]
    assert boxes
    named = [proposal.box for proposal in refining.proposals(image)]
    assert set(boxes) <= set(named)  # the refiner is asked about all that is named
    assert all(head.rotation_covariance is not None for head in refining(image))


def test_poses_in_known_boxes_are_refined_too(released):
    image = read_picture(SCENES / "images" / "000001.jpg")
    refining = HeadPerceiver.load(released, threads=1)
    boxes = [(100.0, 60.0, 160.0, 140.0), (10.0, 20.0, 60.0, 70.0)]
    heads = refining.poses(image, boxes)
    assert [head.box for head in heads] == boxes and [head.score for head in heads] == [1.0, 1.0]
    output = refining.refiner(image, boxes)
    plain = HeadPerceiver.load(released, threads=1, refine=False).poses(image, boxes)
    for head, rotation, text in zip(heads, output.rotations, plain, strict=True):
        turn = rotation_to_ray(usual_camera(image.shape[:2]), head.box)
        apart = geodesic_degrees(text.rotation, turn @ rotation)
        # the mean of both lies between them
        assert geodesic_degrees(head.rotation, text.rotation) < apart
        assert geodesic_degrees(head.rotation, turn @ rotation) < apart
    assert refining.poses(image, []) == []
