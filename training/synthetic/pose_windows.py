# SPDX-License-Identifier: Apache-2.0
"""Windows of poses to learn gestures from: motions, seen by cameras that differ, told with errors.

No pictures: a head's true motion comes from `synthetic.gestures`, what a camera and the model make
of it from here. The model's errors are drawn from films that it was asked about, where there are
any (`training.teach_gestures`), and from two processes fitted to them: correlated over about half
a second, and from image to image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.people.gestures.window import GAP, LAG, LENGTH, PERIOD, relative
from hpe_vlm_ros.tasks.gesture import SAMPLES

from .gestures import Script, random_script

Array = NDArray[np.float64]
SECONDS = 7.0
RATES = (5.0, 6.5, 8.0, 10.0, 15.0, 30.0, 60.0)
RATE_ODDS = (0.08, 0.12, 0.15, 0.33, 0.14, 0.12, 0.06)
FIRST_TOLD = 8  # samples of a window, from which on it is told at training how it looks so far
# Least and most: answers shrink pitch and roll. With less of a nod, noise alone would be one.
GAINS = (0.6, 0.35, 0.4), (1.3, 0.85, 1.0)
LARGER = 1.9  # times as large as in films motions may be: small ones drown in errors
WALKING = 0.4  # share of people
SPEED = 0.15, 1.2  # of theirs to a side, in heights of the box a second
MEMORY = 0.45  # seconds of the slow part of an answer's error
FAST = 0.3, 1.3  # least and most of the part that changes from image to image, for the slow one
WHITE = 0.2  # share of heads with errors that change from image to image alone
JITTER = 0.3, 2.2  # least and largest deviation of these, degrees
BOX_JITTER = 0.008  # deviation of the box's place, heights of the box
KEPT = (0.42, 0.75, 0.7, 1.0, 1.0, 1.0)  # shares of windows, by label: short gestures are rarer


@dataclass(frozen=True)
class Window:
    """values (20, 5) as of `gestures.PoseWindow`; labels (20,): of LAG before each sample."""

    values: Array
    labels: NDArray[np.int64]


def windows(rng: np.random.Generator, errors: Sequence[Array] = ()) -> Iterator[Window]:
    """Endless windows. errors: of films at ten images a second, (N, 5) each, in degrees and heights
    of the box; half of all heads have such ones."""
    while True:
        script = random_script(rng, SECONDS, busy=rng.choice([0.0, 0.6, 1.0], p=[0.2, 0.3, 0.5]))
        times = _stamps(rng)
        values, valid = _observed(rng, script, times, errors)
        for end in rng.uniform(LENGTH + PERIOD, SECONDS, 4):
            window = _window(script, times, values, float(end), valid)
            if window is not None and rng.random() < KEPT[window.labels[-1]]:
                yield window


def _window(script: Script, times: Array, values: Array, end: float, valid: bool) -> Window | None:
    """The window whose newest image is the last one before `end`; None for one with a gap."""
    last = int(np.searchsorted(times, end)) - 1
    first = max(int(np.searchsorted(times, times[last] - LENGTH)) - 1, 0)
    part = slice(first, last + 1)
    if np.diff(times[part]).max(initial=0) > GAP / 4:
        return None
    moments = times[last] - PERIOD * np.arange(SAMPLES - 1, -1, -1) - LAG
    labels = script.labels(moments) if valid else np.zeros(SAMPLES, np.int64)
    return Window(relative(times[part] - times[last], values[part]), labels)


def _stamps(rng: np.random.Generator) -> Array:
    """Seconds of images: of some rate, with jitter and missing ones."""
    rate = float(rng.choice(RATES, p=RATE_ODDS))
    times = np.arange(0, SECONDS, 1 / rate)
    times = times + rng.uniform(-0.4, 0.4) * rng.uniform(-1, 1, len(times)) / rate
    missing = rng.random() ** 3 * 0.25
    return np.asarray(times[rng.random(len(times)) >= missing])


def _observed(
    rng: np.random.Generator, script: Script, times: Array, errors: Sequence[Array]
) -> tuple[Array, bool]:
    """What the model says (N, 5) at these times, and whether the script's labels hold."""
    angles = script.angles(times) * rng.uniform(1.0, LARGER)
    kind = rng.random()
    walks = bool(rng.random() < WALKING)
    shift = _shift(rng, angles, times, walks)
    if walks:
        angles[:, 0] += _ways(rng, times)
    valid = True
    if kind < 0.07:  # a photograph that is moved: its pose seems to follow a little
        swing = rng.uniform(0.03, 0.4, 2) * np.sin(
            2 * np.pi * rng.uniform(0.4, 2.5) * times[:, None] + rng.uniform(0, 6, 2)
        )
        angles = 0.1 * angles + swing @ rng.normal(0, 8, (2, 3))
        shift, valid = swing, False
    elif kind < 0.20:  # a slow turn is no gesture
        ends = np.sort(rng.uniform(0, SECONDS, 2))
        speed = rng.uniform(5, 18) * rng.choice([-1, 1])
        axis = int(rng.choice(3, p=[0.8, 0.1, 0.1]))
        angles[:, axis] += speed * (np.clip(times, *ends) - ends[0]) * (1.0 if axis == 0 else 0.4)
    angles = angles * rng.uniform(*GAINS)
    return np.column_stack([angles, shift]) + _errors(rng, times, errors), valid


def _ways(rng: np.random.Generator, times: Array) -> Array:
    """Degrees by which somebody turns who walks and looks about, which is no gesture."""
    out = np.zeros(len(times))
    for _ in range(rng.integers(4)):
        start, size = rng.uniform(0, SECONDS), rng.uniform(20, 120) * rng.choice([-1, 1])
        span = abs(size) / rng.uniform(50, 160)
        out += size * np.clip((times - start) / span, 0, 1)
    return out


def _shift(rng: np.random.Generator, angles: Array, times: Array, walks: bool) -> Array:
    """How far the box moves to the right and down, in heights: with the head, and by walking."""
    right = angles[:, 0] * rng.normal(0, 0.002) + angles[:, 2] * rng.uniform(-0.001, 0.006)
    down = -angles[:, 1] * rng.uniform(-0.0005, 0.006)
    if walks:
        right = right + rng.uniform(*SPEED) * rng.choice([-1, 1]) * (times - times[0])
        down = down + rng.normal(0, 0.05) * (times - times[0])
        stride = rng.uniform(1.4, 2.2)
        phase = rng.uniform(0, 6)
        down = down + rng.uniform(0, 0.04) * np.sin(2 * np.pi * stride * times + phase)
        right = right + rng.uniform(0, 0.04) * np.sin(np.pi * stride * times + phase)
    return np.column_stack([right, down])


def _errors(rng: np.random.Generator, times: Array, errors: Sequence[Array]) -> Array:
    if rng.random() < WHITE:
        size = np.append(np.full(3, rng.uniform(*JITTER)), np.full(2, BOX_JITTER))
        return rng.normal(0, size, (len(times), 5))
    if errors and rng.random() < 0.5:
        return _film_errors(rng, times, errors)
    size = np.array([1.8, 1.1, 0.95]) * np.exp(rng.normal(0, 0.35, 3)) * np.exp(rng.normal(0, 0.6))
    size = np.append(size, np.full(2, BOX_JITTER) * np.exp(rng.normal(0, 0.5, 2)))
    slow = _correlated(rng, times) * size
    out = slow + rng.normal(0, rng.uniform(*FAST), (len(times), 5)) * size
    wrong = rng.random(len(times)) < rng.choice([0.0, 0.03], p=[0.7, 0.3])
    out[wrong, :3] += rng.normal(0, [14.0, 6.0, 6.0], (int(wrong.sum()), 3))
    return np.asarray(out)


def _film_errors(rng: np.random.Generator, times: Array, errors: Sequence[Array]) -> Array:
    """A piece of a film's errors, joined to itself backwards where it is shorter."""
    one = errors[int(rng.integers(len(errors)))]
    there_and_back = np.concatenate([one, one[::-1]])
    start = rng.uniform(0, len(one))
    index = (start + (times - times[0]) / PERIOD) % (len(there_and_back) - 1)
    low = index.astype(int)
    share = (index - low)[:, None]
    turned = there_and_back[low] * (1 - share) + there_and_back[low + 1] * share
    return np.asarray(turned * rng.uniform(0.7, 1.3) * rng.choice([-1, 1], 5))


def _correlated(rng: np.random.Generator, times: Array) -> Array:
    """An Ornstein-Uhlenbeck process (N, 5) of unit deviation."""
    out = np.empty((len(times), 5))
    out[0] = rng.normal(size=5)
    for index, step in enumerate(np.diff(times)):
        kept = np.exp(-max(step, 0.0) / MEMORY)
        out[index + 1] = kept * out[index] + np.sqrt(1 - kept**2) * rng.normal(size=5)
    return out
