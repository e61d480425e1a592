# SPDX-License-Identifier: Apache-2.0
"""Stages as a baseline runs them: the shipped recipe, with another length or another base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import auto_cli

RECIPES = Path(__file__).parents[3] / "config" / "training"
BATCH = 16  # pictures a step where a recipe does not say


def steps_of(recipe: Path) -> int:
    """Steps of a recipe; ValueError where it names none."""
    schedule = yaml.safe_load(recipe.read_text()).get("schedule", {})
    if "steps" not in schedule:
        raise ValueError(f"{recipe} has no schedule.steps; give --budget instead")
    return int(schedule["steps"])


def steps_for(recipe: Path, pictures: int) -> int:
    """Steps in which a recipe sees so many pictures."""
    data_options = yaml.safe_load(recipe.read_text()).get("data_options", {})
    return max(1, pictures // int(data_options.get("batch_size", BATCH)))


def run_stage(
    stage: Callable[..., Any], recipe: Path, steps: int, places: dict[str, Any], more: Sequence[str]
) -> None:
    """Run a stage's `train` as its command line would; `more` are further options of it."""
    options = [f"--schedule.steps={steps}", *more]
    for name, value in places.items():
        text = f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
        options.append(f"--{name}={text}")
    auto_cli(stage, as_positional=False, args=["--config", str(recipe), *options])
