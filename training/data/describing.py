# SPDX-License-Identifier: Apache-2.0
"""Words that single out one person of a rendered scene, in RefCOCO's role.

A description joins at most two of: colour of the top, something worn, which side of the picture,
near or far, facing or turned away. It counts only when it fits exactly one person, and where
nothing is known of another that could fit as well, it is not used. A fifth of all pairs of traits
is never taught, so that it can be tested whether words are understood or sentences remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

import numpy as np

from .sample import Appearance, Expression, Head

PLURAL = {"glasses"}  # no article
BORDER = 0.04  # of the picture's width, around the borders of thirds
CLEARLY = 0.25  # difference of log heights
TURNED = 0.5  # cosine between the face's axis and the camera's
LEAST = 0.03  # of the picture's width: somebody of whom less is in the picture is not there
WITHHELD = 5  # one pair of traits in so many is never taught


@dataclass(frozen=True)
class Trait:
    """One thing to say, and for each person whether it is so (None: cannot be told)."""

    words: str
    fits: tuple[bool | None, ...]


def describe(heads: list[Head], width: float, withheld: bool = False) -> list[Expression]:
    """All descriptions of a scene that fit exactly one person, as expressions for the body's box.

    Those that may be taught, or those `withheld` from teaching, each of them a pair of traits.
    `width` of the picture in pixels. Heads without appearance or pose count as absent, and so do
    people whose head is out of the picture, or all but `LEAST` of its width of their body.
    """
    people = [head for head in heads if head.rotation is not None and _is_there(head, width)]
    traits = list(_traits(people, width))
    found: dict[int, list[str]] = {}
    for size in (1, 2):
        for chosen in combinations(traits, size):
            if is_withheld(chosen) != withheld:
                continue
            person = _only(chosen, len(people))
            if person is not None:
                found.setdefault(person, []).append(_sentence(chosen))
    return [
        Expression(tuple(sentences), _appearance(people[person]).body)
        for person, sentences in sorted(found.items())
    ]


def is_withheld(chosen: tuple[Trait, ...]) -> bool:
    """Whether a description is never taught: by a hash of the words of both its traits."""
    return len(chosen) == 2 and crc32(" ".join(t.words for t in chosen).encode()) % WITHHELD == 0


def _is_there(head: Head, width: float) -> bool:
    if head.appearance is None:
        return False
    box, body = head.box, head.appearance.body
    return bool((box[2:] > box[:2]).all() and (body[2:] - body[:2] >= LEAST * width).all())


def _appearance(head: Head) -> Appearance:
    assert head.appearance is not None
    return head.appearance


def _only(chosen: tuple[Trait, ...], count: int) -> int | None:
    """The one person whom all traits fit, if all others certainly do not fit."""
    verdicts = [
        False
        if any(trait.fits[i] is False for trait in chosen)
        else None
        if any(trait.fits[i] is None for trait in chosen)
        else True
        for i in range(count)
    ]
    if None in verdicts or sum(bool(v) for v in verdicts) != 1:
        return None
    return verdicts.index(True)


def _traits(people: list[Head], width: float) -> Iterator[Trait]:
    appearances = [_appearance(head) for head in people]
    for colour in sorted({one.top for one in appearances if one.top}):
        fits = tuple(None if one.top is None else one.top == colour for one in appearances)
        yield Trait(f"in the {colour} shirt", fits)
    for worn in sorted(frozenset().union(*(one.wears for one in appearances))):
        article = "" if worn in PLURAL else "a "
        yield Trait(f"with {article}{worn}", tuple(worn in one.wears for one in appearances))
    yield from _places(people, width)
    yield from _distances(people)
    yield from _turns(people)


def _places(people: list[Head], width: float) -> Iterator[Trait]:
    """Thirds of the picture; who stands near a border of thirds is left open."""
    middles = [(head.box[0] + head.box[2]) / 2 / width for head in people]
    for words, low, high in (
        ("on the left", -1.0, 1 / 3),
        ("in the middle", 1 / 3, 2 / 3),
        ("on the right", 2 / 3, 2.0),
    ):
        margins = [min(x - low, high - x) for x in middles]
        yield Trait(words, tuple(None if abs(m) < BORDER else bool(m > 0) for m in margins))


def _distances(people: list[Head]) -> Iterator[Trait]:
    """Nearest and farthest by the height of the head, where it clearly differs."""
    if len(people) < 2:
        return
    heights = np.log([head.box[3] - head.box[1] for head in people])
    for words, values in (
        ("nearest to the camera", heights),
        ("farthest away", -heights),
    ):
        order = np.argsort(values)
        if values[order[-1]] - values[order[-2]] > CLEARLY:
            yield Trait(words, tuple(bool(index == order[-1]) for index in range(len(people))))


def _turns(people: list[Head]) -> Iterator[Trait]:
    """Facing the camera or turned away; in between it cannot be told by these words."""
    # how far the face's axis points back along the camera's: 1 towards it, -1 away from it
    towards = [float(head.rotation[2, 2]) for head in people if head.rotation is not None]
    for words, sign in (("facing the camera", 1), ("turned away", -1)):
        shares = [sign * value for value in towards]
        fits = tuple(True if t > TURNED else None if t > 0 else False for t in shares)
        yield Trait(words, fits)


def _sentence(chosen: tuple[Trait, ...]) -> str:
    return " ".join(("the person", *(trait.words for trait in chosen)))
