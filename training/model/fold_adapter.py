# SPDX-License-Identifier: Apache-2.0
"""Fold an adapter that peft saved into the model it was trained on.

    python -m training.model.fold_adapter --original cogvlm/ --adapter adapter/ --out tuned/

OUT is a complete model folder, such as `training.stage3_merge` takes. The whole model is in memory
meanwhile. Adapters of `training.model.lora` need no folding: stage 3 does that on the way.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli
from peft import PeftConfig, PeftModel

from hpe_vlm_ros.vlm.diagnosis import PEFT_WEIGHTS
from hpe_vlm_ros.vlm.pytorch import checkpoint


def main(original: Path, adapter: Path, out: Path) -> None:
    """Write `original` with what `adapter` changes.

    Args:
        original: folder of the model that the adapter was trained on.
        adapter: folder with adapter_config.json and adapter_model.safetensors.
        out: folder to write; it must not exist.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists already: delete it or name another folder")
    if not (adapter / PEFT_WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{adapter} has no {PEFT_WEIGHTS}: weights are read in that format alone, since "
            "pickled ones can run code; save the adapter with safe_serialization"
        )
    model = checkpoint.load_model(original)
    processor = checkpoint.load_processor(original, model.config)
    config = PeftConfig.from_pretrained(str(adapter))
    config.task_type = None  # peft would wrap the model for generation, which folding does not need
    try:
        adapted = PeftModel.from_pretrained(model, str(adapter), config=config)
    except (RuntimeError, ValueError) as error:  # names or shapes that the model has not
        raise ValueError(
            f"the adapter in {adapter} does not fit the model in {original}: give the one it was "
            f"trained on ({str(error).splitlines()[0]})"
        ) from error
    checkpoint.save(out, adapted.merge_and_unload(), processor, model.dtype)
    print(f"wrote {out}")


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
