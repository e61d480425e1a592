# SPDX-License-Identifier: Apache-2.0
"""The one door to the model: a camera image goes in, heads with their poses come out.

from hpe_vlm_ros.perceiver import HeadPerceiver
perceiver = HeadPerceiver.load()
for head in perceiver(image):       # uint8 H x W x 3, RGB; with a camera: perceiver(image, camera)
    print(head.box, head.yaw, head.pitch, head.roll)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .answers import Angles, Box, Parsed, grid_box, parse_angles, pixel_box, pose_prompt
from .bodies import skeletons
from .boxes import PixelBox, check_box, from_left, largest, within, without_duplicates
from .geometry import CameraIntrinsics, HeadShape
from .head_map import HeadMap
from .heads import HeadEstimate, Heads, check_counts, check_image, seen_by
from .mirror import Mirrored, joined_answers, joined_boxes
from .refinement import Proposal, refined_heads, refined_poses, with_answers, with_likely
from .remote.settings import is_remote
from .skeleton import KEYPOINTS, Skeleton
from .spread import Calibration
from .tasks import keypoints
from .tiles import ADAPTIVE, INSIDE, SAME_IOU, Tile, adaptive_tile, counts, put_back, tiles_of

if TYPE_CHECKING:
    from .looks import Look, Model, PointLook, Signals
    from .tasks import Task
    from .vlm.decoding.constrained import Pick
    from .vlm.refiner import Refiner

CROWDED = 2  # times max_heads: the model names so many heads, of which the largest are kept
Array = NDArray[np.float64]
Answer = TypeVar("Answer")
OPEN_VOCABULARY = 10_000  # tokens; a closed one has a few hundred words


@dataclass(frozen=True, eq=False)
class _Pass:
    """A picture, or a tile of it, that was processed, and the boxes found there.

    `left_out`, `named` (pixels of `image`) and `presence` are as in `Heads`.
    """

    image: NDArray[np.uint8]
    tile: Tile | None
    looks: Sequence[Look | Mirrored]
    found: list[_Found]
    left_out: int
    named: list[PixelBox]
    presence: HeadMap | None


@dataclass(frozen=True, eq=False)
class _Found:
    """A head whose pose was not asked for yet: its box on the grid and in pixels of what was
    processed, its calibrated score, and the pass that found it."""

    grid: Box
    local_box: PixelBox
    score: float
    by: _Pass

    @property
    def box(self) -> PixelBox:
        """In pixels of the whole picture."""
        return self.local_box if self.by.tile is None else self.by.tile.in_picture(self.local_box)


class HeadPerceiver:
    """Finds heads and their poses in single images; holds no state between calls."""

    def __init__(
        self,
        model: Model,
        model_id: str | None = None,
        max_heads: int = 20,
        reuse_prefix: bool = True,
        tiles: int = ADAPTIVE,
        mirror: bool | None = None,
        refiner: Refiner | None = None,
    ):
        check_counts(max_heads, tiles)
        facts = model.facts
        self._model_id = model_id
        self.max_heads, self.tiles = max_heads, tiles
        self.mirror = facts.mirror if mirror is None else mirror
        self.reuse_prefix = reuse_prefix
        self.backend, self.device = model.runtime, model.device
        self.input_size = facts.image_size  # pixels, side of the square it sees
        self.head_shape = HeadShape.read(facts.head_shape)
        self.free_text = facts.vocab_size >= OPEN_VOCABULARY  # answers any question, in words
        self._engine = model
        self.calibration = Calibration.read(facts.calibration)  # of spreads and scores
        # both passes at once, where the runtime is best used so
        at_once = self.mirror and model.at_once > 1
        self.folder: Path | None = None  # of the model, where it lies in one
        self._load_alike: Callable[[Path], HeadPerceiver] = type(self).load
        self._others: dict[str, HeadPerceiver | None] = {}  # by name of the task
        self._beside = ThreadPoolExecutor(1, "look") if at_once else None
        self.refiner = refiner
        # a refiner tells heads from others better than the score, so it is asked about all boxes
        self._min_score = 0.0 if refiner is not None else facts.min_score

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        device: str | None = None,
        max_heads: int = 20,
        reuse_prefix: bool = True,
        backend: str = "auto",
        threads: int | None = None,
        quantization: str = "none",
        tiles: int = ADAPTIVE,
        mirror: bool | None = None,
        download: bool = False,
        adapter: str | Path | None = None,
        refine: bool = True,
    ) -> HeadPerceiver:
        """Load a model, or reach a server.

        Args:
            path: a model folder, or the name of a model on the hub such as "org/name@revision", see
                `vlm.hub`; None is the embedded default that comes with the package. An address
                such as "http://gpu.local:8000/v1#name" is that of a server, see `remote.model`.
            device: such as "cpu" or "cuda:0"; None is the CPU for a model that is exported, else
                the best there is.
            max_heads: the most heads to return for one image, the largest of up to twice as many.
            reuse_prefix: False encodes the image anew for every question (for comparison only).
            backend: "torch", "onnx" (ONNX Runtime, for exported models on a CPU), or "auto": what
                serves the folder and the device best.
            threads: of the arithmetic; None is one per core, or as PyTorch is set.
            quantization: "int8" or "int4" rounds PyTorch's weights, see `vlm.pytorch.quantization`.
            tiles: 0 and 1 process the whole image alone; without a refiner, 0 also processes one
                part of it once more where the model's own map tells that small heads are likely
                there (in up to twice the time). Above, so many by so many overlapping parts are
                processed as well, see `tiles`: 2 takes up to five times as long, 3 up to ten.
            mirror: whether the mirror image is processed as well, see `mirror`: more heads are
                found and poses are better, in up to twice the time. None is as the model's
                config.json says; a server is asked about the image alone.
            download: whether a model on the hub may be downloaded where the cache lacks it.
            adapter: folder of a LoRA adapter to a model of another family than CogVLM.
            refine: whether each head is looked at more closely, see `refinement`, by the refiner
                of the model folder where it has one.

        Raises:
            CheckpointError: (a ValueError) the folder cannot be used, and why.
            RemoteError: the server cannot be reached, and why.
        """
        if path is not None and is_remote(path):
            from .remote.model import RemoteModel

            return cls(RemoteModel(str(path)), None, max_heads, tiles=tiles, mirror=False)
        from .vlm.hub import find_model, short_name
        from .vlm.loading import load_engine
        from .vlm.model_folder import fingerprint, load_facts
        from .vlm.refiner import refiner_in

        folder = find_model(path, download)
        twice = load_facts(folder).mirror if mirror is None else mirror
        engine = load_engine(folder, device, backend, threads, quantization, 1 + twice, adapter)
        name = f"{short_name(path or folder)}-{fingerprint(folder)}"
        if adapter is not None:
            name += f"+{Path(adapter).resolve().name}-{fingerprint(adapter)}"
        refiner = refiner_in(folder, threads) if refine else None
        if refiner is not None:
            name += f"+refiner-{refiner.digest[:8]}"
        perceiver = cls(engine, name, max_heads, reuse_prefix, tiles, mirror, refiner)
        perceiver.folder = folder
        perceiver._load_alike = partial(
            cls.load, device=device, backend=backend, threads=threads, quantization=quantization
        )
        return perceiver

    @property
    def model_id(self) -> str:
        """The model's name and version; a server may change them."""
        return self._model_id or self._engine.model_id

    def facts(self) -> dict[str, str]:
        """What diagnostics tell of the runtime, beside its device."""
        return self._engine.diagnostics()

    def warning(self) -> str:
        """What is wrong with the runtime or the weights, for people; empty where nothing is."""
        return self._engine.warning()

    def __call__(
        self,
        image: NDArray[np.uint8],
        camera: CameraIntrinsics | None = None,
        max_heads: int | None = None,
        tiles: int | None = None,
        *,
        draft: Sequence[PixelBox] | None = None,
        slack: int = 0,
        mounted: Array | None = None,
    ) -> Heads:
        """Heads in an RGB image, left to right.

        Args:
            image: uint8 (H, W, 3).
            camera: of this image. Rotations are then in its optical frame, whatever its lens, see
                `heads.seen_by`; without one they are as the model tells them.
            max_heads, tiles: None as `load` was told.
            draft: boxes (pixels), such as those of the frame before; saves most of the time of
                detection where it is right, see `vlm.decoding.engine.Look.detect`.
            slack: how far, in thousandths of the image's side, a drafted box may be off.
            mounted: rotation (3, 3) from the image's axes to those of a camera that is not known.

        Raises:
            ValueError: for anything that is no image.
        """
        most = self.max_heads if max_heads is None else max_heads
        cut = self.tiles if tiles is None else tiles
        check_counts(most, cut)
        size = image.shape[:2]
        whole, found, left_out = self._found(image, most, cut, draft, slack)
        if self.refiner is None:
            heads = self._posed(found, size)
        else:
            proposed = _proposed(whole, found, size)
            heads, left_out = refined_heads(image, proposed, self.refiner, most)
            heads = self._with_answers(heads, whole.looks, image)
        turned = seen_by(camera, from_left(heads), (size[1], size[0]), mounted)
        presence = None if whole.presence is None else whole.presence.logits
        return Heads(turned, left_out, whole.named, presence)

    def proposals(self, image: NDArray[np.uint8]) -> list[Proposal]:
        """Boxes (pixels) that may be those of heads, however unlikely: what the model names, and
        what its patches tell beside these. What a refiner is asked about."""
        whole, found, _ = self._found(image, self.max_heads, self.tiles, None, 0)
        return _proposed(whole, found, image.shape[:2])

    def _found(
        self,
        image: NDArray[np.uint8],
        most: int,
        cut: int,
        draft: Sequence[PixelBox] | None,
        slack: int,
    ) -> tuple[_Pass, list[_Found], int]:
        """The pass over the whole image, what all passes found, and how many were left out."""
        size = image.shape[:2]
        whole = self._detect(image, most, draft, slack)
        found, left_out = whole.found, whole.left_out
        tiles_too = self._tiles(cut, whole, size)
        for tile in tiles_too:
            closer = self._detect(tile.of(image), most, tile=tile).found
            found = found + [f for f in closer if counts(f.local_box, tile, size)]
        if tiles_too:
            found = without_duplicates(found, SAME_IOU, INSIDE)
            found, more = largest(found, CROWDED * most if self.refiner else most)
            left_out += more
        return whole, found, left_out

    def _tiles(self, tiles: int, whole: _Pass, size: tuple[int, int]) -> list[Tile]:
        """Parts of a picture of `size` = (height, width) that are to be processed as well."""
        if tiles > 1:
            return tiles_of(size[1], size[0], tiles)
        if tiles != ADAPTIVE or whole.presence is None or self.refiner is not None:
            return []  # a refiner looks at each likely place by itself
        tile = adaptive_tile(whole.found, whole.presence.logits, size, self.input_size)
        return [] if tile is None else [tile]

    def _detect(
        self,
        image: NDArray[np.uint8],
        max_heads: int,
        draft: Sequence[PixelBox] | None = None,
        slack: int = 0,
        tile: Tile | None = None,
    ) -> _Pass:
        """Boxes of heads in one picture as a whole: the image, or the pixels of a tile of it."""
        height, width = check_image(image).shape[:2]
        drafted = None if draft is None else [grid_box(box, width, height) for box in draft]
        plain, most = self.look(image), CROWDED * max_heads
        looks = self._looks(plain, image)
        found, *again = self._each(looks, lambda look: look.detect(most, drafted, slack))
        named = [pixel_box(detection.box, width, height) for detection in found]
        for others in again:
            found = joined_boxes(without_duplicates(found), without_duplicates(others))
        found = without_duplicates([d for d in found if d.score >= self._min_score])
        found, left_out = largest(found, most if self.refiner else max_heads)
        one = _Pass(image, tile, looks, [], left_out, named, plain.presence)
        for d in found:
            score = self.calibration.score(d.score)
            one.found.append(_Found(d.box, pixel_box(d.box, width, height), score, one))
        return one

    def _posed(self, found: Sequence[_Found], size: tuple[int, int]) -> list[HeadEstimate]:
        """Heads with their poses, each asked of the pass that found it: what two passes found is
        asked about once. `size` = (height, width) of the whole picture."""
        heads = []
        for one in dict.fromkeys(f.by for f in found):
            mine = [f for f in found if f.by is one]
            boxes, scores = [f.grid for f in mine], [f.score for f in mine]
            estimates = self._estimates(one.looks, boxes, scores, one.image)
            heads += (
                estimates if one.tile is None else [put_back(h, one.tile, size) for h in estimates]
            )
        return heads

    def poses(self, image: NDArray[np.uint8], boxes: Sequence[PixelBox]) -> list[HeadEstimate]:
        """Poses of heads whose boxes (pixels) are known, in their order and with score 1.

        ValueError for a box that is empty or nowhere in the image; what sticks out is cut off.
        """
        height, width = check_image(image).shape[:2]
        whole = [check_box(box, width, height) for box in boxes]
        if self.refiner is not None:
            inside = [within(box, width, height) for box in whole]
            heads = refined_poses(image, inside, self.refiner)
            return self._with_answers(heads, self._looks(self.look(image), image), image)
        grid = [grid_box(box, width, height) for box in whole]
        return self._estimates(self._looks(self.look(image), image), grid, [1.0] * len(grid), image)

    def _with_answers(
        self,
        heads: Sequence[HeadEstimate],
        looks: Sequence[Look | Mirrored],
        image: NDArray[np.uint8],
    ) -> list[HeadEstimate]:
        """Refined heads with poses that hear the language model too."""
        assert self.refiner is not None
        height, width = image.shape[:2]
        boxes = [grid_box(head.box, width, height) for head in heads]
        answers = self._estimates(looks, boxes, [head.score for head in heads], image)
        settings = self.refiner.settings
        size = height, width
        return with_answers(heads, answers, size, settings.factors, settings.calibration)

    def unconstrained(
        self, image: NDArray[np.uint8], boxes: Sequence[PixelBox]
    ) -> list[Parsed[Angles]]:
        """What the model says of heads in these boxes (pixels) with no grammar to rule it.

        For evaluation only: answers may be invalid, `reason` then says in which way.
        """
        height, width = check_image(image).shape[:2]
        prompts = [pose_prompt(grid_box(box, width, height)) for box in boxes]
        return [parse_angles(text) for text in self.look(image).free(prompts)]

    def labels(
        self, image: NDArray[np.uint8], boxes: Sequence[PixelBox], task: Task[str]
    ) -> list[dict[str, float]]:
        """The probability of each label of a task about heads, such as "facing", for heads whose
        boxes (pixels) are known.

        ValueError where the model has not learnt it, and for a box as of `poses`.
        """
        self._check_learnt(task)
        height, width = check_image(image).shape[:2]
        grid = [grid_box(check_box(box, width, height), width, height) for box in boxes]
        return self.look(image).labels(task, [task.question(box) for box in grid])

    def keypoints(
        self,
        image: NDArray[np.uint8],
        bodies: Sequence[PixelBox],
        names: Sequence[str] = KEYPOINTS,
        closer: bool = True,
    ) -> list[Skeleton]:
        """Keypoints of the people whose bodies' boxes (pixels) are known, in their order.

        Args:
            image: uint8 (H, W, 3), RGB.
            bodies: such as `skeleton.body_around` of a head; what sticks out of the image is cut
                off.
            names: of KEYPOINTS.
            closer: look at a square around each body, one after the other; False: at the image as a
                whole, once, in which small bodies are coarse.

        Raises:
            ValueError: for a model that has not learnt keypoints, for a name that is none, and for
                a box that is empty or nowhere in the image.
        """
        apart = self._apart(keypoints.TASK)
        if apart is not None:
            return apart.keypoints(image, bodies, names, closer)
        self._check_learnt(keypoints.TASK)
        check_image(image)
        # a model that has learnt keypoints gives such looks
        look = cast("Callable[[NDArray[np.uint8]], PointLook]", self.look)
        return skeletons(look, image, bodies, names, closer)

    def has_learnt(self, task: Task[Any]) -> bool:
        """Whether the model answers the questions of a task, such as `tasks.keypoints.TASK`; where
        weights of their own do so, these are loaded. CheckpointError where they are damaged."""
        apart = self._apart(task)
        return task.name in (self if apart is None else apart)._engine.facts.tasks

    def _apart(self, task: Task[Any]) -> HeadPerceiver | None:
        """The model with weights of their own for a task, in experts/NAME of the model folder; None
        where there are none. Heads stay as they are, whatever that has learnt."""
        if self.folder is not None and task.name not in self._others:
            from .vlm.experts import find_experts

            place = find_experts(self.folder, task.name)
            self._others[task.name] = None if place is None else self._load_alike(place)
        return self._others.get(task.name)

    def _check_learnt(self, task: Task[Any]) -> None:
        if not self.has_learnt(task):
            raise ValueError(
                f"{self.model_id} has not learnt the question {task.name!r}, only "
                f"{', '.join(self._engine.facts.tasks)}: train it, and name the task in its "
                "config.json"
            )

    def signals(self, task: Task[str]) -> Signals | None:
        """Who answers questions of a task that hold all they are about as text, such as "gesture";
        None where the model has not learnt it. CheckpointError where its experts are damaged."""
        from .vlm.experts import signals_in

        found = None if self.folder is None else signals_in(self.folder, task)
        return found or self._engine.signals(task)

    def ask(self, image: NDArray[np.uint8], question: str) -> str:
        """The model's answer to a question in words about an RGB image (H, W, 3) uint8; ValueError
        where it knows too few words."""
        if not self.free_text:
            raise ValueError(f"{self.model_id} has a closed vocabulary: it answers no free text")
        return self.look(image).free([question])[0].strip()

    def look(self, image: NDArray[np.uint8], pick: Pick | None = None) -> Look:
        """An RGB image (H, W, 3) uint8, for any question about it; `pick` chooses tokens, None as
        configured."""
        return self._engine.look_at(check_image(image), self.reuse_prefix, pick)

    def _looks(self, plain: Look, image: NDArray[np.uint8]) -> list[Look | Mirrored]:
        """At the image and, where that is wanted, at its mirror image."""
        if not self.mirror:
            return [plain]
        return [plain, Mirrored(self.look(np.ascontiguousarray(image[:, ::-1])))]

    def _each(
        self, looks: Sequence[Look | Mirrored], ask: Callable[[Look | Mirrored], Answer]
    ) -> list[Answer]:
        """What is answered to the same question by each look."""
        if self._beside is None or len(looks) < 2:
            return [ask(look) for look in looks]
        later = [self._beside.submit(ask, look) for look in looks[1:]]
        return [ask(looks[0]), *(answer.result() for answer in later)]

    def _estimates(
        self,
        looks: Sequence[Look | Mirrored],
        boxes: list[Box],
        scores: list[float],
        image: NDArray[np.uint8],
    ) -> list[HeadEstimate]:
        if not boxes:
            return []
        height, width = image.shape[:2]
        triples, rotations, spreads = joined_answers(
            self._each(looks, lambda look: look.estimates(boxes))
        )
        covariances = self.calibration.covariance(spreads)
        return [
            HeadEstimate(
                pixel_box(box, width, height),
                yaw,
                pitch,
                roll,
                rotation,
                score,
                covariance if np.isfinite(covariance).all() else None,
            )
            for box, (yaw, pitch, roll), rotation, score, covariance in zip(
                boxes, triples.tolist(), rotations, scores, covariances, strict=True
            )
        ]


def _proposed(whole: _Pass, found: Sequence[_Found], size: tuple[int, int]) -> list[Proposal]:
    """What a refiner is asked about in a picture of `size` = (height, width)."""
    return with_likely([Proposal(one.box, one.score) for one in found], whole.presence, size)
