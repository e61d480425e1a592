# SPDX-License-Identifier: Apache-2.0
"""How sure a server's model is of boxes and labels, as far as it tells tokens' probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from .distributions import Token

BOX = re.compile(r"([0-9]{3}),([0-9]{3}),([0-9]{3}),([0-9]{3})")


def box_scores(tokens: Sequence[tuple[str, float]], count: int) -> list[float]:
    """Scores in 0..1 of the `count` boxes of an answer, in order; 1 where nothing is known.

    As in `vlm.decoding.scores` for tokenizers with one token per digit: the probability of the
    separator before the box times those of hundreds and tens of its numbers; units say little.
    """
    text = "".join(token for token, _ in tokens)
    first = [1.0] * len(text)  # probability of the token that begins at a character, else 1
    place = 0
    for token, probability in tokens:
        if token:
            first[place] = probability
        place += len(token)
    found = list(BOX.finditer(text))
    if len(found) != count:
        return [1.0] * count
    return [_score(match, first) for match in found]


def _score(match: re.Match[str], first: list[float]) -> float:
    places = [match.start() - 1] if match.start() else []
    for number in range(1, 5):
        places += [match.start(number), match.start(number) + 1]
    return math.prod(first[place] for place in places)


def label_scores(
    tokens: Sequence[Token], texts: Mapping[str, str], written: str
) -> dict[str, float]:
    """The probability of each label, by its whole answer in `texts`, where that of the label
    `written` was given as this very text; 1 for it where the tokens do not tell.

    As in `vlm.decoding.scores`: of what lies behind a token that was not written only its first
    part is known, and labels that share it have equal parts of its probability.
    """
    out = dict.fromkeys(texts, 0.0) | {written: 1.0}
    if "".join(token.text for token in tokens) != texts[written]:
        return out
    left, share, place = {label for label in texts if label != written}, 1.0, 0
    for token in tokens:
        ahead = {label: texts[label][place:] for label in left}
        parted = {label for label in left if not ahead[label].startswith(token.text)}
        place += len(token.text)
        if not parted:
            continue
        left -= parted
        others = _alternatives(token, {label: ahead[label] for label in parted})
        whole = token.probability + sum(others.values())
        if not token.alternatives:  # only what was written is told
            others = dict.fromkeys(parted, (1 - token.probability) / len(parted))
            whole = 1.0
        out |= {label: share * mass / whole for label, mass in others.items()}
        share *= token.probability / whole
    return out | {written: share}


def _alternatives(token: Token, ahead: Mapping[str, str]) -> dict[str, float]:
    """What a token's alternatives give to each label; the text `ahead` is still to come."""
    found = dict.fromkeys(ahead, 0.0)
    for text, probability in token.alternatives.items():
        fitting = [label for label, rest in ahead.items() if text and rest.startswith(text)]
        for label in fitting if text != token.text else ():
            found[label] += probability / len(fitting)
    return found
