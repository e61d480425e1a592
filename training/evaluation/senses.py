# SPDX-License-Identifier: Apache-2.0
"""How well a model tells gestures, the way heads face, keypoints of bodies and what people do.

    python -m training.evaluation.senses [--model DIR] [--rule true] [--cache DIR] [--people DIR]

Gestures: rendered films of people who nod, shake, turn, tilt and look up or down
(training/testsets/gestures), and for false ones the walks, where nobody means anything; the model
sees every picture, heads are tracked as the node does. Facing: heads of the rendered scenes, their
boxes given, each class weighing the same. Keypoints: bodies of people of DIR, their true boxes
given, beside the mean place of each keypoint in such a box. Acts, and yes or no about them: people
of DIR, their true keypoints given. DIR are rendered scenes whose labels have keypoints, which the
package's own lack; of people whom no model was taught:

    python -m training.synthetic.render DIR --scenes 200 --seed 2031 --split test

Prints tables and, as the last line, one JSON object; abilities that the model has not learnt, and
those that the labels tell nothing about, are null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray

from hpe_vlm_ros.facing import facing_of, facing_probabilities
from hpe_vlm_ros.geometry import box_iou
from hpe_vlm_ros.heads import HeadEstimate
from hpe_vlm_ros.people.gestures.asking import judge_of
from hpe_vlm_ros.people.gestures.events import AXES, SWINGS, Gesture
from hpe_vlm_ros.people.gestures.reader import GestureReader, Judge, Rule
from hpe_vlm_ros.people.gestures.window import LAG, PoseWindow
from hpe_vlm_ros.people.people import People, View
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.pictures import read_picture
from hpe_vlm_ros.tasks import act, facing, keypoints, yes_no
from hpe_vlm_ros.tasks.gesture import LABELS

from ..data.labels import read_labels
from ..data.sample import Sample
from ..testsets import FILMS, PANOPTIC, SCENES, WALKS
from . import act_measures, point_measures
from . import gesture_measures as measures
from .gesture_measures import KINDS, Event, FilmedPerson

KEYS = (
    "gesture_frame_f1", "gesture_event_f1", "gesture_false_per_minute", "facing_f1", "pck01",
    "oks_ap", "unseen_pck02", "shuffled_drop", "act_f1", "yesno",
)  # fmt: skip
MEANT = 6.0  # degrees from which a nod or shake is plain
STEP = {"turn": 12.0, "tilt": 7.0, "updown": 8.0}  # degrees of true motion that excuse the word
SAME, VISIBLE = 0.35, 0.5
MOST_BODIES = 400
SIDE, LEAST_SIZE, MOST_HEADS = 320, 24.0, 60  # of facing: pixels, pixels, heads of each class
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """time: seconds. heads: of the label. size: width and height."""

    time: float
    heads: list[dict[str, Any]]
    found: list[HeadEstimate]
    size: tuple[int, int]


def film_pictures(film: Path) -> Iterator[tuple[Picture, dict[str, Any]]]:
    """RGB pictures and labels; ValueError if the film ends before its labels do."""
    video = cv2.VideoCapture(str(film))
    try:
        for line in film.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines():
            good, picture = video.read()
            if not good:
                raise ValueError(f"{film} ends before its labels do: copy it again")
            yield np.asarray(picture[..., ::-1], np.uint8).copy(), json.loads(line)
    finally:
        video.release()


def walk_pictures(labels: Path) -> Iterator[tuple[Picture, dict[str, Any]]]:
    """The same of a walk."""
    for line in labels.read_text(encoding="utf-8").splitlines():
        label = json.loads(line)
        yield read_picture(labels.parent / label["image"]), label


def frames(
    pictures: Iterator[tuple[Picture, dict[str, Any]]],
    perceiver: HeadPerceiver,
    cache: Path | None,
) -> list[Frame]:
    """What the model says of a film; `cache`: a file in which that is kept."""
    kept = json.loads(cache.read_text(encoding="utf-8")) if cache and cache.exists() else None
    out, answers = [], []
    for index, (picture, label) in enumerate(pictures):
        if kept is None:
            found = list(perceiver(picture))
            answers.append([_numbers(head) for head in found])
        else:
            found = [_estimate(values) for values in kept[index]]
        size = picture.shape[1], picture.shape[0]
        out.append(Frame(label["time"], label["heads"], found, size))
    if cache and kept is None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(answers), encoding="utf-8")
    return out


def _numbers(head: HeadEstimate) -> list[Any]:
    covariance = head.rotation_covariance
    spread = None if covariance is None else covariance.tolist()
    return [head.box, head.yaw, head.pitch, head.roll, head.rotation.tolist(), head.score, spread]


def _estimate(values: Sequence[Any]) -> HeadEstimate:
    box, yaw, pitch, roll, rotation, score, spread = values
    covariance = None if spread is None else np.array(spread)
    return HeadEstimate(tuple(box), yaw, pitch, roll, np.array(rotation), score, covariance)


def watch(film: Sequence[Frame], judge: Judge) -> list[FilmedPerson]:
    """Everybody in a film, as the node would tell of them."""
    people = People()
    people.gestures = GestureReader(judge)
    events: list[tuple[Gesture, float]] = []
    began: dict[tuple[str, int], float] = {}
    tracks: dict[str, list[tuple[float, str, bool]]] = {}  # by true person: time, id, whether known
    for frame in film:
        stamp = round(frame.time * 1e9) + 10**9
        persons = people.see(stamp, frame.found, View(frame.size))
        for gesture in people.new_gestures:
            began.setdefault((gesture.id, gesture.start), frame.time)
            if gesture.ended:
                events.append((gesture, began[gesture.id, gesture.start]))
        if not persons or not frame.heads:
            continue
        overlap = box_iou([p.box for p in persons], [h["box"] for h in frame.heads])
        for column, head in enumerate(frame.heads):
            best = int(overlap[:, column].argmax())
            if overlap[best, column] > SAME and persons[best].head.id:
                known = people.gestures.known(persons[best].head.id)
                moment = (frame.time, persons[best].head.id, known)
                tracks.setdefault(head["person"], []).append(moment)
    events += [(g, began.get((g.id, g.start), film[-1].time)) for g in people.gestures.forget()]
    return [_filmed(person, film, moments, events) for person, moments in tracks.items()]


def _filmed(
    person: str,
    film: Sequence[Frame],
    moments: list[tuple[float, str, bool]],
    events: Sequence[tuple[Gesture, float]],
) -> FilmedPerson:
    track = [(f.time, h) for f in film for h in f.heads if h["person"] == person]
    known = [(time, id) for time, id, answered in moments if answered]
    first = min((time for time, _ in known), default=np.inf) - LAG
    last = max((time for time, _ in known), default=-np.inf) - LAG
    ids = {id for _, id in known}
    mine = [
        Event(g.name, g.start / 1e9 - 1, g.end / 1e9 - 1, g.amplitude, when)
        for g, when in events
        if g.id in ids
    ]
    true = [e for e in true_events(track) if e.end > first + 0.2 and e.start < last - 0.2]
    judged = [(time, head) for time, head in track if first <= time <= last]
    times = np.array([time for time, _ in judged])
    labels = [LABELS.index(head.get("gesture", "none")) for _, head in judged]
    answered = [
        next((LABELS.index(e.name) for e in mine if e.start <= t <= e.end), 0) for t in times
    ]
    excused = [excusable(event, track) for event in mine]
    return FilmedPerson(true, mine, times, np.array(labels, int), np.array(answered, int), excused)


def true_events(track: Sequence[tuple[float, dict[str, Any]]]) -> list[Event]:
    """Runs of one gesture in a person's labels, with their true amplitudes."""
    out: list[Event] = []
    for index, (time, head) in enumerate(track):
        name = head.get("gesture", "none")
        before = track[index - 1][1].get("gesture", "none") if index else "none"
        if name == "none":
            continue
        if name == before and out:
            out[-1] = Event(name, out[-1].start, time)
        else:
            out.append(Event(name, time, time))
    return [
        Event(e.name, e.start, e.end + 0.1, _amplitude(e.name, track, e.start - 0.1, e.end + 0.1))
        for e in out
    ]


def _amplitude(
    name: str, track: Sequence[tuple[float, dict[str, Any]]], start: float, end: float
) -> float:
    """Degrees that the true head moved about the gesture's axis; half of it for a swing."""
    window = PoseWindow()
    box = (0.0, 0.0, 1.0, 1.0)
    for time, head in track:
        if end - 1.95 <= time <= end + 1e-6:
            window.add(round(time * 1e9) + 10**9, np.array(head["rotation"]), box)
    samples = window.samples(4.0)
    if samples is None:
        return 0.0
    recent = samples[-max(round((end - start) * 10), 2) :, AXES[name]]
    return float(np.ptp(recent)) / (2 if name in SWINGS else 1)


def excusable(event: Event, track: Sequence[tuple[float, dict[str, Any]]]) -> bool:
    """Whether a true head did turn, tilt or look up or down at a predicted event, meant or not."""
    if event.name not in STEP:
        return False
    return _amplitude(event.name, track, event.start - 0.5, event.end + 0.4) >= STEP[event.name]


def facing_rows(perceiver: HeadPerceiver, most: int) -> NDArray[np.int64]:
    """Confusion (6, 6) of true and derived classes of rendered heads, up to `most` of a class."""
    chosen: dict[Path, list[tuple[list[float], int]]] = {}
    left = np.full(len(facing.LABELS), most)
    for place in (SCENES, PANOPTIC):
        for line in (place / "labels.jsonl").read_text(encoding="utf-8").splitlines():
            label = json.loads(line)
            scale = SIDE / np.array([label["width"], label["height"]])
            for head in label["heads"]:
                sides = (np.array(head["box"][2:]) - head["box"][:2]) * scale
                true = int(facing_of([head["rotation"]])[0])
                large = float(np.sqrt(sides.prod())) >= LEAST_SIZE
                if large and head["visible"] >= VISIBLE and left[true]:
                    left[true] -= 1
                    chosen.setdefault(place / label["image"], []).append((head["box"], true))
    confusion = np.zeros((6, 6), int)
    for path, heads in chosen.items():
        poses = perceiver.poses(read_picture(path), [tuple(box) for box, _ in heads])
        for (_, true), one in zip(heads, poses, strict=True):
            spread = one.rotation_covariance
            known = np.zeros((3, 3)) if spread is None else spread
            confusion[true, int(facing_probabilities(one.rotation, known).argmax())] += 1
    return confusion


def balanced_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of each class where all classes weigh the same."""
    rows = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    right = rows.diagonal()
    return np.asarray(2 * right / np.maximum(rows.sum(0) + rows.sum(1), 1e-9))


def points(
    perceiver: HeadPerceiver, samples: Sequence[Sample], most: int
) -> dict[str, float | None]:
    """Prints the table of keypoints; numbers if the model has learnt them."""
    learnt = perceiver.has_learnt(keypoints.TASK)
    groups = point_measures.groups_of(samples, most) if learnt else []
    if not groups:
        print(f"keypoints: {'no labels of them, see --people' if learnt else 'not learnt'}")
        return {}
    found = {
        "model": point_measures.ask(perceiver, groups),
        "mean place": point_measures.mean_places(groups),
    }
    rows = {name: point_measures.scores(groups, answers) for name, answers in found.items()}
    count = sum(len(group.true) for group in groups)
    print(f"keypoints of {count} bodies of {point_measures.LEAST_BODY:.0f} pixels and more")
    print(" " * 12 + "".join(f"{name:>9}" for name in rows["model"]))
    for name, numbers in rows.items():
        print(f"{name:<12}" + "".join(f"{number:>9.3f}" for number in numbers.values()))
    return {"pck01": rows["model"]["PCK@.1"], "oks_ap": rows["model"]["AP"]}


def acts(perceiver: HeadPerceiver, samples: Sequence[Sample], most: int) -> dict[str, float | None]:
    """Prints the table of acts; numbers of what the model has learnt."""
    signals = {task.name: perceiver.signals(task) for task in (act.TASK, yes_no.TASK)}
    unknown = [name for name, one in signals.items() if one is None]
    people = [] if len(unknown) == 2 else act_measures.bodies_of(samples, most)
    if unknown or not people:
        why = f"not learnt: {', '.join(unknown)}" if unknown else "no labels, see --people"
        print(f"acts of {len(people)} people; {why}")
    numbers: dict[str, float | None] = {}
    if people and (asked := signals[act.TASK.name]) is not None:
        scores = act_measures.act_scores(asked, people)
        for word, score in scores.items():
            print(f"{word:<18}{score:>8.3f}")
        numbers["act_f1"] = float(np.mean(list(scores.values())))
    if people and (asked := signals[yes_no.TASK.name]) is not None:
        numbers["yesno"], count = act_measures.yes_no_accuracy(asked, people)
        print(f"yes or no: {numbers['yesno']:.3f} right of {count}, both answers weighing the same")
    return numbers


def gestures(
    perceiver: HeadPerceiver, judge: Judge, cache: Path | None
) -> tuple[list[FilmedPerson], list[FilmedPerson]]:
    """Everybody in the films, and in the walks."""
    films, walks = [], []
    for film in sorted(FILMS.glob("*.mp4")):
        kept = None if cache is None else cache / f"{film.stem}.json"
        films += watch(frames(film_pictures(film), perceiver, kept), judge)
    for labels in sorted(WALKS.glob("labels_*.jsonl")):
        kept = None if cache is None else cache / f"walk_{labels.stem}.json"
        walks += watch(frames(walk_pictures(labels), perceiver, kept), judge)
    return films, walks


def tables(films: list[FilmedPerson], walks: list[FilmedPerson]) -> dict[str, float]:
    """Prints the gestures' tables; their numbers."""
    print(f"{'gesture':<10}{'events':>8}{'event F1':>10}{'from 6 deg':>12}{'frame F1':>10}")
    for kind in KINDS:
        count = sum(e.name == kind for one in films for e in one.true_events)
        plain = measures.event_f1(films, kind, MEANT) if kind in SWINGS else float("nan")
        print(
            f"{kind:<10}{count:>8}{measures.event_f1(films, kind):>10.3f}{plain:>12.3f}"
            f"{measures.frame_f1(films, kind):>10.3f}"
        )
    waits = measures.delays(films)
    numbers = {
        "gesture_frame_f1": measures.mean_f1(measures.frame_f1(films, k) for k in KINDS),
        "gesture_event_f1": measures.mean_f1(measures.event_f1(films, k) for k in KINDS),
        "gesture_false_per_minute": measures.false_per_minute(walks),
    }
    print(f"mean over gestures: events {numbers['gesture_event_f1']:.3f}, ", end="")
    print(f"frames {numbers['gesture_frame_f1']:.3f}")
    strict = measures.false_per_minute(walks, excuse=False)
    print(
        f"false events in a person-minute of the walks: {numbers['gesture_false_per_minute']:.2f}, "
        f"{strict:.2f} if heads that turn on their way count as still"
    )
    if waits:
        print(f"delay of the report: {np.median(waits):.2f} s (median of {len(waits)})")
    return numbers


def main(
    model: Path | None = None,
    rule: bool = False,
    cache: Path | None = None,
    threads: int | None = None,
    heads: int = MOST_HEADS,
    bodies: int = MOST_BODIES,
    people: Path = SCENES,
) -> None:
    """Prints tables and a JSON line.

    Args:
        model: model folder; default: the one in the package.
        rule: judge gestures by the rule instead of by the model's experts.
        cache: folder that keeps the model's answers about films, for another judge of them.
        threads: of the model's arithmetic.
        heads: most heads of each class of facing; 0: facing is left out.
        bodies: most people whose keypoints and acts are asked for; 0: both are left out.
        people: folder of labelled pictures in which they are.
    """
    perceiver = HeadPerceiver.load(model, threads=threads)
    judge = Rule() if rule else judge_of(perceiver)
    print(f"model {perceiver.model_id}, gestures told by {judge.name}")
    numbers: dict[str, float | None] = dict.fromkeys(KEYS)
    numbers |= tables(*gestures(perceiver, judge, cache))
    if heads:
        confusion = facing_rows(perceiver, heads)
        scores = balanced_f1(confusion)
        print("facing    " + "".join(f"{name:>9}" for name in facing.LABELS))
        print("heads     " + "".join(f"{count:>9}" for count in confusion.sum(1)))
        print("F1        " + "".join(f"{score:>9.3f}" for score in scores))
        numbers["facing_f1"] = float(scores.mean())
    if bodies:
        labelled = read_labels(people)
        numbers |= points(perceiver, labelled, bodies) | acts(perceiver, labelled, bodies)
    missing = ", ".join(key for key in KEYS if numbers[key] is None)
    print(f"not learnt or not measured: {missing}")
    print(json.dumps({k: None if v is None else round(v, 4) for k, v in numbers.items()}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
