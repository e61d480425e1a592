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
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch import nn

from hpe_vlm_ros.vlm.families import ChatFamily, Family, family_of
from hpe_vlm_ros.vlm.families.weights import shape_of
from hpe_vlm_ros.vlm.model_folder import INDEX, load_config_file, read_ours, write_ours
from hpe_vlm_ros.vlm.pytorch.checkpoint import drop_remote_code, load_config
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

from .merging import report
from .merging.registry import chosen
from .merging.sources import Checkpoint, check_alike, tuned_source
from .merging.stream import Fused, merge, outcomes, similarities
from .supervision.read_outs import READ_OUTS, read_outs_of

REPORT, PICTURE = "merge.json", "merge.png"
# what belongs to a model beside its weights
COMPANIONS = ("*.json", "*.jinja", "merges.txt", "tokenizer.model")


def projections(folder: Path, family: Family) -> list[str]:
    """Names of the model's linear layers, whose weights the paper's rule compares. A language head
    that shares the embedding's weight is none of its own."""
    with torch.device("meta"):
        if isinstance(family, ChatFamily):
            model = shape_of(folder, family)
        else:
            model = CogVLMForCausalLM(load_config(folder))
    tied = getattr(model, "_tied_weights_keys", None) or {}
    shared = tied if model.config.tie_word_embeddings else {}
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return [name for name in linear if f"{name}.weight" not in shared]


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
    content = load_config_file(original)
    family = family_of(content, original)
    fused = partial(family.fused, config=content)
    names = projections(original, family)
    if missing := [name for name in names if f"{name}.weight" not in base.shapes]:
        raise ValueError(
            f"{original} lacks {missing[0]}.weight, which its config.json calls for: the files do "
            "not belong together or are incomplete; copy them again"
        )
    cosines = similarities(base, source, names, fused)
    print(report.histogram(cosines))

    unfinished = out.with_name(out.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    sides = merge(base, source, merging, cosines, unfinished, fused)
    units = [part for name in names for part in _units(name, fused)]
    became = outcomes(units, cosines, sides)
    _copy_companions(source.folder, unfinished)
    if isinstance(family, ChatFamily):
        known = {k: v for k, v in read_ours(tuned).items() if k != "base"}
        write_ours(unfinished, read_ours(original) | known)
    if (read_outs := read_outs_of(tuned)) is not None:
        shutil.copyfile(read_outs, unfinished / READ_OUTS)
    content = {
        "method": method,
        "options": merging.keywords,
        "layers": {name: vars(outcome) for name, outcome in became.items()},
    }
    (unfinished / REPORT).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    report.draw(unfinished / PICTURE, became)
    unfinished.rename(out)
    totals = report.counts(became)
    print(f"{method}: " + ", ".join(f"{count} {side}" for side, count in totals.items() if count))
    return totals


def _units(name: str, fused: Fused) -> list[str]:
    """What a merge decides about in one layer."""
    rows = fused(name)
    return [name] if rows is None else [f"{name}[{part}]" for part in rows]


def _copy_companions(source: Path, out: Path) -> None:
    for pattern in COMPANIONS:
        for file in source.glob(pattern):
            if file.name not in (INDEX, REPORT):
                shutil.copyfile(file, out / file.name)
    drop_remote_code(out)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
