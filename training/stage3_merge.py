# SPDX-License-Identifier: Apache-2.0
"""Stage 3: merge the original grounding model with the HPE-oriented model of stage 2.

    python -m training.stage3_merge --config config/training/embedded_stage3_merge.yaml \
        --original runs/base/model --tuned runs/stage2/model --out runs/stage3

Layer by layer the winner takes all: a projection whose similarity in the two models is below the
threshold stays original, any other comes from the HPE-oriented model (arXiv 2406.01914, III-C).
TUNED may also be an adapter that `training.model.lora` saved, which is then folded on the way.
Works tensor by tensor: a few layers in memory, not two models.

OUT is a complete model folder; beside the weights it holds merge.json (similarities and what came
of each layer), merge.png (the paper's Figure 6) and, for stage 4, TUNED's training-only read-outs.
It appears when all is done. What an interrupted merge leaves, OUT.partial, is cleared away by the
next one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch import nn

from hpe_vlm_ros.vlm.model_folder import INDEX
from hpe_vlm_ros.vlm.pytorch.checkpoint import drop_remote_code, load_config
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from .merging import report
from .merging.registry import chosen
from .merging.sources import Checkpoint, check_alike, tuned_source
from .merging.stream import merge, outcomes, similarities
from .supervision.read_outs import READ_OUTS, read_outs_of

REPORT, PICTURE = "merge.json", "merge.png"
COMPANIONS = ("*.json", "tokenizer.model")  # what belongs to a model beside its weights


def projections(config: CogVLMConfig) -> list[str]:
    """Names of the model's linear layers, whose weights the paper's rule compares."""
    with torch.device("meta"):
        model = CogVLMForCausalLM(config)
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def main(
    original: Path,
    tuned: Path,
    out: Path,
    method: str = "winner_takes_all",
    options: dict[str, Any] | None = None,
) -> dict[str, int]:
    """Merge two model folders into a third.

    Args:
        original: folder of the original grounding model.
        tuned: folder of the HPE-oriented model, or of an adapter to the original.
        out: folder to write; it must not exist.
        method: winner_takes_all, task_arithmetic, lora_folding, or one of your own
            (see training/merging/registry.py).
        options: of the method, each as --options.NAME VALUE. winner_takes_all: threshold (0.95),
            lowest (0.01, the share that stays original in any case), keep (the share that is to
            stay original, in place of a threshold). task_arithmetic: weight (0.5).
    """
    if out.exists():
        raise FileExistsError(f"{out} exists already: delete it or name another folder")
    merging = chosen(method, options or {})
    base = Checkpoint(original)
    source = tuned_source(tuned, base)
    check_alike(base, source)
    names = projections(load_config(original))
    if missing := [name for name in names if f"{name}.weight" not in base.shapes]:
        raise ValueError(
            f"{original} lacks {missing[0]}.weight, which its config.json calls for: the files do "
            "not belong together or are incomplete; copy them again"
        )
    cosines = similarities(base, source, names)
    print(report.histogram(cosines))

    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    sides = merge(base, source, merging, cosines, partial)
    became = outcomes(names, cosines, sides)
    _copy_companions(source.folder, partial)
    if (read_outs := read_outs_of(tuned)) is not None:
        shutil.copyfile(read_outs, partial / READ_OUTS)
    content = {
        "method": method,
        "options": merging.keywords,
        "layers": {name: vars(outcome) for name, outcome in became.items()},
    }
    (partial / REPORT).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    report.draw(partial / PICTURE, became)
    partial.rename(out)
    totals = report.counts(became)
    print(f"{method}: " + ", ".join(f"{count} {side}" for side, count in totals.items() if count))
    return totals


def _copy_companions(source: Path, out: Path) -> None:
    for pattern in COMPANIONS:
        for file in source.glob(pattern):
            if file.name not in (INDEX, REPORT):
                shutil.copyfile(file, out / file.name)
    drop_remote_code(out)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
