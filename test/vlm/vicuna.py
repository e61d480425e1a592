# SPDX-License-Identifier: Apache-2.0
"""tokenizer.model, as lmsys/vicuna-7b-v1.5 brings it: 32000 pieces, merges only by score."""

from __future__ import annotations

from sentencepiece import sentencepiece_model_pb2 as schema

from benchmarks.llama_subset import llama_subset


def sentencepiece_file() -> bytes:
    known = {number: piece for piece, number in llama_subset().get_vocab().items()}
    model = schema.ModelProto()
    model.trainer_spec.model_type = schema.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.add_dummy_prefix = True
    kinds = {0: 2, 1: 3, 2: 3}  # unknown, control, control
    for number in range(32000):
        name = known.get(number, f"<0x{number - 3:02X}>" if 3 <= number < 259 else f"<no{number}>")
        kind = kinds.get(number, 6 if 3 <= number < 259 else 1)
        model.pieces.add(piece=name, score=259.0 - number if number >= 259 else 0.0, type=kind)
    return model.SerializeToString()
