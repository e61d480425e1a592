# SPDX-License-Identifier: Apache-2.0
"""Teach language experts of their own to tell head gestures from poses; no pictures needed.

    python -m training.teach_gestures OUT --steps 3000 --errors ERRORS.npz

OUT becomes a model folder that reads text alone. The run can be stopped and goes on from its last
state. --errors are the errors of a model's answers about films (`training.film_answers`); without
them, those of `synthetic.pose_windows` stand in.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hpe_vlm_ros.tasks import gesture
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer

from .synthetic.pose_windows import FIRST_TOLD, Window, windows

SIZE = {  # of the experts: numbers and six words need little
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "initializer_range": 0.1,
}
SCALES = (3.0, 6.0, 12.0, 24.0, 48.0)  # numbers beside a centre that are told apart
ALONG = 0.5  # weight of what is told along the window, see `losses`
STATE = "state.pt"
HELD = 256  # windows


def new_model(seed: int = 0) -> CogVLMForCausalLM:
    """Untrained experts whose number tokens are alike as what they stand for is."""
    torch.manual_seed(seed)
    config = embedded(text_only=True, tasks=[gesture.TASK.name], **SIZE)
    model = CogVLMForCausalLM(config)
    number = torch.arange(1000, dtype=torch.float32)[:, None]
    beside = number - torch.tensor(gesture.CENTRES, dtype=torch.float32)
    own = (beside.abs() <= 100).float()
    steps = beside[..., None] / torch.tensor(SCALES)
    features = torch.cat((torch.tanh(steps), 1 - torch.exp(-(steps**2)), steps[..., -1:]), -1)
    features = torch.cat((features, torch.ones_like(beside)[..., None]), -1) * own[..., None]
    features = features.flatten(1)
    mixed = features @ torch.randn(features.shape[1], config.hidden_size)
    first = _first_number()
    with torch.no_grad():
        model.model.embed_tokens.weight[first : first + 1000] = (
            mixed / mixed.std() * config.initializer_range
        )
    return model


def _first_number() -> int:
    return build_tokenizer().get_vocab()["000"]


class Packer:
    """Windows to token ids, all of one length."""

    def __init__(self) -> None:
        tokenizer = build_tokenizer()

        def encode(text: str) -> list[int]:
            return list(tokenizer.encode(text, add_special_tokens=False))

        self._first = tokenizer.get_vocab()["000"]
        still = np.zeros((gesture.SAMPLES, gesture.NUMBERS))
        self._question = np.array(encode(gesture.question(still)))
        self._numbers = np.flatnonzero(np.isin(self._question - self._first, gesture.CENTRES))
        end = int(tokenizer.eos_token_id or 0)
        self._answers = np.array(
            [[*encode(gesture.TASK.format(label)), end] for label in gesture.LABELS]
        )
        (self._word,) = np.flatnonzero((self._answers != self._answers[0]).any(0))
        self.words = torch.from_numpy(self._answers[:, self._word])
        # behind the last number of each sample, from which something is told
        ends = self._numbers[gesture.NUMBERS - 1 :: gesture.NUMBERS]
        self.along = torch.from_numpy(ends[FIRST_TOLD:])
        self.asked = len(self._question)

    def __call__(self, batch: list[Window]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) of questions and answers, and labels (B, 20)."""
        ids = np.empty((len(batch), self.asked + self._answers.shape[1]), np.int64)
        ids[:, : self.asked] = self._question
        numbers = [list(gesture.numbers_of(window.values)) for window in batch]
        ids[:, self._numbers] = self._first + np.array(numbers).reshape(len(batch), -1)
        labels = np.stack([window.labels for window in batch])
        ids[:, self.asked :] = self._answers[labels[:, -1]]
        return torch.from_numpy(ids), torch.from_numpy(labels)

    @property
    def word(self) -> int:
        """Index of the token before the label."""
        return self.asked + int(self._word) - 1


def losses(
    model: CogVLMForCausalLM, packer: Packer, ids: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss, and label logits (B, 6) at the end of the question.

    Beside the answer, the hidden state behind each later sample is asked for the label of its time
    with the same output vectors: twelve lessons from a window instead of one. At runtime nobody
    asks there.
    """
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[:, packer.asked - 1 :])
    answer = F.cross_entropy(logits.flatten(0, 1).float(), ids[:, packer.asked :].flatten())
    words = model.lm_head.weight[packer.words].float()
    label_logits = hidden[:, packer.word].float() @ words.T
    label = F.cross_entropy(label_logits, labels[:, -1])
    partly = hidden[:, packer.along].float() @ words.T
    along = F.cross_entropy(partly.flatten(0, 1), labels[:, FIRST_TOLD:].flatten())
    return 0.2 * answer + label + ALONG * along, label_logits


def batches(seed: int, size: int, errors: list[np.ndarray]) -> Iterator[list[Window]]:
    """Endless batches of fresh windows, from a few heads at once."""
    source = windows(np.random.default_rng(seed), errors)
    while True:
        yield list(islice(source, size))


def rate(step: int, steps: int, most: float) -> float:
    """Learning rate: rises over the first 40 steps to `most`, and falls along a cosine to 2 % of
    it."""
    return most * min((step + 1) / 40, 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)


def read_errors(file: Path | None) -> list[np.ndarray]:
    """Errors of films, (N, 5) each."""
    if file is None:
        return []
    with np.load(file) as arrays:
        return [arrays[name] for name in arrays.files]


def f1(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 (6,) of each label, of true and predicted indices (N,)."""
    kinds = range(len(gesture.LABELS))
    right = np.array([((true == k) & (predicted == k)).sum() for k in kinds])
    named = np.array([(true == k).sum() + (predicted == k).sum() for k in kinds])
    return np.asarray(2 * right / np.maximum(named, 1))


@torch.no_grad()
def validate(model: CogVLMForCausalLM, packer: Packer, batch: list[Window]) -> np.ndarray:
    """F1 of each label on windows."""
    predicted = []
    for start in range(0, len(batch), 64):
        _, logits = losses(model, packer, *packer(batch[start : start + 64]))
        predicted += logits.argmax(1).tolist()
    return f1(np.array([window.labels[-1] for window in batch]), np.array(predicted))


def save(model: CogVLMForCausalLM, out: Path) -> None:
    """The model folder."""
    half = CogVLMForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(out)
    build_tokenizer().save_pretrained(out)


def learn(
    model: CogVLMForCausalLM,
    args: argparse.Namespace,
    losses_from: Callable[[int], Iterator[tuple[Tensor, Callable[[], str]]]],
) -> None:
    """Learn until `args.steps`, on from the last state in `args.out`, and write the model folder.

    losses_from: given the first step, an endless series of losses, each with what to print of it.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.98))
    step = 0
    if (args.out / STATE).exists():
        state = torch.load(args.out / STATE, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    series = losses_from(step)
    while step < args.steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        loss, report = next(series)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % args.every == 0 or step == args.steps:
            print(step, report(), flush=True)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            torch.save(state, args.out / f".{STATE}")
            (args.out / f".{STATE}").replace(args.out / STATE)
    save(model, args.out)


def train(args: argparse.Namespace, held: int = HELD) -> None:
    """`held`: windows of no training, on which it is told how far it is."""
    model, packer, errors = new_model(), Packer(), read_errors(args.errors)
    held_out = list(islice(windows(np.random.default_rng(99), errors), held))
    began = time.process_time()

    def report(loss: Tensor) -> str:
        scores = validate(model, packer, held_out)
        words = " ".join(f"{n} {v:.2f}" for n, v in zip(gesture.LABELS, scores, strict=True))
        spent = time.process_time() - began
        return f"loss {loss.item():.3f} {words} macro {scores[1:].mean():.3f} {spent:.0f}s"

    def losses_from(step: int) -> Iterator[tuple[Tensor, Callable[[], str]]]:
        for batch in batches(1000 + step, args.batch, errors):
            loss, _ = losses(model, packer, *packer(batch))
            yield loss, partial(report, loss)

    learn(model, args, losses_from)


def options(text: str | None) -> argparse.ArgumentParser:
    """The options of a program that teaches experts; `text` is its docstring."""
    parser = argparse.ArgumentParser(description=(text or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="model folder to write")
    parser.add_argument("--steps", type=int, default=900, help="(%(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="of each kind (%(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (%(default)s)")
    parser.add_argument("--every", type=int, default=60, help="steps between states (%(default)s)")
    parser.add_argument("--errors", type=Path, help="errors of a model's answers (.npz)")
    return parser


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    return options(__doc__).parse_args(arguments)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(parse())
