# SPDX-License-Identifier: Apache-2.0
"""Scissors, hammer, glasses, guitar and robot arm."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .shape import SEEN, SIDES, Assembly, Category, arc, descriptions


def scissors(rng: np.random.Generator) -> Assembly:
    """Blades up; each blade goes on as the ring of the other side."""
    thing = Assembly()
    blade, shank, ring = rng.uniform(0.08, 0.13), rng.uniform(0.04, 0.06), rng.uniform(0.02, 0.03)
    opening, wide = np.radians(rng.uniform(6, 24)), rng.uniform(0.007, 0.011)
    for layer, (side, x) in enumerate(SEEN):
        up = np.array([x * np.sin(opening), 0, np.cos(opening)])
        out = np.array([-x * np.cos(opening), 0, np.sin(opening)]) * wide  # away from the other
        depth = np.array([0, 0.0015 * (2 * layer - 1), 0])
        outline = [-out, out, up * blade, up * blade * 0.97 - out * 0.6]
        low, high = (-0.0015, 0.0) if layer == 0 else (0.0, 0.0015)
        thing.slab("metal", 1, [(p[0], p[2]) for p in outline], low, high)
        thing.mark(f"{side} blade tip", *(up * blade + depth))
        other = "right" if side == "left" else "left"
        neck = -up * shank
        thing.rod("one", depth, neck + depth, wide * 0.7)
        middle = neck + np.array([-x * ring * 0.9, 0, -ring * 1.1])
        loop = arc(middle, (ring, 0, 0), (0, 0, ring * 1.3), 0, 360, 20)
        thing.bow("one", loop, wide * 0.55)
        thing.mark(f"upper end of the {other} ring", *(middle + (0, 0, ring * 1.3)))
        thing.mark(f"lower end of the {other} ring", *(middle - (0, 0, ring * 1.3)))
    thing.rod("dark", (0, -0.006, 0), (0, 0.006, 0), 0.005)
    thing.mark("pivot", 0, -0.006, 0)
    return thing


def hammer(rng: np.random.Generator) -> Assembly:
    thing = Assembly()
    long, head = rng.uniform(0.22, 0.34), rng.uniform(0.045, 0.065)
    thick = rng.uniform(0.011, 0.015)
    side = rng.choice([-1.0, 1.0])
    grip = long * rng.uniform(0.3, 0.5)
    thing.rod("wood", (0, 0, 0), (0, 0, long), thick)
    thing.rod("one", (0, 0, -0.004), (0, 0, grip), thick * 1.35)
    top = long + thick
    thing.box("metal", (0, 0, long), (0.035, 0.03, 0.034))
    thing.rod("metal", (0, 0, long), (side * head, 0, long), 0.013)
    thing.rod("metal", (side * (head - 0.012), 0, long), (side * head, 0, long), 0.018)
    claw = arc((-side * 0.012, 0, long - 0.045), (-side * 0.055, 0, 0), (0, 0, 0.05), 90, 25, 6)
    for y in (-0.009, 0.009):
        spread = np.linspace(0.3, 1.2, 6)[:, None] * (0, y, 0)
        thing.bow("metal", claw + spread, 0.0065)
    thing.mark("striking face", side * head, 0, long)
    thing.mark("claw tip", *claw[-1])
    thing.mark("top of the head", 0, 0, top + 0.004)
    thing.mark("neck", 0, 0, long - 0.018)
    thing.mark("upper end of the grip", 0, 0, grip)
    thing.mark("lower end of the grip", 0, 0, 0)
    return thing


def glasses(rng: np.random.Generator) -> Assembly:
    """As somebody wears them who looks towards -y."""
    thing = Assembly()
    wide, high = rng.uniform(0.022, 0.03), rng.uniform(0.015, 0.026)
    gap, thick = rng.uniform(0.009, 0.013), rng.uniform(0.0015, 0.0035)
    square = rng.uniform(0.5, 1.0)  # 1: an ellipse
    temple = rng.uniform(0.11, 0.14)
    a = np.radians(np.linspace(0, 360, 25))
    ring = np.stack([np.sign(np.cos(a)) * np.abs(np.cos(a)) ** square, np.sin(a) * 0,
                     np.sign(np.sin(a)) * np.abs(np.sin(a)) ** square], 1)  # fmt: skip
    for side, sign in SIDES:
        middle = np.array([sign * (gap + wide), 0, 0])
        thing.bow("one", middle + ring * (wide, 1, high), thick)
        thing.slab(
            "lens", 1, [(p[0], p[2]) for p in middle + ring[:-1] * (wide, 1, high)], -0.0005, 0.0005
        )
        hinge = np.array([sign * (gap + 2 * wide + 0.003), 0, high * 0.4])
        ear = hinge + (sign * 0.004, temple * 0.75, 0.002)
        tip = ear + (-sign * 0.004, temple * 0.25, -0.03)
        thing.rod("one", middle + (sign * wide, 0, high * 0.4), hinge, thick * 1.3)
        thing.bow("one", [hinge, ear, tip], thick * 1.1)
        thing.mark(f"middle of the {side} lens", *middle)
        thing.mark(f"{side} hinge", *hinge)
        thing.mark(f"{side} temple end", *tip)
        thing.mark(f"lower edge of the {side} lens", *(middle - (0, 0, high)))
    bridge = arc((0, 0, high * 0.1), (gap, 0, 0), (0, 0, high * 0.35), 0, 180, 7)
    thing.bow("one", bridge, thick)
    thing.mark("bridge", 0, 0, high * 0.45)
    return thing


def guitar(rng: np.random.Generator) -> Assembly:
    """Neck up, strings towards -y."""
    thing = Assembly()
    lower, upper = rng.uniform(0.17, 0.21), rng.uniform(0.12, 0.15)
    deep, neck = rng.uniform(0.04, 0.05), rng.uniform(0.3, 0.4)
    low, high = lower, lower + rng.uniform(0.2, 0.24)
    waist = (low + high) / 2
    across = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z to the front
    for at, radius in ((low, lower), (high, upper), (waist, (lower + upper) * 0.37)):
        disc = [(0, deep), (radius, deep), (radius, -deep), (0, -deep)]
        thing.lathe("one", (0, 0, at), disc, across)
        thing.lathe("two", (0, 0, at), [(0, deep + 0.002), (radius * 0.96, deep + 0.002)], across)
    hole, bridge = high - 0.11, low - 0.02
    front = -deep - 0.004
    thing.lathe("dark", (0, 0, hole), [(0, deep + 0.003), (0.045, deep + 0.003)], across)
    thing.box("dark", (0, front - 0.004, bridge), (0.13, 0.012, 0.025))
    joint, nut = high + upper, high + upper + neck
    thing.box("wood", (0, front, (hole + 0.04 + nut) / 2), (0.05, 0.02, nut - hole - 0.04))
    thing.box("dark", (0, front + 0.005, nut + 0.07), (0.07, 0.018, 0.14))
    for row in (0.03, 0.065, 0.1):
        thing.rod("metal", (-0.05, front, nut + row), (0.05, front, nut + row), 0.006)
    for x in np.linspace(-0.018, 0.018, 4):
        thing.rod("metal", (x, front - 0.012, bridge), (x, front - 0.012, nut), 0.0012)
    thing.mark("top of the head", 0, front, nut + 0.14)
    thing.mark("nut", 0, front - 0.01, nut)
    thing.mark("joint of neck and body", 0, front - 0.01, joint)
    thing.mark("sound hole", 0, front, hole)
    thing.mark("bridge", 0, front - 0.01, bridge)
    thing.mark("bottom of the body", 0, -deep, low - lower)
    for side, x in SEEN:
        thing.mark(f"upper {side} edge of the body", x * upper, -deep, high)
        thing.mark(f"lower {side} edge of the body", x * lower, -deep, low)
    return thing


def robot_arm(rng: np.random.Generator) -> Assembly:
    """Reaches towards -y."""
    thing = Assembly()
    base, column = rng.uniform(0.09, 0.13), rng.uniform(0.12, 0.2)
    first, second = rng.uniform(0.28, 0.42), rng.uniform(0.25, 0.38)
    thick = rng.uniform(0.03, 0.045)
    a, b, c = np.radians([rng.uniform(-20, 40), rng.uniform(60, 130), rng.uniform(100, 180)])

    def ahead(angle: float) -> np.ndarray:
        return np.array([0, -np.sin(angle), np.cos(angle)])

    thing.lathe("dark", (0, 0, 0), [(0, 0.04), (base, 0.04), (base * 1.1, 0), (0, 0)])
    shoulder = np.array([0, 0, column])
    elbow = shoulder + first * ahead(a)
    wrist = elbow + second * ahead(b)
    palm = wrist + 0.07 * ahead(c)
    thing.rod("one", (0, 0, 0.03), shoulder, thick * 1.5)
    thing.rod("one", shoulder, elbow, thick, thick * 0.85)
    thing.rod("one", elbow, wrist, thick * 0.85, thick * 0.65)
    thing.rod("two", wrist, palm, thick * 0.6)
    for joint, size in ((shoulder, 1.25), (elbow, 1.1), (wrist, 0.85)):
        across = np.array([thick * size * 1.15, 0, 0])
        thing.rod("two", joint - across, joint + across, thick * size)
    wide = rng.uniform(0.02, 0.045)
    thing.rod("dark", palm - (wide + 0.012, 0, 0), palm + (wide + 0.012, 0, 0), 0.02)
    for side, sign in SIDES:
        root = palm + (sign * wide, 0, 0)
        tip = root + 0.08 * ahead(c)
        thing.bar("dark", root, tip, 0.014, 0.022)
        thing.mark(f"{side} finger tip", *tip)
    thing.mark("shoulder joint", *shoulder)
    thing.mark("elbow joint", *elbow)
    thing.mark("wrist joint", *wrist)
    thing.mark("middle of the upper arm", *((shoulder + elbow) / 2))
    thing.mark("middle of the forearm", *((elbow + wrist) / 2))
    thing.mark("middle of the gripper", *palm)
    thing.mark("front base edge", 0, -base * 1.1, 0)
    return thing


def hand(rng: np.random.Generator) -> Assembly:
    """Fingers up; a left or right one, its palm or back towards -y."""
    thing = Assembly()
    side = rng.choice([-1.0, 1.0])  # of the thumb
    palm, wide = rng.uniform(0.085, 0.1), rng.uniform(0.038, 0.045)
    thing.ball("skin", (0, 0, palm * 0.5), (wide, 0.014, palm * 0.58))
    thing.box("skin", (0, 0, palm * 0.55), (wide * 1.75, 0.02, palm * 0.75))
    thing.rod("skin", (0, 0, -0.06), (0, 0, 0.015), 0.025, 0.026)
    thing.mark("wrist", 0, 0, 0)
    curl = np.radians(rng.uniform(-4, 22)) * rng.choice([-1.0, 1.0])
    fan = rng.uniform(2.0, 9.0)
    names = ("index", "middle", "ring", "little")
    for number, (name, share) in enumerate(zip(names, (0.93, 1.0, 0.94, 0.76), strict=True)):
        x = side * wide * (0.8 - 0.53 * number)
        root = np.array([x, 0, palm * (1.0 if number < 3 else 0.93)])
        lean = side * fan * (1.4 - number) + rng.normal(0, 2)
        radius = 0.0092 if number < 3 else 0.008
        _finger(thing, f"{name} finger", root, lean, curl, share * 0.082, radius)
    root = np.array([side * wide * 0.75, 0, palm * 0.28])
    _finger(thing, "thumb", root, side * rng.uniform(35, 60), curl * 0.5, 0.075, 0.0105)
    return thing


def _finger(
    thing: Assembly,
    name: str,
    root: np.ndarray,
    lean: float,
    curl: float,
    long: float,
    radius: float,
) -> None:
    """Three bones from `root`; lean in degrees towards +x, curl in radians a joint towards -y."""
    at, places = root, [root]
    plane = Rotation.from_euler("y", lean, degrees=True).as_matrix()
    for bone, share in enumerate((0.45, 0.3, 0.25)):
        bend = curl * (bone + 0.5)
        at = at + plane @ np.array([0, -np.sin(bend), np.cos(bend)]) * long * share
        places.append(at)
    thing.ball("skin", root, (radius,) * 3)
    thing.bow("skin", places, radius)
    thing.mark(f"{name} base" if name != "thumb" else "thumb base", *root)
    thing.mark(f"middle joint of the {name}", *places[1])
    thing.mark(f"{name} tip", *places[3])


CATEGORIES = (
    Category(
        "scissors",
        scissors,
        descriptions(
            "pivot: the screw where the two blades cross",
            "{side} blade tip: the end of the {side} blade, where the blades point up",
            "upper end of the {side} ring: the part of the {side} ring for the fingers that is "
            "nearest the screw",
            "lower end of the {side} ring: the part of the {side} ring for the fingers that is "
            "farthest from the screw",
        ),
        turn=35,
        roll=50,
        tilt=(-35, 35),
    ),
    Category(
        "hammer",
        hammer,
        descriptions(
            "striking face: the flat round end of the head",
            "claw tip: the curved end of the head, opposite the flat face",
            "top of the head: the end of the head above the neck",
            "neck: where the head sits on the handle",
            "upper end of the grip: where the thick part of the handle ends, towards the head",
            "lower end of the grip: the end of the handle, farthest from the head",
        ),
        turn=50,
        roll=180,
        tilt=(-35, 35),
    ),
    Category(
        "glasses",
        glasses,
        descriptions(
            "bridge: the arch between the two lenses",
            "middle of the {side} lens: the middle of the lens before the {side} eye",
            "lower edge of the {side} lens: the lowest part of the frame below the {side} eye",
            "{side} hinge: the joint between the frame and the {side} temple",
            "{side} temple end: the end of the temple behind the {side} ear",
        ),
        turn=55,
        roll=25,
        tilt=(-40, 25),
    ),
    Category(
        "guitar",
        guitar,
        descriptions(
            "top of the head: the end of the neck, farthest from the body",
            "nut: where the neck begins below the head",
            "joint of neck and body: where the neck meets the body",
            "sound hole: the middle of the dark round hole",
            "bridge: the dark bar on the body where the strings end",
            "bottom of the body: the end of the body, farthest from the neck",
            "upper {side} edge of the body: the {side} end of the narrow part of the body, with "
            "the neck up",
            "lower {side} edge of the body: the {side} end of the wide part of the body, with the "
            "neck up",
        ),
        turn=50,
        roll=70,
        tilt=(-30, 20),
    ),
    Category(
        "robot arm",
        robot_arm,
        descriptions(
            "front base edge: the part of the base on the ground that the arm reaches over",
            "shoulder joint: the lowest joint, above the base",
            "elbow joint: the joint between the upper arm and the forearm",
            "wrist joint: the joint between the forearm and the gripper",
            "middle of the upper arm: halfway between the shoulder and the elbow",
            "middle of the forearm: halfway between the elbow and the wrist",
            "middle of the gripper: halfway between the roots of the two fingers",
            "{side} finger tip: the end of the {side} finger of the gripper, seen from the base",
        ),
        tilt=(-35, 5),
    ),
    Category(
        "hand",
        hand,
        descriptions(
            "wrist: where the hand meets the forearm",
            "thumb base: where the thumb leaves the palm",
            "middle joint of the thumb: the first joint of the thumb above its base",
            "thumb tip: the end of the thumb",
            *(
                line
                for name, where in (
                    ("index", "beside the thumb"),
                    ("middle", "between the index and the ring finger"),
                    ("ring", "between the middle and the little finger"),
                    ("little", "farthest from the thumb"),
                )
                for line in (
                    f"{name} finger base: where the finger {where} leaves the palm",
                    f"middle joint of the {name} finger: the first joint above the base of the "
                    f"finger {where}",
                    f"{name} finger tip: the end of the finger {where}",
                )
            ),
        ),
        turn=40,
        roll=100,
        tilt=(-30, 30),
    ),
)
