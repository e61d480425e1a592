# SPDX-License-Identifier: Apache-2.0
"""A model that misstates its certainty in a known way is put right, and the script around it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from hpe_vlm_ros.geometry import rotation_from_angles, rotation_from_vector
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.spread import Calibration, turn_covariance
from training.data.sample import Head, Sample
from training.release.calibrate import as_stated, collect, report, stated_heads, store
from training.release.calibration import (
    RADII,
    Stated,
    brier,
    calibrated_scores,
    calibration_error,
    coverage,
    fit,
    likelihood,
)

TRUE = Calibration(0.6, 5.0, 0.5, -0.4)


def drawn(count: int, seed: int) -> Stated:
    """Heads whose errors and boxes whose hits follow what TRUE makes of the stated."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform((-180, -60, -60), (180, 60, 60), (count, 3))
    deviations = rng.uniform(3, 40, (count, 3))
    covariances = np.array(list(map(turn_covariance, angles, deviations)))
    roots = np.linalg.cholesky(TRUE.covariance(covariances))
    turns = (roots @ rng.normal(size=(count, 3, 1)))[..., 0]
    scores = rng.beta(0.6, 0.6, count)
    hits = rng.random(count) < [TRUE.score(s) for s in scores]
    return Stated(turns, covariances, angles[:, 0], scores, hits)


@pytest.fixture(scope="module")
def found() -> Calibration:
    return fit(drawn(1000, 0))


def test_the_calibration_that_made_the_errors_is_found(found: Calibration) -> None:
    assert found.rotation_scale == pytest.approx(0.6, abs=0.05)
    assert found.rotation_floor == pytest.approx(5.0, abs=0.8)
    assert found.score_slope == pytest.approx(0.5, abs=0.1)
    assert found.score_offset == pytest.approx(-0.4, abs=0.2)


def test_coverage_is_nominal_on_held_out_heads(found: Calibration) -> None:
    held_out = drawn(2000, 1)
    by_axis, whole = coverage(held_out, found)
    np.testing.assert_allclose(by_axis, np.tile([0.683, 0.955], (3, 1)), atol=0.04)
    np.testing.assert_allclose(whole, [0.683, 0.955], atol=0.04)
    plain = coverage(held_out, Calibration())[1]
    assert abs(plain[0] - 0.683) > 0.1  # there was something to be put right
    assert likelihood(held_out, found) < likelihood(held_out, Calibration())
    scores = calibrated_scores(held_out, found)
    assert calibration_error(scores, held_out.hits) < 0.06
    assert calibration_error(held_out.scores, held_out.hits) > 0.08
    assert brier(scores, held_out.hits) < brier(held_out.scores, held_out.hits)


def test_bounds_as_a_whole_hold_the_nominal_shares() -> None:
    np.testing.assert_allclose(chi2.cdf(RADII**2, 3), [0.6827, 0.9545], atol=1e-6)


def test_errors_of_a_known_direction_are_counted_by_axis() -> None:
    turns = np.zeros((4, 3))
    turns[:, 0] = [0.05, 0.15, 0.25, -0.05]
    stated = Stated(
        turns, np.tile(0.01 * np.eye(3), (4, 1, 1)), np.zeros(4), np.ones(0), np.ones(0)
    )
    by_axis, whole = coverage(stated, Calibration())
    assert by_axis.tolist() == [[0.5, 0.75], [1, 1], [1, 1]]
    assert whole.tolist() == [0.75, 1.0]  # distances 0.5, 1.5, 2.5, 0.5 against 1.88 and 2.83


def test_too_few_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="30 heads.*50 are needed"):
        fit(drawn(30, 0))


def scene(folder: Path, name: str = "a.jpg") -> Sample:
    heads = [
        Head(np.array([10.0, 10, 90, 90]), rotation_from_angles(20, 5, 0)),
        Head(np.array([110.0, 10, 190, 90]), None),
        Head(np.array([10.0, 110, 14, 114]), rotation_from_angles(0, 0, 0)),  # too small to count
    ]
    return Sample(folder / name, 200, 200, None, heads)


def head(box: tuple[float, ...], turn: list[float], score: float) -> HeadEstimate:
    rotation = rotation_from_vector(turn) @ rotation_from_angles(20, 5, 0)
    return HeadEstimate(box, 20.0, 5.0, 0.0, rotation, score, 0.01 * np.eye(3))  # type: ignore


FOUND = [
    head((12, 10, 90, 92), [0.1, -0.2, 0.05], 0.9),
    head((110, 12, 188, 90), [0, 0, 0], 0.8),
    head((10, 110, 15, 114), [0, 0, 0], 0.7),
    head((110, 110, 190, 190), [0, 0, 0], 0.2),
]


def test_a_scene_gives_turns_and_hits(tmp_path: Path) -> None:
    line = stated_heads(FOUND, scene(tmp_path), (1.0, 1.0))
    assert line["boxes"] == [[0.9, True], [0.8, True], [0.2, False]]  # the small one is neither
    (known,) = line["heads"]
    assert known["turn"] == pytest.approx([-0.1, 0.2, -0.05], abs=1e-5)  # stated to true
    assert known["yaw"] == pytest.approx(20) and np.trace(np.reshape(known["covariance"], (3, 3)))


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    samples, asked = [scene(tmp_path, f"{i}.jpg") for i in range(4)], []

    def find(sample: Sample) -> list[HeadEstimate]:
        asked.append(sample.image_path.name)
        return FOUND

    def scale(_: Sample) -> tuple[float, float]:
        return 1.0, 1.0

    file = tmp_path / "raw" / "lines.jsonl"
    collect(find, samples[:2], scale, file)
    file.write_text(file.read_text()[:-30])  # killed while writing the second
    lines = collect(find, samples, scale, file)
    assert asked == ["0.jpg", "1.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert [line["scene"] for line in lines] == [f"{i}.jpg" for i in range(4)]
    assert collect(find, samples, scale, file) == lines and len(asked) == 5
    stated = as_stated(lines)
    assert stated.turns.shape == (4, 3) and stated.covariances.shape == (4, 3, 3)
    assert stated.hits.tolist() == [True, True, False] * 4


def test_the_fit_goes_into_the_models_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 64}')
    store(tmp_path, TRUE)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["hidden_size"] == 64 and Calibration.read(content["calibration"]) == TRUE
    found = report(drawn(200, 3), TRUE)
    assert 0.6 < found["coverage_1"] < 0.76 and found["coverage_2"] > 0.9
    printed = capsys.readouterr().out
    assert "200 heads" in printed and "whole, side" in printed
