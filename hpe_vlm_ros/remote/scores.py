# SPDX-License-Identifier: Apache-2.0
"""How sure a server's model is of each box, as far as it tells the probabilities of its tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

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
