# SPDX-License-Identifier: Apache-2.0
"""The sets of scenes and what keeps them apart: people, hair, clothes, backgrounds, cameras.

train     in the role of weakly labelled photographs; also for described people
task      in the role of exactly labelled task data: the same kind of scenes, people, hair, skins,
          panoramas and photographs of its own
test      the same kind once more, everything of its own again
panoptic  CMU Panoptic's role, cross-data evaluation: other cameras (a dome's ring, ceilings, wide
          lenses), other light and backgrounds (`dome`), headwear, spectacles and hair of its own
          beside the hair meshes and skins of `test`. `train` and `task` are seen from above as
          well, by cameras of their own (`camera.raised_camera`)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """number: enters every seed. identities: people to draw from. photos: pictures without people
    in scikit-image's wheel (public domain or CC0). head_odds: chances of 0, 1, 2, ... heads.
    largest: pixels of the largest head in a picture 320 pixels wide. quality: of JPEG, at least.
    unworn: hats and clothes without anybody in them, a picture, in the mean.
    drawn: hair and hats of random shapes too (`hairdos`), beside the modelled ones, and
    now and then leaves behind people.
    raised: share of scenes seen by a camera that looks down. With a robot's cameras alone one head
    in 25 was seen from more than 30 degrees above, and such heads were read twice as badly.
    covered: share of people with a hat, helmet or hood.
    steep: share of people whose head is turned up, down or aside as far as necks go (`posing`).
    away: share of those in headwear or sleek hair who stand with their back to the camera, beside
    the half of all people who do so by chance.
    held: garments, skins, spectacles and panoramas that no other split (for `panoptic`: neither
    `train` nor `task`) shows, which are the only ones of their kind in this one.
    """

    number: int
    identities: int
    photos: tuple[str, ...]
    head_odds: tuple[float, ...]
    largest: float = 200.0
    quality: int = 86
    unworn: float = 0.0
    drawn: bool = False
    raised: float = 0.0
    covered: float = 0.15
    steep: float = 0.0
    away: float = 0.0
    held: frozenset[str] = frozenset()


_USUAL = (0.035, 0.23, 0.20, 0.185, 0.14, 0.085, 0.06, 0.04, 0.025)
_UNSEEN = frozenset(  # in training
    {
        "short02",
        "ponytail01",
        "bob01",
        "young_lightskinned_male_diffuse2",
        "middleage_lightskinned_female_diffuse2",
        "old_darkskinned_male_diffuse",
    }
)
SPLITS = {
    "train": Split(
        0,
        1000,
        ("brick.png", "chelsea.png", "grass.png", "rocket.jpg"),
        _USUAL,
        unworn=0.6,
        drawn=True,
        raised=0.5,
        covered=0.3,
        steep=0.3,
        away=0.3,
    ),
    # of kinds alone of which test and panoptic hold some too: their pictures stay as they are
    "task": Split(
        3,
        1000,
        ("coins.png", "hubble_deep_field.jpg", "moon.png"),
        _USUAL,
        unworn=0.6,
        drawn=True,
        raised=0.5,
        covered=0.3,
        steep=0.3,
        away=0.3,
        held=frozenset(
            {"short04", "bob02", "braid01", "receding", "fringe", "tuft"}
            | {"young_darkskinned_male_diffuse", "young_lightskinned_female_diffuse3"}
            | {"middleage_lightskinned_male_diffuse2", "young_lightskinned_male_diffuse3"}
            | {"apartment", "lobby", "esplanade", "warehouse", "park", "bridge"}
        ),
    ),
    "test": Split(
        1,
        300,
        ("coffee.png", "gravel.png"),
        (0.03, 0.17, 0.18, 0.20, 0.165, 0.105, 0.07, 0.05, 0.03),
        held=_UNSEEN | {"shaved", "mop"} | {"venice", "workshop", "courtyard", "dawn", "hall"},
    ),
    "panoptic": Split(
        2,
        400,
        (),
        (0.02, 0.08, 0.12, 0.18, 0.19, 0.16, 0.12, 0.08, 0.05),
        largest=180.0,
        quality=70,
        held=_UNSEEN
        | {"longmane", "shortbowl", "flattop", "undercut"}
        | {"headscarf", "turban", "skullcap", "respirator", "fullbeard"}
        | {"narrow", "large", "discs"},
    ),
}
HELD = frozenset().union(*(s.held for s in SPLITS.values()))  # by any split


def number_of(split: str) -> int:
    """The split's part of every seed."""
    return SPLITS[split].number


def usable(names: list[str], split: str) -> list[int]:
    """Which of some things of one kind (garments, skins) a split may show: indices into `names`.

    Its own held ones alone where there are any, otherwise all that no split holds.
    """
    own = [i for i, name in enumerate(names) if name in SPLITS[split].held]
    return own or [i for i, name in enumerate(names) if name not in HELD]
