# SPDX-License-Identifier: Apache-2.0
"""Write a model folder that is ready to be uploaded to a hub of models.

    python -m training.release.publish --model models/embedded --out upload/embedded
    hf upload ORG/NAME upload/embedded    # when you are sure

The folder gets what `hpe_vlm_ros.vlm.hub` fetches and nothing else: config, weights, tokenizer, the
export in 8 bits, the card and the licence. Read-outs that only training needs stay here. Links of
the card that lead into this repository become links to where it is published. The folder is then
loaded and asked about an image. Nothing is sent anywhere.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import yaml
from jsonargparse import auto_cli

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm.hub import wanted_files
from hpe_vlm_ros.vlm.model_folder import EXPORTS, load_facts
from hpe_vlm_ros.vlm.onnxruntime.backend import check_export

ROOT = Path(__file__).parents[2]
CARD, LICENCE = "README.md", "LICENSE"
HEADER = ("license", "library_name", "pipeline_tag", "tags")
"""What the hub needs to list a model."""


def publish(model: Path, out: Path) -> list[str]:
    """Write the folder `out` from a model folder; the names of its files. See the module.

    Raises ValueError where something is missing, FileExistsError where `out` is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty: name another folder, or delete it")
    load_facts(model)
    export = model / EXPORTS / "int8"
    if not export.is_dir():
        raise ValueError(f"{model} has no export: python -m hpe_vlm_ros.vlm.export {model}")
    check_export(model, export)
    card = published_card(model / CARD, _repository())
    files = [p.relative_to(model).as_posix() for p in model.rglob("*") if p.is_file()]
    chosen = [f for f in wanted_files(files, str(model)) if not f.startswith(f"{EXPORTS}/fp32/")]
    for name in chosen:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / name, out / name)
    (out / CARD).write_text(card, encoding="utf-8")
    shutil.copyfile(ROOT / LICENCE, out / LICENCE)
    HeadPerceiver.load(out)(np.full((64, 64, 3), 90, np.uint8))
    return sorted({*chosen, CARD, LICENCE})


def published_card(card: Path, repository: str) -> str:
    """The card's text with links into the repository made absolute; ValueError for a card whose
    header lacks what the hub needs."""
    if not card.is_file():
        raise ValueError(f"{card} is missing: a model is published with its card")
    text = card.read_text(encoding="utf-8")
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    header = yaml.safe_load(found[1]) if found else {}
    if missing := [key for key in HEADER if not header.get(key)]:
        raise ValueError(f"{card}: its YAML header lacks {', '.join(missing)}")
    folder = PurePosixPath("models") / card.parent.name

    def absolute(link: re.Match[str]) -> str:
        target = link[1]
        if "://" in target or target.startswith("#"):
            return link[0]
        parts: list[str] = []
        for part in (folder / target).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        return f"]({repository}/blob/main/{'/'.join(parts)})"

    return re.sub(r"\]\(([^)\s]+)\)", absolute, text)


def _repository() -> str:
    """The address in package.xml."""
    (url,) = re.findall(r'<url type="repository">([^<]+)</url>', (ROOT / "package.xml").read_text())
    return str(url).rstrip("/")


def main(model: Path, out: Path) -> None:
    """Write a model folder that is ready to be uploaded.

    Args:
        model: model folder with an export in 8 bits and a card.
        out: the new folder.
    """
    for name in publish(model, out):
        print(f"{(out / name).stat().st_size / 1e6:8.2f} MB  {name}")


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
