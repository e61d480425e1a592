# SPDX-License-Identifier: Apache-2.0
"""A model for local servers, which speaks letter by letter as a grammar allows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import regex  # matches beginnings, which re does not
from numpy.typing import NDArray

from hpe_vlm_ros.remote.distributions import ANGLES

LETTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,;.:!?'[]{}()<>/\n"
RARE = 1e-6  # of letters that the model has no reason to say
SURE = 0.9  # of the next letter of what it wants to say


def bell(mean: float, deviation: float) -> NDArray[np.float64]:
    """(360,): a wrapped normal distribution."""
    turns = (np.arange(360) - mean + 180) % 360 - 180
    weights = np.exp(-0.5 * (turns / deviation) ** 2)
    return np.asarray(weights / weights.sum())


@dataclass
class TalkingModel:
    """Says `texts[question]`, else `otherwise`.

    Attributes:
        preamble: said before an answer unless a grammar forbids it.
        weights: (3, 360) of the angles in answers to pose questions; the text's own without.
        thoughts: said before an answer unless the template is told not to.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = "Hello, how are you?"
    preamble: str = ""
    weights: NDArray[np.float64] | None = None
    thoughts: str = ""

    def speak(
        self, question: str, pattern: str | None, most: int, thinking: bool, detailed: bool
    ) -> tuple[str, list[dict[str, float]]]:
        """Text of at most `most` letters, and the probabilities of each letter's place, before the
        grammar rules some out: as vLLM and llama.cpp tell them. These only if `detailed`."""
        answer = self.texts.get(question, self.otherwise)
        wanted = self.preamble + answer
        if thinking and self.thoughts:
            wanted = f"<think>\n{self.thoughts}\n</think>\n\n{wanted}"
        if pattern is None:
            written = wanted[:most]
            return written, [
                self._next(written[:place], wanted) for place in range(len(written) * detailed)
            ]
        written, places = "", list[dict[str, float]]()
        while len(written) < most:
            if not wanted.startswith(written):  # a grammar forbade the words before
                wanted = answer
            likely = self._next(written, wanted)
            ordered = sorted(likely, key=lambda letter: -likely[letter])
            letter = next((x for x in ordered if _allowed(pattern, written + x)), "")
            ended = re.fullmatch(pattern, written) is not None
            if not letter or (ended and (written == wanted or likely[letter] < SURE)):
                break
            places.append(likely)
            written += letter
        return written, places

    def _next(self, written: str, wanted: str) -> dict[str, float]:
        likely = dict.fromkeys(LETTERS, RARE)
        if wanted.startswith(written) and len(written) < len(wanted):
            likely[wanted[len(written)]] = SURE
        if self.weights is not None and (group := ANGLES.search(wanted)):
            likely |= self._digits(written, group.start() + 1)
        return likely

    def _digits(self, written: str, start: int) -> dict[str, float]:
        """Of the next digit of an angle, from its distribution."""
        which, place = divmod(len(written) - start, 4)
        if not 0 <= which < 3 or place > 2 or self.weights is None:
            return {}
        row = self.weights[which]
        known = written[len(written) - place :]
        ends = {digit: f"{known}{digit}" for digit in "0123456789"}
        mass = {
            d: sum(row[n] for n in range(360) if f"{n:03d}".startswith(p)) for d, p in ends.items()
        }
        return {digit: max(m / (sum(mass.values()) or 1.0), 1e-12) for digit, m in mass.items()}


def _allowed(pattern: str, text: str) -> bool:
    return regex.fullmatch(pattern, text, partial=True) is not None


def logprobs(
    text: str, places: list[dict[str, float]], top: int, own: bool = True
) -> dict[str, Any]:
    """As OpenAI's `logprobs`; not `own`: the token itself is left out, as LMDeploy does."""
    content = []
    for letter, likely in zip(text, places, strict=True):
        total = sum(likely.values())
        best = sorted(likely, key=lambda x: -likely[x])[:top]
        content.append(
            _entry(letter, likely[letter] / total)
            | {"top_logprobs": [_entry(x, likely[x] / total) for x in best if own or x != letter]}
        )
    return {"content": content}


def _entry(letter: str, probability: float) -> dict[str, Any]:
    return {"token": letter, "logprob": math.log(probability), "bytes": list(letter.encode())}
