# SPDX-License-Identifier: Apache-2.0
"""Questions in words that are answered from boxes and poses, so by any model; docs/queries.md."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hpe_vlm_ros.answers import grid_box
from hpe_vlm_ros.geometry import box_iou, gaze_rotation

from .distance import Source
from .gestures.events import Gesture
from .people import ROBOT, Person

QUESTIONS = (
    "How many people are there?",
    "How many people are looking at the robot?",
    "Who is looking at the robot?",
    "Where is <description>?",
    "Where is <description> looking?",
    "Which way is <description> facing?",
    "Did <description> nod?",
    "Did <description> shake the head?",
    "Did <description> turn the head?",
    "Did <description> tilt the head?",
    "Did <description> look up or down?",
    "What did <description> do with the head?",
)
DESCRIPTIONS = (
    "the person (if there is one only)",
    "the person on the left / on the right / in the middle",
    "the nearest / farthest person",
    "the person looking at the robot",
    "h0001 (an id)",
    "the person in [[x0,y0,x1,y1]] (a box on the grid 000 to 999)",
)
FACING = (
    "the front",
    "the image's left",
    "the image's right",
    "up",
    "down",
    "to an extreme side or away",
)
_ROBOT = r"(?:the )?(?:robot|camera|you|me|us)"
_LEAST_OVERLAP = 0.1  # IoU: boxes in questions are rough, but one beside a head is not about it


class Refused(ValueError):
    """A question that cannot be answered; the text says why and what can be asked."""


@dataclass(frozen=True)
class Reply:
    """A sentence, and the people it is about, from left to right."""

    text: str
    people: tuple[Person, ...]


def understands(question: str) -> bool:
    """Whether `answer` has an answer to questions like this one, about whatever image."""
    return _rule(question) is not None


def answer(question: str, people: Sequence[Person], size: tuple[int, int]) -> Reply:
    """The answer about an image of this width and height in which these people are.

    Raises:
        Refused: the question is none of QUESTIONS, or the description fits nobody or several.
    """
    rule = _rule(question)
    if rule is None:
        raise Refused(
            f"'{question}' cannot be answered; ask {' | '.join(QUESTIONS)} with <description> one "
            f"of: {'; '.join(DESCRIPTIONS)}"
        )
    how, words = rule
    return how(words, list(people), size)


def _rule(question: str) -> tuple[Callable[..., Reply], str] | None:
    text = re.sub(r"\s+", " ", question.strip().rstrip("?.! ").lower())
    for pattern, how in _RULES:
        if found := re.fullmatch(pattern, text):
            return how, "\n".join(found.groups())
    return None


def _count(_: str, people: list[Person], __: tuple[int, int]) -> Reply:
    return Reply(_sentence(len(people), "in the image"), tuple(people))


def _count_looking(_: str, people: list[Person], __: tuple[int, int]) -> Reply:
    looking = _looking(people)
    return Reply(_sentence(len(looking), "looking at the robot"), tuple(looking))


def _who(_: str, people: list[Person], size: tuple[int, int]) -> Reply:
    looking = _looking(people)
    if not looking:
        return Reply("Nobody is looking at the robot.", ())
    names = ", ".join(_name(person, size) for person in looking)
    return Reply(f"Looking at the robot: {names}.", tuple(looking))


def _where(words: str, people: list[Person], size: tuple[int, int]) -> Reply:
    person = _choose(words, people, size)
    parts = [f"{_name(person, size)} is {_side(person, size)}"]
    if person.position.source is not Source.NONE:
        parts.append(f"{np.linalg.norm(person.position.point):.1f} m away")
    return Reply(f"{', '.join(parts)}.", (person,))


def _where_looking(words: str, people: list[Person], size: tuple[int, int]) -> Reply:
    person = _choose(words, people, size)
    if not person.posed:
        raise Refused(f"the pose of {_name(person, size)} is unknown: ask about another image")
    gaze = person.gazes.get(ROBOT)
    if gaze is not None and gaze.looking:
        return Reply(f"{_name(person, size)} is looking at the robot.", (person,))
    return Reply(f"{_name(person, size)} is looking {direction(person)}.", (person,))


def _which_way(words: str, people: list[Person], size: tuple[int, int]) -> Reply:
    person = _choose(words, people, size)
    if person.facing is None:
        raise Refused(f"the pose of {_name(person, size)} is unknown: ask about another image")
    best = int(person.facing.argmax())
    sure = f"with probability {person.facing[best]:.2f}"
    return Reply(f"{_name(person, size)} faces {FACING[best]}, {sure}.", (person,))


def _did(words: str, people: list[Person], size: tuple[int, int]) -> Reply:
    """words: who and what, separated by a line break."""
    who, what = words.split("\n")
    person = _with_gestures(who, people, size)
    kind = next(name for name, pattern in GESTURES.items() if re.fullmatch(pattern, what))
    done = [gesture for gesture in person.gestures if gesture.name == kind]
    if not done:
        return Reply(f"No, {_name(person, size)} did not in the last seconds.", (person,))
    return Reply(f"Yes, {_name(person, size)} did: {_in_words(done)}.", (person,))


def _what_did(words: str, people: list[Person], size: tuple[int, int]) -> Reply:
    person = _with_gestures(words, people, size)
    summary = _in_words(person.gestures) or "no gesture in the last seconds"
    return Reply(f"{_name(person, size)}: {summary}.", (person,))


def _with_gestures(words: str, people: list[Person], size: tuple[int, int]) -> Person:
    person = _choose(words, people, size)
    if person.gestures or person.gestures_known:
        return person
    raise Refused(
        f"the gestures of {_name(person, size)} are unknown: set the parameter gestures, ask about "
        "the newest image, and wait until the head has been seen for 2 s"
    )


def _in_words(gestures: Sequence[Gesture]) -> str:
    """Gestures in words, in order."""
    parts = []
    for gesture in gestures:
        size = f"{gesture.amplitude:.0f} degrees"
        lasting = (gesture.end - gesture.start) / 1e9
        state = f"{lasting:.1f} s" if gesture.ended else "going on"
        parts.append(f"{gesture.name.replace('updown', 'up or down')} ({size}, {state})")
    return ", ".join(parts)


def direction(person: Person) -> str:
    """Where a gaze goes, in words: across the image and to or from the camera."""
    x, y, z = gaze_rotation(person.rotation)[:, 2]
    words = []
    if abs(x) > math.sin(math.radians(20)):
        words.append(f"to the image's {'right' if x > 0 else 'left'}")
    if abs(y) > math.sin(math.radians(20)):
        words.append("down" if y > 0 else "up")
    if abs(z) > math.sin(math.radians(30)) or not words:
        words.append("away from the camera" if z > 0 else "towards the camera's side")
    return " and ".join(words)


def _choose(words: str, people: list[Person], size: tuple[int, int]) -> Person:
    """The one person whom a description means."""
    if not people:
        raise Refused("nobody is in the image")
    if box := re.search(r"\[\[(\d+), ?(\d+), ?(\d+), ?(\d+)\]\]", words):
        return _in_box(tuple(int(v) for v in box.groups()), people, size)
    if found := re.fullmatch(r"(?:the )?(?:person |head )?((?:\w+_)?h\d+)", words):
        given = found.group(1)  # in small letters; without the prefix if there is one
        ids = [(person, person.head.id.lower()) for person in people]
        named = [p for p, known in ids if known == given or known.endswith(f"_{given}")]
        return _single(named, words, people)
    for pattern, pick in _PICKS:
        if re.fullmatch(rf"(?:the )?{pattern}", words):
            return pick(people, size)
    onlooker = rf"(?:the )?(?:person|one|man|woman|user) (?:who is )?looking at {_ROBOT}"
    if re.fullmatch(onlooker, words):
        return _single(_looking(people), words, people)
    if re.fullmatch(r"(?:the )?(?:person|user|man|woman|head)", words):
        return _single(people, words, people)
    raise Refused(f"'{words}' is not understood; describe a head as: {'; '.join(DESCRIPTIONS)}")


def _in_box(box: tuple[int, ...], people: list[Person], size: tuple[int, int]) -> Person:
    boxes = [grid_box(person.box, *size) for person in people]
    overlap = box_iou([box], boxes)[0]
    best = int(overlap.argmax())
    if overlap[best] < _LEAST_OVERLAP:
        raise Refused(f"no head is in {list(box)}; there are heads in {[list(b) for b in boxes]}")
    return people[best]


def _single(found: list[Person], words: str, people: list[Person]) -> Person:
    if len(found) == 1:
        return found[0]
    how_many = "nobody is" if not found else f"{len(found)} people are"
    raise Refused(f"{how_many} '{words}', of {len(people)} in the image; say which one")


def _middle(person: Person) -> float:
    return (person.box[0] + person.box[2]) / 2


def _height(person: Person) -> float:
    return person.box[3] - person.box[1]


def _distance(person: Person) -> float:
    """Metres, or where that is unknown a number that grows as the head gets smaller."""
    if person.position.source is Source.NONE:
        return 1 / _height(person)
    return float(np.linalg.norm(person.position.point))


_ONE = r"(?:person|one|user|man|woman|head)"
_PICKS: tuple[tuple[str, Callable[[list[Person], tuple[int, int]], Person]], ...] = (
    (rf"(?:{_ONE} (?:on|at|to) the (?:far )?left|leftmost {_ONE}|left {_ONE})",
     lambda people, size: min(people, key=_middle)),
    (rf"(?:{_ONE} (?:on|at|to) the (?:far )?right|rightmost {_ONE}|right {_ONE})",
     lambda people, size: max(people, key=_middle)),
    (rf"(?:{_ONE} in the (?:middle|centre|center))",
     lambda people, size: min(people, key=lambda p: abs(_middle(p) - size[0] / 2))),
    (rf"(?:nearest|closest|largest) {_ONE}", lambda people, size: min(people, key=_distance)),
    (rf"(?:farthest|furthest|smallest) {_ONE}", lambda people, size: max(people, key=_distance)),
)  # fmt: skip
_HEAD = r"(?: (?:the|his|her|their) head)?"
GESTURES = {
    "nod": rf"nod{_HEAD}",
    "shake": rf"shake{_HEAD}",
    "turn": rf"turn{_HEAD}",
    "tilt": rf"tilt{_HEAD}",
    "updown": r"look (?:up|down|up or down)",
}
_ACTS = "|".join(GESTURES.values())
_PEOPLE = r"(?:people|persons|heads|humans)"
# The first that fits is taken: "where is X looking" must come before "where is X".
_RULES: tuple[tuple[str, Callable[..., Reply]], ...] = (
    (rf"how many {_PEOPLE}(?: are)? look(?:ing)? at {_ROBOT}", _count_looking),
    (rf"how many {_PEOPLE}(?: (?:are there|can you see|do you see|are (?:there )?in .+))?", _count),
    (rf"who (?:is|are) looking at {_ROBOT}", _who),
    (r"where (?:is|does) (.+?) look(?:ing)?(?: at)?", _where_looking),
    (r"which way (?:is|does) (.+?) (?:facing|face)", _which_way),
    (rf"did (.+?) ({_ACTS})", _did),
    (r"what did (.+?) do(?: with (?:the|his|her|their) head)?", _what_did),
    (r"where is (.+)", _where),
)


def _looking(people: Sequence[Person]) -> list[Person]:
    return [p for p in people if (gaze := p.gazes.get(ROBOT)) is not None and gaze.looking]


def _name(person: Person, size: tuple[int, int]) -> str:
    box = ",".join(f"{v:03d}" for v in grid_box(person.box, *size))
    return person.head.id or f"The person in [[{box}]]"


def _side(person: Person, size: tuple[int, int]) -> str:
    third = int(3 * _middle(person) / size[0])
    return ("on the left", "in the middle", "on the right")[min(2, max(0, third))]


def _sentence(count: int, where: str) -> str:
    if count == 0:
        return f"Nobody is {where}."
    return f"One person is {where}." if count == 1 else f"{count} people are {where}."
