# SPDX-License-Identifier: Apache-2.0
"""The one sample type that every reader yields and every stage consumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.pictures import read_picture

EXACT = 12.0  # degrees, largest standard deviation of a pose that is taught as one rotation


@dataclass(frozen=True)
class Appearance:
    """What is known of a head's owner.

    body: (4,) float, box of all that shows. top: the colour of what is worn on the chest, None
    where no name fits. wears: words such as glasses or hat. area: of what shows, square pixels;
    None where unknown.
    """

    body: np.ndarray
    top: str | None
    wears: frozenset[str]
    area: float | None = None


@dataclass
class Head:
    """One labelled head.

    box: (4,) float, x0 y0 x1 y1 in pixels of the image.
    rotation: (3, 3) float, head in the camera optical frame (`hpe_vlm_ros.geometry`), None where
        the pose is unknown: such a head is only a box.
    visible: share of the head that can be seen, 0..1 (occlusion and image border); 1 where the
        source does not say.
    position: (3,) float, the sellion in the camera optical frame in metres, None where unknown.
    appearance: of the head's owner, None where nobody wrote them down.
    tone: of the skin, light, medium or dark; None where unknown.
    spread: (3,) standard deviations in degrees of yaw, pitch and roll, where the pose was estimated
        and not measured; None where it is exact.
    keypoints: (17, 3) float, x, y and visibility of the owner's body in the order and with the
        visibilities of `hpe_vlm_ros.skeleton`, pixels; None where nobody marked them. A point of
        visibility 0 has x = y = 0.
    """

    box: np.ndarray
    rotation: np.ndarray | None
    visible: float = 1.0
    position: np.ndarray | None = None
    appearance: Appearance | None = None
    tone: str | None = None
    spread: np.ndarray | None = None
    keypoints: np.ndarray | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the pose is known well enough to be taught as one rotation."""
        return self.rotation is not None and (
            self.spread is None or float(self.spread.max()) <= EXACT
        )


@dataclass(frozen=True)
class Expression:
    """Something in the image that words single out: each of `sentences` means the thing in `box`.

    box: (4,) float, x0 y0 x1 y1 in pixels. ref_id: its number in the source, None where it has
    none.
    """

    sentences: tuple[str, ...]
    box: np.ndarray
    ref_id: int | None = None


@dataclass(frozen=True)
class Thing:
    """An object of a named category with named points.

    box: (4,) float, x0 y0 x1 y1 in pixels. names: of its K points. points: (K, 3) float, x, y in
    pixels and visibility: 0 outside the picture or not marked (then x = y = 0), 1 covered, 2 seen.
    descriptions: of each point, empty where there is none.
    """

    category: str
    box: np.ndarray
    names: tuple[str, ...]
    points: np.ndarray
    descriptions: tuple[str, ...]


@dataclass(frozen=True)
class Instruction:
    """A question in words about a picture, and its answer, as instruction data has them. `kind` is
    one of `telling.KINDS`; boxes in both are on the grid."""

    kind: str
    question: str
    answer: str


@dataclass
class Sample:
    """One image with what is known of it.

    `focal` is in pixels with the principal point at the image centre, None where the camera is
    unknown. `all_heads` is False where heads may show that are not among `heads`: such an image
    must not teach how many there are. `decoys` are boxes (4,) of what was taken for a head and is
    none. `things` have points with names. `instructions` are questions in words with their answers
    (`telling`).
    """

    image_path: Path
    width: int
    height: int
    focal: float | None
    heads: list[Head] = field(default_factory=list)
    expressions: list[Expression] = field(default_factory=list)
    all_heads: bool = True
    decoys: list[np.ndarray] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)

    @property
    def camera(self) -> CameraIntrinsics | None:
        """The camera that took the picture, where it is known."""
        if not self.focal:
            return None
        return CameraIntrinsics(self.focal, self.focal, self.width / 2, self.height / 2)

    @property
    def likely_focal(self) -> float:
        """The focal length in pixels; of an unknown camera the longer side (53 degrees across)."""
        return float(max(self.width, self.height)) if self.focal is None else self.focal

    def load(self) -> np.ndarray:
        """Read the picture, uint8 H x W x 3 RGB. Raises ImageError naming an unreadable file."""
        return read_picture(self.image_path)
