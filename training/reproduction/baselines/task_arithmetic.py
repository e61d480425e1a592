# SPDX-License-Identifier: Apache-2.0
"""Task-arithmetic merge (lambda 0.5) in place of stage 3, then stage 4 as ever.

    python -m training.reproduction.baselines.task_arithmetic --original runs/stage1/model \\
        --tuned runs/stage2/model --out runs/task_arithmetic --data '[runs/scenes/task]' \\
        --rehearsal '[runs/scenes/described]' --validation runs/scenes/validation

OUT/merged is the merge alone, OUT/model what stage 4 made of it; both can be scored by
`python -m training.stage5_evaluate --model ...`.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli

from ... import stage3_merge
from ...stage4_rehearse import train
from .recipes import RECIPES, run_stage, steps_for, steps_of


def main(
    original: Path,
    tuned: Path,
    data: list[Path],
    rehearsal: list[Path],
    validation: Path,
    out: Path,
    weight: float = 0.5,
    budget: int | None = None,
    stage4: Path = RECIPES / "embedded_stage4.yaml",
    more: list[str] | None = None,
) -> None:
    """Merge by task arithmetic and rehearse.

    Args:
        original: folder of the original grounding model.
        tuned: folder of the HPE-oriented model, or of an adapter to the original.
        data: folders of labelled pictures to learn from.
        rehearsal: folders of described pictures, asked as in stage 0.
        validation: folder of pictures that are never learnt.
        out: where the merge, checkpoints, log and model go; a run there is continued.
        weight: share of the tuned model's change, the paper's lambda.
        budget: pictures to learn from in stage 4; without it as its recipe says.
        stage4: recipe of stage 4.
        more: further options of stage 4, such as ["--threads=1"].
    """
    merged = out / "merged"
    if not merged.exists():
        stage3_merge.main(original, tuned, merged, "task_arithmetic", {"weight": weight})
    steps = steps_of(stage4) if budget is None else steps_for(stage4, budget)
    places = {"base": merged, "data": data, "rehearsal": rehearsal}
    run_stage(train, stage4, steps, places | {"validation": validation, "out": out}, more or [])


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
