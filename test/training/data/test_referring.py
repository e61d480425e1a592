# SPDX-License-Identifier: Apache-2.0
"""The wordings that the public CogVLM was asked in, to the letter, and who is asked in them."""

import hashlib
from collections import Counter

import numpy as np

from hpe_vlm_ros.answers import referring_prompt
from hpe_vlm_ros.vlm.vocabulary import build_tokenizer
from training.data.prompts import referring_prompts
from training.data.referring import FILE, SLOT, public_wordings, steady, wordings
from training.data.sample import Expression


class Letters:
    """A tokenizer that says everything, a letter at a time."""

    eos_token_id = 0

    def encode(self, text, add_special_tokens=False):
        return list(map(ord, text))

    def decode(self, ids):
        return "".join(map(chr, ids))

    def convert_tokens_to_ids(self, tokens):
        return [None] * len(tokens)


EXPRESSIONS = [Expression(("the red hat",), np.array([1.0, 2, 30, 40]))]


def test_the_list_is_the_published_one():
    found = public_wordings()
    assert len(found) == 53 and len(set(found)) == 53
    assert all(text.count(SLOT) == 1 and text == text.strip() for text in found)
    assert found[:2] == ("Where is <expr>?", "Where is <expr> in the image?")
    assert found[2] == referring_prompt(SLOT)
    assert "In, I need the bounding box bounding boxes of <expr>." in found
    assert hashlib.sha256(FILE.read_bytes()).hexdigest().startswith("c9476d32bd40e7d9")


def asked(tokenizer, choices, count=2000):
    rng, size = np.random.default_rng(0), (64, 64)
    prompts = [
        referring_prompts(EXPRESSIONS, size, tokenizer, 1, rng, choices)[0] for _ in range(count)
    ]
    return [tokenizer.decode(prompt.question) for prompt in prompts]


def test_an_open_vocabulary_is_asked_in_all_of_them_alike():
    counts = Counter(asked(Letters(), wordings(open_vocabulary=True)))
    expected = {text.replace(SLOT, "the red hat") for text in public_wordings()}
    assert set(counts) == expected
    assert 15 < min(counts.values()) and max(counts.values()) < 70  # 38 each, of 2,000


def test_a_closed_vocabulary_is_asked_in_the_one_it_knows():
    (question,) = set(asked(build_tokenizer(), wordings(open_vocabulary=False), 20))
    assert question == referring_prompt("the red hat")


def test_a_sentence_is_asked_about_in_the_same_words_in_every_run():
    sentences = [f"person {n}" for n in range(500)]
    questions = [steady(public_wordings(), sentence) for sentence in sentences]
    assert questions == [steady(public_wordings(), sentence) for sentence in sentences]
    assert all(s in q for s, q in zip(sentences, questions, strict=True))
    assert len({q.replace(s, SLOT) for s, q in zip(sentences, questions, strict=True)}) == 53
