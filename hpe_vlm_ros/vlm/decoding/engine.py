# SPDX-License-Identifier: Apache-2.0
"""Questions about heads in one picture, answered through text: detect, then one pose per head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpe_vlm_ros.answers import (
    DETECTION_PROMPT,
    Angles,
    Box,
    Parsed,
    format_boxes,
    parse_angles,
    parse_boxes,
    pose_prompt,
)
from hpe_vlm_ros.head_map import HeadMap
from hpe_vlm_ros.looks import Detection
from hpe_vlm_ros.tasks import Task, keypoints
from hpe_vlm_ros.vlm.backend import Backend, Pixels
from hpe_vlm_ros.vlm.facts import ModelFacts
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

from .batch_sequences import BatchSequences
from .constrained import Answer, Pick, ask, expected, most_likely
from .grammar import AnswerGrammar, Grammar
from .points import PointEstimate, point_of
from .poses import Pose, pose_of
from .presence import ScoreWeights
from .scores import box_scores, label_probabilities
from .sequences import Sequences

if TYPE_CHECKING:
    from hpe_vlm_ros.vlm.families.processing import ChatProcessor

T = TypeVar("T")
FREE_LIMIT = 400  # tokens an unconstrained answer may take


class Engine:
    """A model in some runtime, with its processor and the grammar of its answers."""

    model_id = "unnamed"  # which only its folder tells

    def __init__(self, backend: Backend, processor: CogVLMProcessor | ChatProcessor):
        self.backend = backend
        self.processor = processor
        self.grammar = AnswerGrammar(processor.tokenizer, processor.lead)
        self.score_weights = ScoreWeights.read(processor.facts.score_weights)

    @property
    def facts(self) -> ModelFacts:
        return self.processor.facts

    @property
    def runtime(self) -> str:
        return self.backend.name

    @property
    def device(self) -> str:
        return self.backend.device

    @property
    def at_once(self) -> int:
        return self.backend.at_once

    def signals(self, task: Task[str]) -> None:
        """Nobody: experts for such questions lie in the model's folder, see `vlm.experts`."""

    def diagnostics(self) -> dict[str, str]:
        """Nothing but what every model tells."""
        return {}

    def warning(self) -> str:
        """What is wrong with the weights; empty where nothing is."""
        return self.processor.warning

    def look_at(
        self, image: NDArray[np.uint8], reuse_prefix: bool = True, pick: Pick | None = None
    ) -> Look:
        """As `look`, of an RGB image (H, W, 3); `pick` None is the checkpoint's own."""
        if pick is None:
            pick = expected if self.facts.number_decoding == "expected" else most_likely
        pixels: Any = self.processor.pixels(image)
        return self.look(pixels, reuse_prefix, pick)

    def look(self, pixels: Pixels, reuse_prefix: bool = True, pick: Pick = most_likely) -> Look:
        """Start on one picture: `pixels` (3, S, S) from `processor.pixels`.

        Without `reuse_prefix` every question encodes the picture anew, one question at a time;
        answers are the same. `pick` chooses tokens from their probabilities.
        """
        return Look(self, pixels, reuse_prefix, pick)


class Look:
    """One picture; the work of encoding it is done at the first question and kept."""

    def __init__(self, engine: Engine, pixels: Pixels, reuse_prefix: bool, pick: Pick):
        self._engine = engine
        self._pixels = pixels
        self._reuse_prefix = reuse_prefix
        self._pick = pick
        self._sequences: Sequences | BatchSequences | None = None

    def _encode(self) -> Sequences | BatchSequences:
        backend = self._engine.backend
        cache: Any = backend.encode(self._pixels)
        return Sequences(cache) if backend.packs else BatchSequences(cache)

    def ask(
        self,
        prompts: Sequence[str],
        grammars: Sequence[Grammar],
        drafts: Sequence[Sequence[int]] | None = None,
        slack: int = 0,
    ) -> list[Answer]:
        """Answers to all prompts; grammars[i] rules answer i. For drafts see `decoding.ask`."""
        ids = [self._engine.processor.encode_prompt(prompt) for prompt in prompts]
        if not self._reuse_prefix:
            pairs = zip(ids, grammars, strict=True)
            return [ask(self._encode(), [i], [g], self._pick)[0] for i, g in pairs]
        if not ids:
            return []
        if self._sequences is None:
            self._sequences = self._encode()
        lookahead = self._engine.backend.lookahead
        answers = ask(self._sequences, ids, grammars, self._pick, drafts, slack, lookahead)
        self._sequences.clear()
        return answers

    def detect(
        self, max_heads: int, draft: Sequence[Box] | None = None, slack: int = 0
    ) -> list[Detection]:
        """Head boxes in the order the model names them.

        A `draft`, such as the boxes of the frame before, takes fewer forwards to verify than boxes
        take to be found. With no `slack` the result is that without a draft; else numbers up to
        `slack` cells of the grid beside the drafted ones let the rest of it stand too.
        """
        grammar = self._engine.grammar.boxes(max_heads)
        drafted: list[int] = []
        if draft is not None:
            processor = self._engine.processor
            text = processor.lead + format_boxes(draft)
            drafted = [*processor.encode(text), self._engine.grammar.eos]
        (answer,) = self.ask([DETECTION_PROMPT], [grammar], [drafted], slack)
        boxes = self._value(parse_boxes, answer)
        scores = self._scores(box_scores(answer), boxes)
        return [Detection(box, score) for box, score in zip(boxes, scores, strict=True)]

    def _scores(self, text: list[float], boxes: Sequence[Box]) -> list[float]:
        """The text's scores, joined with the tower's read-out where the model has one."""
        weights = self._engine.score_weights
        if weights is None:
            return text
        presence = self.presence
        return text if presence is None else weights.scores(text, boxes, presence.logits)

    @property
    def presence(self) -> HeadMap | None:
        """The tower's read-out of this picture, see `backend.ImageCache`."""
        return (self._sequences or self._encode()).presence

    def poses(self, boxes: Sequence[Box]) -> list[Angles]:
        """Yaw, pitch, roll in whole degrees of the head in each box: what the answers print."""
        return [pose.written for pose in self.estimates(boxes)]

    def estimates(self, boxes: Sequence[Box]) -> list[Pose]:
        """The pose of the head in each box on the 0..999 grid, in degrees, and how sure it is;
        decoded as one batch."""
        grammars = [self._engine.grammar.angles() for _ in boxes]
        answers = self.ask([pose_prompt(box) for box in boxes], grammars)
        return [pose_of(self._value(parse_angles, answer), answer) for answer in answers]

    def labels(self, task: Task[str], questions: Sequence[str]) -> list[dict[str, float]]:
        """The probability of each label of a task whose answers are one, for each question."""
        grammar = self._engine.grammar
        answers = self.ask(questions, [task.grammar(grammar) for _ in questions])
        runs = grammar.label_runs(task)
        return [label_probabilities(answer, runs) for answer in answers]

    def points(self, questions: Sequence[str], sides: tuple[float, float]) -> list[PointEstimate]:
        """What is answered to `questions` of the task keypoints about one body; `sides` as in
        `vlm.decoding.points.point_of`."""
        grammars = [keypoints.grammar(self._engine.grammar) for _ in questions]
        answers = self.ask(questions, grammars)
        return [point_of(self._value(keypoints.parse, answer), answer, sides) for answer in answers]

    def free(
        self, prompts: Sequence[str], limit: int = FREE_LIMIT, symbols: bool = False
    ) -> list[str]:
        """What the model says without any grammar, up to `limit` tokens; may be invalid.

        With `symbols`, only tokens that occur in answers can be said, in any order.
        """
        grammars = [self._engine.grammar.free(limit, symbols) for _ in prompts]
        return [self._text(answer) for answer in self.ask(prompts, grammars)]

    def _text(self, answer: Answer) -> str:
        return self._engine.processor.decode(answer.tokens)

    def _value(self, parse: Callable[[str], Parsed[T]], answer: Answer) -> T:
        """What an answer that a grammar has ruled says."""
        text = self._text(answer)
        parsed = parse(text)
        if parsed.value is None:
            raise RuntimeError(f"constrained answer {text!r} is invalid ({parsed.reason}): a bug")
        return parsed.value
