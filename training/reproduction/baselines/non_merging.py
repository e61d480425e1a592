# SPDX-License-Identifier: Apache-2.0
"""Non-merging: stages 2 and 3 are left out, stage 4 lasts as long as 2 and 4 together.

    python -m training.reproduction.baselines.non_merging --base runs/stage1/model \\
        --out runs/non_merging --data '[runs/scenes/task]' --rehearsal '[runs/scenes/described]' \\
        --validation runs/scenes/validation

OUT/model is then scored by `python -m training.stage5_evaluate --model OUT/model`.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli

from ...stage4_rehearse import train
from .recipes import RECIPES, run_stage, steps_for, steps_of


def main(
    base: Path,
    data: list[Path],
    rehearsal: list[Path],
    validation: Path,
    out: Path,
    budget: int | None = None,
    stage2: Path = RECIPES / "embedded_stage2.yaml",
    stage4: Path = RECIPES / "embedded_stage4.yaml",
    more: list[str] | None = None,
) -> None:
    """Train without merging.

    Args:
        base: model of stage 1.
        data: folders of labelled pictures to learn from.
        rehearsal: folders of described pictures, asked as in stage 0.
        validation: folder of pictures that are never learnt.
        out: where checkpoints, log and model go; an existing checkpoint is continued.
        budget: pictures to learn from in all; without it as many as both stages see.
        stage2: recipe of stage 2, for its length.
        stage4: recipe of stage 4, which is run.
        more: further options of stage 4, such as ["--threads=1"].
    """
    steps = steps_of(stage2) + steps_of(stage4) if budget is None else steps_for(stage4, budget)
    places = {"base": base, "data": data, "rehearsal": rehearsal}
    run_stage(train, stage4, steps, places | {"validation": validation, "out": out}, more or [])


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
