# SPDX-License-Identifier: Apache-2.0
"""Options of command lines that load a model, for `predict`, `demo-web` and the replay alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .mirror import MIRROR_CHOICES

MODEL = "model folder, name on the hub (org/name or org/name@revision), or address of a server"


def positive(text: str) -> int:
    """A whole number from 1 on; argparse.ArgumentTypeError for another."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def count(text: str) -> int:
    """A whole number from 0 on; argparse.ArgumentTypeError for another."""
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def add_model_options(add: Callable[..., Any]) -> None:
    """Add them by `add`, the add_argument of a parser or group; see `HeadPerceiver.load`."""
    add("--model", metavar="M", help=f"{MODEL} (default: the embedded one)")
    add("--download", action="store_true", help="download a model org/name that the cache lacks")
    add("--adapter", metavar="DIR", help="LoRA adapter to the model (other families than CogVLM)")
    add("--device", metavar="D", help='such as "cpu" or "cuda" (default: the best there is)')
    add("--max-heads", type=positive, default=20, metavar="N", help="most heads an image (20)")
    add(
        "--tiles",
        type=int,
        choices=range(5),
        default=0,
        metavar="N",
        help="also process parts of each image, to find far heads: above 1 N x N parts; 0 one "
        "where the model's own map tells that they are likely, for models without a refiner (0)",
    )
    add(
        "--mirror",
        choices=MIRROR_CHOICES,
        default="auto",
        help="test-time flip, also process the mirror image: finds more, takes up to twice as long "
        "(default: as the model's config.json says; the embedded one: never)",
    )
    add(
        "--no-refine",
        dest="refine",
        action="store_false",
        help="without the refiner's second stage: boxes and poses are then what the language "
        "model says (for models with a refiner, as the embedded one)",
    )
