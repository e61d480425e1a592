# SPDX-License-Identifier: Apache-2.0
"""What is kept of a model's answers about films: errors, without the motion and without a bias."""

import numpy as np
import pytest

from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.heads import HeadEstimate
from training import film_answers
from training.evaluation.senses import Frame

LENGTH = 40


def local(yaw=0.0, pitch=0.0):
    return rotation_from_angles(yaw, 0, 0) @ rotation_from_angles(0, pitch, 0)


def film(answer, missing=(), length=LENGTH):
    """A head that nods by 8 degrees, and what is said of it."""
    frames = []
    for index in range(length):
        pitch = 8 * np.sin(index)
        box = [100.0, 100.0, 130.0, 140.0]
        head = {"person": "p0", "rotation": local(pitch=pitch).tolist(), "box": box}
        rotation, said = answer(pitch, np.array(box))
        found = [] if index in missing else [HeadEstimate(tuple(said), 0, 0, 0, rotation, 0.9)]
        frames.append(Frame(index / 10, [head], found, (320, 240)))
    return frames


def test_an_answer_that_shrinks_motions_as_expected_has_no_error():
    _, gain, _ = film_answers.GAINS
    (errors,) = film_answers.runs(film(lambda pitch, box: (local(pitch=gain * pitch), box)))
    assert errors.shape == (LENGTH, 5)
    assert np.ptp(errors, axis=0) == pytest.approx(np.zeros(5), abs=1e-6)


def test_a_bias_of_the_pose_is_left_out_and_one_of_the_box_is_told_in_heights():
    move = np.array([2.0, -1.0, 2.0, -1.0])
    (errors,) = film_answers.runs(film(lambda pitch, box: (local(yaw=20, pitch=pitch), box + move)))
    assert errors[:, 0] == pytest.approx(np.zeros(LENGTH), abs=0.5)
    assert errors[:, 3:] == pytest.approx(np.tile([0.05, -0.025], (LENGTH, 1)))


def test_pictures_without_the_head_are_filled_in_or_end_a_run():
    def same(pitch, box):
        return local(pitch=pitch), box

    (whole,) = film_answers.runs(film(same))
    (filled,) = film_answers.runs(film(same, missing=(7, 8)))
    assert len(filled) == LENGTH and filled[20:] == pytest.approx(whole[20:], abs=2.0)
    assert not list(film_answers.runs(film(same, missing=range(18, 22))))
    assert not list(film_answers.runs(film(same, missing=range(LENGTH))))


def test_a_model_that_finds_nobody_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(film_answers, "films_in", lambda *_: iter([[]]))
    monkeypatch.setattr(film_answers.HeadPerceiver, "load", lambda *_: None)
    with pytest.raises(SystemExit, match="films1 is found in 25"):
        film_answers.main(tmp_path / "errors.npz", [tmp_path / "films1"])
