# SPDX-License-Identifier: Apache-2.0
"""Teach the language experts that tell gestures to tell acts as well; no pictures needed.

    python -m training.teach_acts OUT --base models/embedded/experts/signals --steps 3000

Every step has windows of poses (`training.teach_gestures`), so that gestures are kept, and bodies
of `synthetic.stick_figures` with the questions of `tasks.act` and `tasks.yes_no`; where a rule of
`data.acts` says nothing of a body, nothing is learnt from that word. OUT becomes a model folder
that reads text alone. The run can be stopped and goes on from its last state.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hpe_vlm_ros.skeleton import SEEN
from hpe_vlm_ros.tasks import act, gesture, yes_no
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer

from .data.acts import arms_of, facts_of, posture_of
from .synthetic.stick_figures import Figure, figures
from .teach_gestures import Packer, batches, learn, losses, options, read_errors

UNTOLD = -100  # in the place of a target
LEAST = 6  # keypoints that must be seen of a body
TASKS = [gesture.TASK.name, act.TASK.name, yes_no.TASK.name]


class ActPacker:
    """Figures to token ids of questions and answers."""

    def __init__(self) -> None:
        self._tokenizer = build_tokenizer()
        self._end = int(self._tokenizer.eos_token_id or 0)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def act(self, figure: Figure) -> tuple[list[int], list[int]] | None:
        """Tokens and targets of the question for the act; None where neither word can be told."""
        posture, arms = posture_of(figure.points), arms_of(figure.points)
        if posture is None and arms is None:
            return None
        label = f"{posture or act.POSTURES[0]}, {arms or act.ARMS[0]}"
        question, answer = self._encode(act.question(figure.found)), act.format_answer(label)
        tokens = [*self._encode(answer), self._end]
        comma = self._encode(answer.partition(",")[0])  # up to the posture
        targets = [*tokens]
        if posture is None:
            targets[len(comma) - 1] = UNTOLD
        if arms is None:
            targets[len(comma) + 1 :] = [UNTOLD] * (len(targets) - len(comma) - 1)
        return question + tokens, [UNTOLD] * len(question) + targets

    def yes_no(
        self, figure: Figure, rng: np.random.Generator
    ) -> tuple[list[int], list[int]] | None:
        """The same of a statement that certainly holds or does not; yes and no equally often."""
        facts = facts_of(figure.points)
        verdict = bool(rng.integers(2))
        fitting = [name for name, one in facts.items() if one is verdict] or list(facts)
        if not fitting:
            return None
        statement = fitting[rng.integers(len(fitting))]
        question = self._encode(yes_no.question(statement, figure.found))
        text = yes_no.TASK.format("yes" if facts[statement] else "no")
        answer = [*self._encode(text), self._end]
        return question + answer, [UNTOLD] * len(question) + answer

    def __call__(self, batch: list[Figure], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Token ids and targets (B, T), padded at the end, where a decoder does not look back."""
        rows = [row for one in batch for row in (self.act(one), self.yes_no(one, rng)) if row]
        length = max(len(ids) for ids, _ in rows)
        ids = [ids + [self._end] * (length - len(ids)) for ids, _ in rows]
        targets = [target + [UNTOLD] * (length - len(target)) for _, target in rows]
        return torch.tensor(ids), torch.tensor(targets)


def act_loss(model: CogVLMForCausalLM, ids: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the words of answers; ids and targets (B, T), UNTOLD where nothing
    is."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    labelled = targets[:, 1:] != UNTOLD
    return F.cross_entropy(model.lm_head(hidden[labelled]).float(), targets[:, 1:][labelled])


def bodies(seed: int, size: int) -> Iterator[list[Figure]]:
    """Endless batches of figures of which enough is seen."""
    visible = (
        f for f in figures(np.random.default_rng(seed)) if (f.points[:, 2] == SEEN).sum() >= LEAST
    )
    while True:
        yield list(islice(visible, size))


def train(args: argparse.Namespace) -> None:
    """Learn until `args.steps`."""
    model = CogVLMForCausalLM.from_pretrained(args.base, dtype=torch.float32)
    model.config.tasks = TASKS
    packer, acts, errors = Packer(), ActPacker(), read_errors(args.errors)

    def losses_from(step: int) -> Iterator[tuple[Tensor, Callable[[], str]]]:
        people, rng = bodies(3000 + step, args.batch), np.random.default_rng(4000 + step)
        for batch in batches(2000 + step, args.batch, errors):
            kept, _ = losses(model, packer, *packer(batch))
            new = act_loss(model, *acts(next(people), rng))
            yield kept + new, partial("gestures {:.3f} acts {:.3f}".format, kept.item(), new.item())

    learn(model, args, losses_from)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--base", type=Path, required=True, help="experts that tell gestures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(parse())
