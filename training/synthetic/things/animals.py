# SPDX-License-Identifier: Apache-2.0
"""Four-legged animal, bird, fish, spider and a face; left and right are their own."""

from __future__ import annotations

import numpy as np

from .shape import ENDS, SIDES, Assembly, Category, arc, descriptions


def four_legged(rng: np.random.Generator) -> Assembly:
    """From a dachshund's proportions to a giraffe's."""
    thing = Assembly()
    long, thick = rng.uniform(0.3, 0.5), rng.uniform(0.12, 0.19)
    leg, neck = rng.uniform(0.3, 0.75), rng.uniform(0.2, 0.6)
    slim = rng.uniform(0.035, 0.055)
    hips = leg + thick * 0.6
    thing.ball("fur", (0, 0, hips), (thick, long + 0.06, thick * 1.1))
    rise = np.radians(rng.uniform(25, 75))
    root = np.array([0, -long * 0.8, hips + thick * 0.35])
    top = root + neck * np.array([0, -np.cos(rise), np.sin(rise)])
    thing.rod("fur", root, top, thick * 0.6, thick * 0.42)
    head = rng.uniform(0.11, 0.15)
    thing.ball("fur", top, (head * 0.75, head, head * 0.8))
    snout = top + head * np.array([0, -rng.uniform(1.2, 1.9), -0.45])
    thing.rod("fur", top, snout, head * 0.6, head * 0.38)
    thing.ball("dark", snout + (0, -0.015, head * 0.15), (head * 0.25, head * 0.2, head * 0.2))
    thing.mark("nose", *(snout + (0, -head * 0.2, head * 0.15)))
    thing.mark("neck base", *(root + (0, 0, thick * 0.5)))
    ear, floppy = rng.uniform(0.08, 0.16), rng.uniform(-0.4, 1.0)
    tail = rng.uniform(0.2, 0.45)
    hang = np.radians(rng.uniform(-70, 50))
    start = np.array([0, long * 0.98, hips + thick * 0.45])
    end = start + tail * np.array([0, np.cos(hang), np.sin(hang)])
    thing.rod("fur", start, end, 0.035, 0.018)
    thing.mark("tail base", *start)
    thing.mark("tail tip", *end)
    for side, sign in SIDES:
        eye = top + head * np.array([sign * 0.52, -0.72, 0.3])
        thing.ball("dark", eye, (head * 0.15,) * 3)
        thing.mark(f"{side} eye", *(eye - (0, head * 0.1, 0)))
        base = top + head * np.array([sign * 0.5, 0.1, 0.6])
        tip = base + ear * np.array([sign * 0.6, 0.1, floppy])
        thing.rod("fur", base, tip, head * 0.3, head * 0.08)
        thing.mark(f"{side} ear tip", *tip)
        for name, y in ENDS:
            step = rng.uniform(-0.12, 0.12)
            hip = np.array([sign * thick * 0.62, y * long * 0.75, hips - thick * 0.2])
            knee = np.array(
                [sign * thick * 0.66, y * long * 0.75 - step * 0.5 + y * 0.04, leg * 0.5]
            )
            foot = np.array([sign * thick * 0.66, y * long * 0.75 - step, 0.03])
            thing.rod("fur", hip, knee, slim * 1.5, slim)
            thing.ball("fur", knee, (slim,) * 3)
            thing.rod("fur", knee, foot, slim, slim * 0.7)
            thing.ball("dark", foot - (0, 0.02, 0), (slim, slim * 1.4, 0.035))
            thing.mark(f"{name} {side} foot", *(foot - (0, 0.03, 0)))
            thing.mark(f"{name} {side} knee", *knee)
    return thing


def bird(rng: np.random.Generator) -> Assembly:
    """Standing, its wings spread or folded."""
    thing = Assembly()
    long, thick = rng.uniform(0.11, 0.16), rng.uniform(0.06, 0.085)
    leg, head = rng.uniform(0.06, 0.16), rng.uniform(0.04, 0.055)
    body = np.array([0, 0, leg + thick])
    thing.ball("one", body, (thick, long, thick))
    top = body + (0, -long * 0.85, thick + rng.uniform(0.03, 0.1))
    thing.rod("one", body + (0, -long * 0.6, thick * 0.3), top, head * 1.05, head * 0.8)
    thing.ball("one", top, (head,) * 3)
    beak = rng.uniform(0.035, 0.1)
    tip = top + (0, -head - beak, -0.01)
    thing.rod("beak", top + (0, -head * 0.7, 0), tip, head * 0.35, 0.003)
    thing.mark("beak tip", *tip)
    thing.mark("crown", *(top + (0, 0, head)))
    thing.mark("breast", *(body + (0, -long * 0.95, 0)))
    tail = body + (0, long + rng.uniform(0.06, 0.16), rng.uniform(-0.02, 0.05))
    fan = [(-0.02, long * 0.7), (-0.05, tail[1]), (0.05, tail[1]), (0.02, long * 0.7)]
    thing.slab("two", 2, fan, tail[2] - 0.006, tail[2] + 0.006)
    thing.mark("tail tip", *tail)
    spread = rng.random() < 0.5
    for side, sign in SIDES:
        eye = top + head * np.array([sign * 0.72, -0.6, 0.25])
        thing.ball("dark", eye, (head * 0.2,) * 3)
        thing.mark(f"{side} eye", *(eye + (sign * head * 0.15, 0, 0)))
        shoulder = body + (sign * thick * 0.85, -long * 0.45, thick * 0.45)
        if spread:
            wing = shoulder + (
                sign * rng.uniform(0.22, 0.35),
                rng.uniform(0.0, 0.1),
                rng.uniform(0.0, 0.15),
            )
        else:
            wing = shoulder + (sign * 0.02, long * 1.4, -thick * rng.uniform(0.1, 0.4))
        _feather(thing, shoulder, wing, 0.11 if spread else 0.07, spread)
        thing.mark(f"{side} wing tip", *wing)
        thing.mark(f"{side} wing root", *shoulder)
        foot = np.array([sign * thick * 0.5, -0.01, 0.005])
        thing.rod("beak", foot + (0, 0.01, 0), foot + (0, 0.01, leg + 0.02), 0.006)
        for toe in (-0.02, 0, 0.02):
            thing.rod("beak", foot + (0, 0.01, 0), foot + (toe, -0.035, 0), 0.005)
        thing.mark(f"{side} foot", *foot)
    return thing


def _feather(thing: Assembly, root: np.ndarray, tip: np.ndarray, wide: float, spread: bool) -> None:
    """A wing: a plate behind the line from root to tip where spread, else below it."""
    way = np.array([0, 1.0, -0.1]) if spread else np.array([0, 0.15, -1.0])
    far = root + (tip - root) * 0.85
    points = np.array([root, tip, far + way * wide * 0.6, root + way * wide], np.float32)
    shape = points, points[:, :2].copy() * 4, np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    thing.put("two", shape, (0, 0, 0))


def fish(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    long, high = rng.uniform(0.12, 0.2), rng.uniform(0.05, 0.1)
    thick = high * rng.uniform(0.35, 0.6)
    thing.ball("one", (0, 0, 0), (thick, long, high))
    stalk = np.array([0, long * 0.93, 0])
    fan, reach = rng.uniform(0.05, 0.1), rng.uniform(0.06, 0.1)
    fork = reach * rng.uniform(0.1, 0.7)
    end = long + reach
    for sign in (-1.0, 1.0):
        outline = [(stalk[1], 0), (stalk[1], sign * 0.015), (end, sign * fan), (long + fork, 0)]
        thing.slab("two", 0, outline, -0.004, 0.004)
    thing.mark("upper tail tip", 0, end, fan)
    thing.mark("lower tail tip", 0, end, -fan)
    thing.mark("tail base", *stalk)
    thing.mark("mouth", 0, -long, 0)
    rise, at = rng.uniform(0.03, 0.06), rng.uniform(-0.2, 0.2) * long
    back = [(at - 0.05, high * 0.8), (at + 0.02, high + rise), (at + 0.07, high * 0.7)]
    thing.slab("two", 0, back, -0.004, 0.004)
    thing.mark("tip of the back fin", 0, at + 0.02, high + rise)
    low = at + rng.uniform(-0.02, 0.04)
    end = -high - rise * 0.7
    belly = [(low - 0.03, -high * 0.8), (low + 0.03, end), (low + 0.05, -high * 0.75)]
    thing.slab("two", 0, belly, -0.004, 0.004)
    thing.mark("tip of the belly fin", 0, low + 0.03, end)
    for side, sign in SIDES:
        eye = np.array([sign * thick * 0.68, -long * 0.68, high * 0.22])
        thing.ball("white", eye, (0.008, 0.016, 0.016))
        thing.ball("dark", eye + (sign * 0.005, 0, 0), (0.006, 0.009, 0.009))
        thing.mark(f"{side} eye", *(eye + (sign * 0.01, 0, 0)))
        root = np.array([sign * thick * 0.95, -long * 0.3, -high * 0.15])
        tip = root + (sign * rng.uniform(0.02, 0.05), rng.uniform(0.05, 0.08), -0.03)
        points = np.array([root, root + (0, 0.02, -0.03), tip], np.float32)
        flat = points, points[:, 1:] * 5, np.array([[0, 1, 2]], np.int32)
        thing.put("two", flat, (0, 0, 0))
        thing.mark(f"tip of the {side} side fin", *tip)
    return thing


def spider(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    chest, belly = rng.uniform(0.02, 0.03), rng.uniform(0.03, 0.055)
    height, reach = rng.uniform(0.03, 0.06), rng.uniform(0.1, 0.16)
    thick = rng.uniform(0.003, 0.007)
    thing.ball("one", (0, 0, height), (chest, chest * 1.2, chest * 0.8))
    middle = chest * 1.0 + belly
    thing.ball("two", (0, middle, height + 0.01), (belly * 0.85, belly, belly * 0.75))
    for sign in (-1.0, 1.0):
        thing.ball("dark", (sign * chest * 0.4, -chest * 1.05, height + chest * 0.4), (0.005,) * 3)
    thing.mark("head", 0, -chest * 1.2, height)
    thing.mark("waist", 0, chest * 1.05, height + 0.01)
    thing.mark("rear end of the belly", 0, middle + belly, height + 0.01)
    for side, sign in SIDES:
        for number, name in enumerate(("first", "second", "third", "fourth")):
            angle = np.radians((-55, -18, 20, 58)[number] + rng.normal(0, 6))
            out = np.array([sign * np.cos(angle), np.sin(angle), 0])
            far = reach * rng.uniform(0.85, 1.15)
            root = np.array([0, 0, height]) + out * chest * 0.8
            knee = root + out * far * 0.45 + (0, 0, rng.uniform(0.03, 0.06))
            tip = root + out * far
            tip[2] = 0
            thing.bow("one", [root, knee, tip], thick)
            thing.mark(f"tip of the {name} {side} leg", *tip)
    return thing


def face(rng: np.random.Generator) -> Assembly:
    """A head that looks towards -y."""
    thing = Assembly()
    wide, high, deep = rng.uniform(0.068, 0.08), rng.uniform(0.105, 0.125), 0.095
    thing.ball("skin", (0, 0, 0), (wide, deep, high))
    jaw = rng.uniform(0.75, 1.0)
    thing.ball("skin", (0, -0.028, -high * 0.6), (wide * 0.7 * jaw, deep * 0.62, high * 0.45))
    thing.rod("skin", (0, 0.02, -high * 0.6), (0, 0.03, -high * 1.6), 0.05)
    hair = rng.random()
    thing.ball("hair", (0, 0.022, high * 0.12), (wide * 1.08, deep * 1.0, high * 0.97))
    if hair < 0.4:
        thing.ball("hair", (0, 0.05, -high * 0.5), (wide * 1.1, deep * 0.6, high * 0.8))

    def skin_y(x: float, z: float) -> float:
        """Where the face is at (x, z)."""
        return -deep * float(np.sqrt(max(1 - (x / wide) ** 2 - (z / high) ** 2, 0.05)))

    eye_z, apart, half = high * rng.uniform(0.02, 0.12), wide * rng.uniform(0.4, 0.46), 0.0145
    for side, sign in SIDES:
        x = sign * apart
        y = skin_y(x, eye_z)
        thing.ball("white", (x, y + 0.003, eye_z), (half, 0.008, rng.uniform(0.006, 0.008)))
        thing.ball("dark", (x, y - 0.003, eye_z), (0.006, 0.004, 0.006))
        inner, outer = x - sign * half, x + sign * half
        thing.mark(f"inner corner of the {side} eye", inner, skin_y(inner, eye_z), eye_z)
        thing.mark(f"outer corner of the {side} eye", outer, skin_y(outer, eye_z), eye_z)
        brow = eye_z + rng.uniform(0.02, 0.026)
        arch = [(x + s * 0.018, skin_y(x + s * 0.018, brow) - 0.001, brow + 0.004 * (1 - s * s))
                for s in (-1, 0, 1)]  # fmt: skip
        thing.bow("hair", arch, 0.0035)
        thing.mark(f"middle of the {side} eyebrow", *arch[1])
        thing.ball("skin", (sign * wide * 1.02, 0.012, eye_z - 0.012), (0.01, 0.02, 0.032))
        thing.mark(f"{side} ear lobe", sign * wide * 1.03, 0.004, eye_z - 0.04)
    nose, length = eye_z - high * rng.uniform(0.32, 0.4), rng.uniform(0.014, 0.026)
    front = skin_y(0, nose) - length
    thing.rod("skin", (0, skin_y(0, eye_z) + 0.004, eye_z), (0, front + 0.008, nose), 0.006, 0.011)
    for side, sign in SIDES:
        thing.ball("skin", (sign * 0.011, front + 0.014, nose), (0.009, 0.01, 0.008))
        thing.mark(f"{side} nostril", sign * 0.011, front + 0.006, nose - 0.003)
    thing.mark("nose tip", 0, front, nose)
    mouth, smile = nose - high * rng.uniform(0.25, 0.32), rng.uniform(-0.003, 0.006)
    broad, gap = rng.uniform(0.02, 0.028), rng.uniform(0.003, 0.009)
    lips = -0.028 - deep * 0.62 * 0.98
    for name, sign in (("upper", 1), ("lower", -1)):
        path = arc((0, lips, mouth), (broad, 0, 0), (0, -0.004, sign * gap), 0, 180, 7)
        path[:, 1] += 0.35 * np.abs(path[:, 0])
        path[:, 2] += smile * (path[:, 0] / broad) ** 2
        thing.bow("lips", path, 0.0035)
        thing.mark(f"middle of the {name} lip", *path[3])
        ends = path[0], path[-1]
    thing.mark("left mouth corner", *ends[0])
    thing.mark("right mouth corner", *ends[1])
    chin = -high * 1.03
    thing.mark("chin", 0, -0.028 - deep * 0.3, chin)
    return thing


CATEGORIES = (
    Category(
        "four-legged animal",
        four_legged,
        descriptions(
            "nose: the front end of the head",
            "{side} eye: the dark eye on the {side} side of the head",
            "{side} ear tip: the outer end of the {side} ear",
            "neck base: where the upper side of the neck meets the back",
            "tail base: where the tail leaves the body",
            "tail tip: the free end of the tail",
            "{end} {side} knee: the joint halfway down the {end} {side} leg",
            "{end} {side} foot: the lower end of the {end} {side} leg",
        ),
        tilt=(-25, 5),
    ),
    Category(
        "bird",
        bird,
        descriptions(
            "beak tip: the front end of the beak",
            "crown: the highest part of the head",
            "{side} eye: the dark eye on the {side} side of the head",
            "breast: the front end of the body, below the head",
            "{side} wing root: where the {side} wing leaves the body",
            "{side} wing tip: the end of the {side} wing, farthest from its root",
            "tail tip: the rear end of the tail",
            "{side} foot: where the {side} leg stands on the ground",
        ),
        tilt=(-35, 10),
    ),
    Category(
        "fish",
        fish,
        descriptions(
            "mouth: the front end of the body",
            "{side} eye: the eye on the {side} side of the head",
            "tail base: where the body narrows to the tail",
            "upper tail tip: the upper of the two ends of the tail",
            "lower tail tip: the lower of the two ends of the tail",
            "tip of the back fin: the highest part of the fin on the back",
            "tip of the belly fin: the lowest part of the fin below the body",
            "tip of the {side} side fin: the outer end of the fin behind the {side} eye",
        ),
        roll=30,
        tilt=(-25, 25),
    ),
    Category(
        "spider",
        spider,
        descriptions(
            "head: the front end, between the first legs",
            "waist: the narrow part between the legs and the belly",
            "rear end of the belly: the end farthest from the head",
            *(
                f"tip of the {name} {{side}} leg: where the {name} leg of the {{side}} side, "
                "counted from the head, stands on the ground"
                for name in ("first", "second", "third", "fourth")
            ),
        ),
        tilt=(-80, -30),
    ),
    Category(
        "face",
        face,
        descriptions(
            "middle of the {side} eyebrow: halfway along the dark line above the {side} eye",
            "inner corner of the {side} eye: the end of the {side} eye beside the nose",
            "outer corner of the {side} eye: the end of the {side} eye towards the ear",
            "nose tip: the foremost part of the nose, above the mouth",
            "{side} nostril: the {side} side of the lower end of the nose",
            "{side} mouth corner: where the lips meet on the {side}",
            "middle of the upper lip: halfway along the upper lip, below the nose",
            "middle of the lower lip: halfway along the lower lip, above the chin",
            "chin: the lowest part of the face",
            "{side} ear lobe: the lower end of the {side} ear",
        ),
        turn=50,
        roll=20,
        tilt=(-25, 20),
    ),
)
