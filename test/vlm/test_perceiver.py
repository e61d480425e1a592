# SPDX-License-Identifier: Apache-2.0
"""From an image to heads, with tiny random weights; and the same from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hpe_vlm_ros.__main__ import main
from hpe_vlm_ros.boxes import largest, without_duplicates
from hpe_vlm_ros.geometry import HeadShape, geodesic_degrees, mirror_rotation, rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate, Heads, check_image
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.decoding.engine import Detection, Engine
from hpe_vlm_ros.vlm.decoding.poses import Pose
from hpe_vlm_ros.vlm.pytorch import checkpoint

SEED = 2  # a random model that names several heads; asserted below


@pytest.fixture
def folder(tiny_engine: Callable[..., Engine], tmp_path: Path) -> Path:
    engine = tiny_engine(SEED, head_shape={"diameter": 0.25, "offset": [0.0, 0.0, -0.1]})
    checkpoint.save(tmp_path / "tiny", engine.backend.model, engine.processor)
    return tmp_path / "tiny"


def test_heads_of_an_image(folder: Path, picture: NDArray[np.uint8]) -> None:
    perceiver = HeadPerceiver.load(folder, device="cpu", max_heads=5)
    heads = perceiver(picture)
    assert 1 < len(heads) <= 5
    height, width = picture.shape[:2]
    for head in heads:
        x0, y0, x1, y1 = head.box
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        assert -180 < head.yaw <= 180 and 0 <= head.score <= 1
        np.testing.assert_allclose(
            head.rotation, rotation_from_angles(head.yaw, head.pitch, head.roll), atol=1e-9
        )
    middles = [head.box[0] + head.box[2] for head in heads]
    assert middles == sorted(middles)
    assert perceiver.model_id.startswith("tiny-") and perceiver.device == "cpu"
    assert perceiver.head_shape == HeadShape(0.25, (0.0, 0.0, -0.1))


def test_tiles_answer_in_the_pictures_own_pixels(
    folder: Path, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    whole = HeadPerceiver.load(folder, "cpu", max_heads=5)(picture)
    perceiver = HeadPerceiver.load(folder, "cpu", max_heads=5, tiles=2)
    heads = perceiver(picture)
    assert {h.box for h in heads} - {h.box for h in whole}, "nothing came of the tiles"
    height, width = picture.shape[:2]
    for head in heads:
        x0, y0, x1, y1 = head.box
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        np.testing.assert_allclose(
            head.rotation, rotation_from_angles(head.yaw, head.pitch, head.roll), atol=1e-6
        )
    file, out = tmp_path / "picture.png", tmp_path / "heads.jsonl"
    cv2.imwrite(str(file), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    options = ["--model", str(folder), "--device", "cpu", "--max-heads", "5", "--tiles", "2"]
    assert main(["predict", str(file), *options, "--json", str(out)]) == 0
    content = json.loads(out.read_text())["heads"]
    assert [h["box"] for h in content] == [[round(v, 1) for v in h.box] for h in heads]


def _mirrored(heads: Heads, width: int) -> list[HeadEstimate]:
    swapped = [
        replace(
            h,
            box=(width - h.box[2], h.box[1], width - h.box[0], h.box[3]),
            rotation=mirror_rotation(h.rotation),
        )
        for h in heads
    ]
    return sorted(swapped, key=lambda h: h.box[0] + h.box[2])


def test_with_a_second_look_left_and_right_are_alike(
    folder: Path, picture: NDArray[np.uint8]
) -> None:
    """What is said of a picture with its mirror image is what is said of the two the other way."""
    width, flipped = picture.shape[1], np.ascontiguousarray(picture[:, ::-1])
    for mirror, alike in ((True, True), (False, False)):
        perceiver = HeadPerceiver.load(folder, "cpu", max_heads=5, mirror=mirror)
        heads, others = perceiver(picture), _mirrored(perceiver(flipped), width)
        same = len(heads) == len(others) and all(
            np.abs(np.subtract(a.box, b.box)).max() < 0.1 + width / 500
            and geodesic_degrees(a.rotation, b.rotation) < 0.1
            and abs(a.score - b.score) < 1e-4
            for a, b in zip(heads, others, strict=True)
        )
        assert same == alike, f"with mirror={mirror}"


def test_the_model_says_whether_to_look_twice(
    folder: Path, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    once, twice = (HeadPerceiver.load(folder, "cpu", mirror=m)(picture) for m in (False, True))
    scores = [h.score for h in once], [h.score for h in twice]
    assert scores[0] != scores[1]
    assert [h.score for h in HeadPerceiver.load(folder, "cpu")(picture)] == scores[0]
    config = json.loads((folder / "config.json").read_text()) | {"mirror": True}
    (folder / "config.json").write_text(json.dumps(config))
    assert [h.score for h in HeadPerceiver.load(folder, "cpu")(picture)] == scores[1]
    file, out = tmp_path / "picture.png", tmp_path / "heads.jsonl"
    cv2.imwrite(str(file), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    for wish, expected in (("off", scores[0]), ("on", scores[1]), ("auto", scores[1])):
        options = ["--model", str(folder), "--device", "cpu", "--mirror", wish]
        assert main(["predict", str(file), *options, "--json", str(out)]) == 0
        content = json.loads(out.read_text())["heads"]
        assert [h["score"] for h in content] == pytest.approx(expected, abs=1e-3)


def test_a_mirror_that_is_neither_true_nor_false_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"mirror": "on"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="mirror is 'on'; it must be true or false"):
        HeadPerceiver.load(folder, "cpu")


def test_prefix_reuse_changes_nothing(folder: Path, picture: NDArray[np.uint8]) -> None:
    shared, apart = (
        HeadPerceiver.load(folder, "cpu", 4, reuse)(picture) for reuse in (True, False)
    )
    assert [h.box for h in shared] == [h.box for h in apart]
    for one, other in zip(shared, apart, strict=True):
        assert geodesic_degrees(one.rotation, other.rotation) < 0.01


def test_poses_of_known_boxes_keep_their_order(folder: Path, picture: NDArray[np.uint8]) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu")
    boxes = [(30.0, 5.0, 50.0, 30.0), (0.0, 0.0, 20.0, 20.0)]
    heads = perceiver.poses(picture, boxes)
    assert np.abs(np.array([h.box for h in heads]) - boxes).max() < 0.1
    alone = [perceiver.poses(picture, [box])[0] for box in boxes]
    assert [h.yaw for h in heads] == pytest.approx([h.yaw for h in alone], abs=1e-3)
    assert perceiver.poses(picture, []) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (6000, 8000, 3)])
def test_any_real_image_is_served(folder: Path, shape: tuple[int, ...]) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu", max_heads=2)
    for head in perceiver(np.full(shape, 127, np.uint8)):
        assert 0 <= head.box[0] < head.box[2] <= shape[1]


def test_views_and_read_only_images_are_served(folder: Path, picture: NDArray[np.uint8]) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu", max_heads=2)
    flipped = picture[:, ::-1]
    copy = flipped.copy()
    copy.flags.writeable = False
    assert [h.box for h in perceiver(flipped)] == [h.box for h in perceiver(copy)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "is a NoneType; give a numpy array"),
        ("photo.jpg", "is a str; give a numpy array"),
        (np.zeros((4, 4, 3)), "type is float64; convert it to uint8"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\); it must be \(H, W, 3\).*grey"),
        (np.zeros((4, 4, 4), np.uint8), "drop an alpha channel"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"must be \(H, W, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "is empty; check its source"),
        (np.zeros((4, 0, 3), np.uint8), "is empty; check its source"),
    ],
)
def test_what_is_no_image_gets_a_remedy(image: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_image(image)


def test_settings_are_checked(folder: Path) -> None:
    with pytest.raises(ValueError, match="max_heads is 0"):
        HeadPerceiver.load(folder, "cpu", max_heads=0)
    with pytest.raises(CheckpointError, match="no model folder"):
        HeadPerceiver.load(folder / "absent")


def test_the_scores_threshold_of_the_checkpoint_counts(
    tiny_engine: Callable[..., Engine], picture: NDArray[np.uint8]
) -> None:
    assert HeadPerceiver(tiny_engine(SEED))(picture)
    assert HeadPerceiver(tiny_engine(SEED, min_score=1.1))(picture) == []
    with pytest.raises(ValueError, match="head_shape.*diameter"):
        HeadPerceiver(tiny_engine(SEED, head_shape={"offset": [1, 2, 3]}))


def test_pitch_beyond_90_is_told_by_the_triple_of_the_convention(
    tiny_engine: Callable[..., Engine],
    picture: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    perceiver, angles = HeadPerceiver(tiny_engine(SEED)), (10.0, 170.0, 175.0)
    monkeypatch.setattr(
        "hpe_vlm_ros.vlm.decoding.engine.Look.estimates",
        lambda self, boxes: [Pose(angles, angles, (1.0, 1.0, 1.0), np.ones((3, 360)))],
    )
    (head,) = perceiver.poses(picture, [(0.0, 0.0, 20.0, 20.0)])
    assert (head.yaw, head.pitch, head.roll) == pytest.approx((170.0, -10.0, -5.0))
    np.testing.assert_allclose(head.rotation, rotation_from_angles(10, 170, 175), atol=1e-9)


def test_duplicates_go_and_the_surer_stays() -> None:
    found = [
        Detection((100, 100, 200, 200), 0.5),
        Detection((102, 100, 202, 200), 0.9),
        Detection((150, 100, 250, 200), 0.4),  # overlaps, but is another head
    ]
    kept = without_duplicates(found)
    assert [d.score for d in kept] == [0.9, 0.4]
    assert without_duplicates([]) == []


def write(path: Path, image: NDArray[np.uint8]) -> str:
    assert cv2.imwrite(str(path), image)
    return str(path)


def test_predict_prints_a_line_per_image(
    folder: Path, picture: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "a.png", picture[..., ::-1])
    assert main(["predict", good, good, "--model", str(folder), "--device", "cpu"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2 and lines[0] == lines[1] and lines[0]["image"] == good
    heads = HeadPerceiver.load(folder, "cpu")(picture)
    assert [h["box"] for h in lines[0]["heads"]] == [[round(v, 1) for v in h.box] for h in heads]
    assert set(lines[0]["heads"][0]) == {"box", "yaw", "pitch", "roll", "spread", "score"}
    stated = lines[0]["heads"][0]["spread"]
    assert len(stated) == 3 and min(stated) > 0


def test_predict_goes_on_after_bad_files(
    folder: Path, picture: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "a.png", picture)
    text, empty, cut = (tmp_path / f"{name}.jpg" for name in ("notes", "empty", "cut"))
    text.write_text("not an image")
    cut.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes()[:-100])
    empty.touch()
    missing = tmp_path / "missing.jpg"
    out, drawn = tmp_path / "lines.jsonl", tmp_path / "drawn"
    files = [str(text), good, str(missing), str(empty), str(cut), good]
    options = ["--json", str(out), "--draw", str(drawn), "--model", str(folder), "--device", "cpu"]
    assert main(["predict", *files, *options]) == 1
    assert [json.loads(line)["image"] for line in out.read_text().splitlines()] == [good, good]
    errors = capsys.readouterr().err
    for part in ("notes.jpg: not a picture", "missing.jpg: there is no", "empty.jpg: an empty"):
        assert part in errors
    assert "cut.jpg: not a picture that OpenCV reads, or cut short" in errors
    assert sorted(file.name for file in drawn.iterdir()) == ["a-2.jpg", "a.jpg"]
    image = cv2.imread(str(drawn / "a.jpg"))
    assert image is not None and image.shape == picture.shape


def test_predict_without_a_model_says_so(
    tmp_path: Path, picture: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "a.png", picture)
    assert main(["predict", good, "--model", str(tmp_path / "none")]) == 1
    captured = capsys.readouterr()
    assert "no model folder" in captured.err and not captured.out


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for part in ('"heads"', "yaw > 0", "example:", "--draw"):
        assert part in text


def test_of_too_many_heads_the_largest_are_kept_and_the_rest_counted(
    folder: Path, picture: NDArray[np.uint8]
) -> None:
    many = HeadPerceiver.load(folder, "cpu", max_heads=4)(picture)
    few = HeadPerceiver.load(folder, "cpu", max_heads=2)(picture)
    assert len(few) == 2 and few.left_out > 0
    assert len(many) > 2
    found = [Detection((0, 0, side, side), 0.5) for side in (10, 30, 20, 40)]
    assert largest(found, 2) == ([found[1], found[3]], 2)
    assert largest(found, 9) == (found, 0)


@pytest.mark.parametrize(
    "box",
    [
        (60.0, 5.0, 80.0, 30.0),
        (-9.0, 5.0, 0.0, 30.0),
        (10.0, 40.0, 20.0, 50.0),
        (5.0, 5.0, 5.0, 9.0),
        (9.0, 5.0, 5.0, 9.0),
        (float("nan"), 5.0, 5.0, 9.0),
    ],
)
def test_boxes_without_picture_get_a_remedy(
    folder: Path, picture: NDArray[np.uint8], box: tuple[float, ...]
) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu")
    with pytest.raises(ValueError, match=r"is empty or outside the image of 53 x 37.*give x0 < x1"):
        perceiver.poses(picture, [(1.0, 1.0, 9.0, 9.0), box])  # type: ignore[list-item]
    assert len(perceiver.poses(picture, [(-5.0, -5.0, 60.0, 60.0)])) == 1


def test_a_draft_changes_nothing(folder: Path, picture: NDArray[np.uint8]) -> None:
    perceiver = HeadPerceiver.load(folder, "cpu", max_heads=5)
    heads = perceiver(picture)
    for draft in ([head.box for head in heads], [], [(0.0, 0.0, 9.0, 9.0)]):
        again = perceiver(picture, draft=draft)
        assert [(h.box, h.yaw) for h in again] == [(h.box, h.yaw) for h in heads]
