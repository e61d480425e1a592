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
from collections.abc import Iterator
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
from .teach_gestures import STATE, Packer, batches, losses, rate, read_errors, save

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
        told = [*tokens]
        if posture is None:
            told[len(comma) - 1] = UNTOLD
        if arms is None:
            told[len(comma) + 1 :] = [UNTOLD] * (len(told) - len(comma) - 1)
        return question + tokens, [UNTOLD] * len(question) + told

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
        said = yes_no.format_answer("yes" if facts[statement] else "no")
        answer = [*self._encode(said), self._end]
        return question + answer, [UNTOLD] * len(question) + answer

    def __call__(self, batch: list[Figure], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Token ids and targets (B, T), padded at the end, where a decoder does not look back."""
        rows = [row for one in batch for row in (self.act(one), self.yes_no(one, rng)) if row]
        length = max(len(ids) for ids, _ in rows)
        ids = [ids + [self._end] * (length - len(ids)) for ids, _ in rows]
        targets = [told + [UNTOLD] * (length - len(told)) for _, told in rows]
        return torch.tensor(ids), torch.tensor(targets)


def act_loss(model: CogVLMForCausalLM, ids: Tensor, targets: Tensor) -> Tensor:
    """Of the words of answers."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    told = targets[:, 1:] != UNTOLD
    return F.cross_entropy(model.lm_head(hidden[told]).float(), targets[:, 1:][told])


def bodies(seed: int, size: int) -> Iterator[list[Figure]]:
    """Endless batches of figures of which enough is seen."""
    seen = (
        f for f in figures(np.random.default_rng(seed)) if (f.points[:, 2] == SEEN).sum() >= LEAST
    )
    while True:
        yield list(islice(seen, size))


def train(args: argparse.Namespace) -> None:
    """Learns until `args.steps`."""
    args.out.mkdir(parents=True, exist_ok=True)
    model = CogVLMForCausalLM.from_pretrained(args.base, dtype=torch.float32)
    model.config.tasks = TASKS
    packer, acts = Packer(), ActPacker()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.98))
    step = 0
    if (args.out / STATE).exists():
        state = torch.load(args.out / STATE, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    windows = batches(2000 + step, args.batch, read_errors(args.errors))
    people = bodies(3000 + step, args.batch)
    rng = np.random.default_rng(4000 + step)
    while step < args.steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        kept, _ = losses(model, packer, *packer(next(windows)))
        new = act_loss(model, *acts(next(people), rng))
        optimizer.zero_grad()
        (kept + new).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % args.every == 0 or step == args.steps:
            print(f"{step} gestures {kept.item():.3f} acts {new.item():.3f}", flush=True)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            torch.save(state, args.out / f".{STATE}")
            (args.out / f".{STATE}").replace(args.out / STATE)
    save(model, args.out)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="model folder to write")
    parser.add_argument("--base", type=Path, required=True, help="experts that tell gestures")
    parser.add_argument("--steps", type=int, default=900, help="(%(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="of each kind (%(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (%(default)s)")
    parser.add_argument("--every", type=int, default=60, help="steps between states (%(default)s)")
    parser.add_argument("--errors", type=Path, help="as of training.teach_gestures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(parse())
