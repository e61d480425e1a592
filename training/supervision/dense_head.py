# SPDX-License-Identifier: Apache-2.0
"""Training-only supervision: every patch says whether a head is there, its box and pose.

The answer loss alone teaches the tower through a few number tokens a picture. `DenseHead` teaches
every patch of the vision tower in numbers, `DenseAnswers` every image token of the decoder in
number tokens, the language the prompts ask in. Both are thrown away afterwards: the runtime knows
only the text answer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from hpe_vlm_ros.geometry import angles_from_rotation
from hpe_vlm_ros.rays import rotation_to_ray, usual_camera

from ..data.collage import SQUEEZE
from ..data.prompts import ANGLE, COORDINATE, exact_grid
from ..data.sample import Head

CENTRE_SHARE = 0.6  # a patch belongs to a head when its centre lies in the middle share of the box


class DenseHead(nn.Module):
    """Linear read-out of patch features (B, N, C) -> objectness 1, box edges 4, rotation 6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 11)
        nn.init.constant_(self.project.bias[:1], -3.0)  # heads are rare

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, N, 11): the logit, four edges as `dense_loss` takes them, and a rotation's first two
        columns."""
        return self.project(self.norm(features))


class DenseAnswers(nn.Module):
    """Image tokens (N, width) of the decoder -> (N, 7, width), one vector each for x0, y0, x1, y1,
    yaw, pitch, roll, to be read with the decoder's own `lm_head`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.slots = nn.Linear(width, 7 * width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.slots(tokens).view(len(tokens), 7, self.slots.in_features)


def owners(
    picture: list[Head],
    grid: tuple[int, int],
    size: tuple[int, int],
    min_visible: float,
    min_size: float,
) -> torch.Tensor:
    """Index of the head that owns each patch of a `grid` = (rows, columns), (N,) int64, -1 = none.

    A patch belongs to a head when its centre lies in the middle of the box (`CENTRE_SHARE`); the
    smallest box wins a contested patch. `size` = (height, width) of the picture.
    """
    rows, columns = grid
    step = torch.tensor([size[1] / columns, size[0] / rows])
    centres = patch_centres(grid)
    owner = torch.full((rows * columns,), -1, dtype=torch.int64)
    area = [(h.box[2] - h.box[0]) * (h.box[3] - h.box[1]) for h in picture]
    for index in sorted(range(len(picture)), key=lambda i: -area[i]):
        if picture[index].visible < min_visible or area[index] < min_size**2:
            continue
        box = torch.as_tensor(picture[index].box, dtype=torch.float32).view(2, 2) / step
        middle, extent = box.mean(0), box[1] - box[0]
        reach = (extent * CENTRE_SHARE / 2).clamp(min=0.5)
        owner[((centres - middle).abs() <= reach).all(-1)] = index
    return owner


def shares_of(owner: torch.Tensor) -> torch.Tensor:
    """(N,) one over how many patches the owner of each patch has, 0 where there is none."""
    return (owner >= 0) / (owner[:, None] == owner).sum(1)


def patch_centres(grid: tuple[int, int]) -> torch.Tensor:
    """(N, 2) centres x, y of the patches in units of patches, row by row."""
    rows, columns = grid
    ys, xs = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    return torch.stack([xs.flatten(), ys.flatten()], -1)


def dense_targets(
    heads: list[list[Head]],
    grid: tuple[int, int],
    size: tuple[int, int],
    min_visible: float,
    min_size: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Per patch of a `grid` = (rows, columns) over pictures of `size` = (height, width):
    its share of the head that owns it (B, N), one over that head's patches and 0 without a head;
    box edges (B, N, 4) as distances left, top, right, bottom in patches; first two columns of the
    rotation relative to the ray the head is seen along (B, N, 6), NaN where unknown. That is what
    the head looks like wherever it stands; adding the ray is the decoder's work.
    """
    camera = usual_camera(size, SQUEEZE)
    step = torch.tensor([size[1] / grid[1], size[0] / grid[0]]).repeat(2)
    centres = patch_centres(grid).repeat(1, 2)
    sign = torch.tensor([1.0, 1.0, -1.0, -1.0])
    shares = torch.zeros(len(heads), len(centres))
    edges = torch.zeros(len(heads), len(centres), 4)
    turns = torch.zeros(len(heads), len(centres), 6)
    for row, picture in enumerate(heads):
        owner = owners(picture, grid, size, min_visible, min_size)
        shares[row] = shares_of(owner)
        for index in owner[owner >= 0].unique():
            head, inside = picture[int(index)], owner == index
            box = torch.as_tensor(head.box, dtype=torch.float32) / step
            edges[row, inside] = (centres[inside] - box) * sign
            turn = np.full((3, 3), np.nan)
            if head.is_exact:
                turn = rotation_to_ray(camera, head.box).T @ head.rotation
            turns[row, inside] = torch.as_tensor(turn[:, :2].T.ravel(), dtype=torch.float32)
    return shares, edges, turns


def dense_answer_targets(
    heads: list[list[Head]],
    grid: tuple[int, int],
    size: tuple[int, int],
    min_visible: float,
    min_size: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which image tokens (B, N) must say something, as shares like those of `dense_targets`, and
    what: kinds and values (owned, 7) of `prompts`, box on the 0..999 grid and angles in degrees. A
    head without an angle triple says nothing."""
    shares = torch.zeros(len(heads), grid[0] * grid[1])
    values: list[list[float]] = []
    for row, picture in enumerate(heads):
        answers = [head_values(head, size) for head in picture]
        owner = owners(picture, grid, size, min_visible, min_size)
        part = shares_of(owner)
        for patch, index in enumerate(owner.tolist()):
            numbers = answers[index] if index >= 0 else None
            if numbers is not None:
                shares[row, patch] = part[patch]
                values.append(numbers)
    kinds = torch.tensor([[COORDINATE] * 4 + [ANGLE] * 3]).expand(len(values), 7)
    return shares, kinds, torch.tensor(values, dtype=torch.float32).view(-1, 7)


def head_values(head: Head, size: tuple[int, int]) -> list[float] | None:
    """The seven real numbers of a head: box on the 0..999 grid, yaw, pitch, roll modulo 360."""
    angles = angles_from_rotation(head.rotation) if head.is_exact else None
    if angles is None:
        return None
    return exact_grid(head.box, size[1], size[0]) + [angle % 360 for angle in angles]


def rotation_from_6d(columns: torch.Tensor) -> torch.Tensor:
    """Gram-Schmidt of two 3-vectors (..., 6) to a rotation matrix (..., 3, 3) (Zhou et al.
    2019)."""
    first = F.normalize(columns[..., :3], dim=-1)
    second = columns[..., 3:] - (first * columns[..., 3:]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def turn_between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Angles in radians (N,) between rotations (N, 3, 3)."""
    cosine = ((first * second).sum((1, 2)) - 1) / 2
    return torch.acos(cosine.clamp(-1 + 1e-7, 1 - 1e-7))  # at the ends its slope is infinite


def dense_loss(
    output: torch.Tensor,
    shares: torch.Tensor,
    edges: torch.Tensor,
    turns: torch.Tensor,
    complete: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """{"dense_object", "dense_box", "dense_angle"}: cross-entropy, L1 of log edges, and the angle
    between rotations as a share of half a turn, whose gradient, unlike the squared chord's, does
    not fade with the error. The last two count every head once, however many patches it has: else a
    batch's few largest heads would be all that is learnt from.

    `complete` (B,) bool: pictures of which every head is labelled (default: all). In the others a
    patch without an owner may show a head that nobody labelled, and is not asked.
    """
    owned = shares > 0
    surprise = F.binary_cross_entropy_with_logits(
        output[..., 0],
        owned.float(),
        pos_weight=torch.tensor(3.0, device=output.device),
        reduction="none",
    )
    asked = torch.ones_like(owned) if complete is None else owned | complete[:, None]
    losses = {"dense_object": (surprise * asked).sum() / asked.sum().clamp(min=1)}
    if not owned.any():
        # zero, but computed from the output: every weight gets a gradient in every step
        return losses | {"dense_box": output.sum() * 0, "dense_angle": output.sum() * 0}
    chosen, part = output[owned], shares[owned]
    # asinh is a logarithm far out that also bears edges that a patch lies beyond (below zero)
    misses = (chosen[:, 1:5] - torch.asinh(edges[owned])).abs().mean(-1)
    losses["dense_box"] = (misses * part).sum() / part.sum()
    known = ~turns[owned].isnan().any(-1)
    angles = turn_between(
        rotation_from_6d(chosen[known, 5:]), rotation_from_6d(turns[owned][known])
    )
    part = part[known]
    losses["dense_angle"] = (angles * part).sum() / part.sum().clamp(min=1e-6) / torch.pi
    return losses  # an angle of 1 is the opposite
