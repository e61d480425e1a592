# SPDX-License-Identifier: Apache-2.0
"""How the public CogVLM was asked for what is described: the 53 wordings of its training.

`referring_templates.txt` is the list caption2box of CogVLM's own repository (Apache-2.0, in
utils/utils/template.py), to the letter, its slips included: "In, could you ..." was taught.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from zlib import crc32

from hpe_vlm_ros.answers import referring_prompt

SLOT = "<expr>"
FILE = Path(__file__).with_name("referring_templates.txt")


@cache
def public_wordings() -> tuple[str, ...]:
    """All wordings, with SLOT where the description stands."""
    return tuple(FILE.read_text(encoding="utf-8").splitlines())


def wordings(open_vocabulary: bool) -> tuple[str, ...]:
    """Those that a model can be asked in: all, or of a closed vocabulary the one of `answers`."""
    return public_wordings() if open_vocabulary else (referring_prompt(SLOT),)


def steady(choices: tuple[str, ...], sentence: str) -> str:
    """The question for a sentence, in one of the wordings, the same in every run."""
    chosen = choices[crc32(sentence.encode()) % len(choices)]
    return chosen.replace(SLOT, sentence)
