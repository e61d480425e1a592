# SPDX-License-Identifier: Apache-2.0
"""Views of single bodies as `HeadPerceiver.keypoints` cuts them out, and questions for points.

In training the cut is enlarged or shrunk, moved and turned a little, as in LocLLM (Wang et al.,
2024). How heads in such a view are turned is not known, so nothing is asked about that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from transformers import PreTrainedTokenizerBase

from hpe_vlm_ros.skeleton import ABSENT, KEYPOINTS, MARGIN, body_around
from hpe_vlm_ros.tasks import keypoints
from hpe_vlm_ros.tasks.grid import GRID, grid_box
from hpe_vlm_ros.tiles import square_around

from .augment import Augmentation, camera_faults, mirrored, shrunk, warp_head
from .prompts import COORDINATE, Prompt, exact_grid, prompt_of
from .sample import Appearance, Head, Sample, Thing

LEAST_SIDE = 48.0  # pixels of the source: of the longer side of a body that is taught
SCALE, SHIFT = (0.75, 1.3), 0.08  # of the cut: its side, and how far it is moved in shares of that
TURN = 40.0  # degrees by which half of the cuts are turned at most
BELOW_HEADS = 0.5  # share of the bodies whose box is guessed from the head, as the node does


def bodies_in(sample: Sample) -> list[int]:
    """Heads whose owners are large enough and have a marked point."""
    return [
        index
        for index, head in enumerate(sample.heads)
        if head.keypoints is not None
        and (head.keypoints[:, 2] != ABSENT).any()
        and _longer(_boxes(sample, head)[0]) >= LEAST_SIDE
    ]


def _longer(box: np.ndarray) -> float:
    return float((box[2:] - box[:2]).max())


def _boxes(sample: Sample, head: Head) -> list[np.ndarray]:
    """The boxes that one may ask about: all that shows of the body, and what is below the head."""
    shown = [] if head.appearance is None else [head.appearance.body]
    if head.visible > 0 or not shown:
        x0, y0, x1, y1 = head.box.tolist()
        shown.append(np.array(body_around((x0, y0, x1, y1), sample.width, sample.height)))
    return shown


def body_view(
    sample: Sample,
    index: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    options: Augmentation | None,
    resize: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, list[Head]]:
    """A view (H, W, 3) uint8 of `size` = (height, width) around the body of a head's owner, and all
    heads in it, none with a rotation. The box to be asked about is that head's `appearance.body`.

    Without `options` the view is the one that the perceiver takes; `resize` is its own way to bring
    a square to `size`.
    """
    boxes = _boxes(sample, sample.heads[index])
    box = boxes[-1] if rng.random() < BELOW_HEADS else boxes[0]
    heads = [replace(head, rotation=None) for head in sample.heads]
    heads[index] = replace(heads[index], appearance=Appearance(box, None, frozenset()))
    view, homography = cut_out(sample, box, size, rng, options, resize)
    heads = [warp_head(head, homography, np.eye(3), size[1], size[0]) for head in heads]
    if options is not None and options.mirror and rng.random() < 0.5:
        view, heads = mirrored(view, heads)
    if options is not None and options.colour:
        view = camera_faults(view, rng)
    return view, heads


def cut_out(
    sample: Sample,
    box: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    options: Augmentation | None,
    resize: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The square about a box as a view of `size`, and the homography (3, 3) that took pixels there;
    with `options` shaken, see `body_view` for them and for `resize`."""
    image, (height, width) = sample.load(), size
    tile = square_around((box[0], box[1], box[2], box[3]), MARGIN)
    homography = np.diag([width / tile.width, height / tile.height, 1.0])
    homography = homography @ [[1, 0, -tile.x], [0, 1, -tile.y], [0, 0, 1]]
    if options is None:
        return resize(tile.of(image)), homography
    homography = _shaken(size, rng) @ homography
    scale = float(np.sqrt(abs(np.linalg.det(homography[:2, :2]))))
    image, scales = shrunk(image, scale, scale)
    from_small = np.diag([1 / scales[0], 1 / scales[1], 1])
    view = cv2.warpPerspective(image, homography @ from_small, (width, height))
    return view, homography


def _shaken(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A homography (3, 3) that enlarges, moves and turns a view about its middle."""
    middle = (size[1] / 2, size[0] / 2)
    angle = rng.uniform(-TURN, TURN) if rng.random() < 0.5 else 0.0
    scale = 1 / np.exp(rng.uniform(*np.log(SCALE)))
    turn = np.vstack([cv2.getRotationMatrix2D(middle, angle, scale), [0, 0, 1]])
    turn[:2, 2] += rng.uniform(-SHIFT, SHIFT, 2) * (size[1], size[0])
    return np.asarray(turn)


def point_prompts(
    head: Head,
    size: tuple[int, int],
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    rng: np.random.Generator,
    complete: bool,
) -> list[Prompt]:
    """Up to `count` questions for points of the body in `appearance.body`, in a view of `size`.

    Without `complete` labels, points that are absent are not asked for: they may be there, not
    marked.
    """
    assert head.keypoints is not None and head.appearance is not None
    body = Thing(
        keypoints.PERSON,
        head.appearance.body,
        KEYPOINTS,
        head.keypoints,
        tuple(keypoints.DESCRIPTIONS[name] for name in KEYPOINTS),
    )
    known = [n for n, point in enumerate(head.keypoints) if complete or point[2] != ABSENT]
    chosen = rng.permutation(known)[:count].astype(int)
    return [point_prompt(body, number, size, tokenizer) for number in chosen]


def point_prompt(
    thing: Thing,
    number: int,
    size: tuple[int, int],
    tokenizer: PreTrainedTokenizerBase,
    described: bool = True,
) -> Prompt:
    """The question for one point of a thing in a view of `size` = (height, width), and its answer.

    `described`: whether the point's description is told as well as its name.
    """
    (height, width), (x, y, visibility) = size, thing.points[number]
    box = grid_box(tuple(thing.box.tolist()), width, height)
    description = thing.descriptions[number] if described else ""
    question = keypoints.question(box, thing.names[number], description, thing.category)
    if visibility == ABSENT:
        answer = keypoints.format_answer((0, 0, ABSENT))
        return prompt_of(question, answer, COORDINATE, [], tokenizer)
    column, row = (min(int(v * GRID), GRID - 1) for v in (x / width, y / height))
    answer = keypoints.format_answer((column, row, int(visibility)))
    values = [(v, -1) for v in exact_grid(np.array([x, y, x, y]), width, height)[:2]]
    return prompt_of(question, answer, COORDINATE, values, tokenizer)
