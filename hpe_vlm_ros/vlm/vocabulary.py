# SPDX-License-Identifier: Apache-2.0
"""The closed vocabulary of small models: whole words, and each number 000..999 as one token.

A word that follows a space carries it as a leading "▁", so that decoding gives the very text
back. One token per number makes answers three times shorter than one token per digit.
"""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from ..answers import DETECTION_PROMPT, format_angles, format_boxes, pose_prompt
from .decoding.tokens import FileTokenizer

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")  # ids 0, 1, 2, 3
NUMBERS = tuple(f"{n:03d}" for n in range(1000))
PUNCTUATION = ("[[", "▁[[", "]]", "{", "▁{", "}", ",", ";", ".", "?", "▁", "'", "-", ":")
PIECES = r"▁?\[\[|\]\]|▁?\{|\}|[0-9]{3}|▁?[A-Za-z][A-Za-z0-9]*|."
VOCABULARY_SIZE = 1280

# The paper's paraphrases of the pose prompt (Table XI) and the usual referring templates
TEMPLATES = (
    "For the bbox [[]], what is the head yaw pitch roll?",
    "Please give the head pose yaw, pitch, roll for the bounding box [[]].",
    "Predict head pose yaw, pitch, roll in [[]].",
    "Where is the head? answer in [[x0,y0,x1,y1]] format.",
    "Who is looking at the person inside the bounding box [[]]? Is the head looking at me?",
)
# Words for referring expressions, so that later training needs no new vocabulary
WORDS = (
    "a an and all any both each front back side behind beside near far next to between above "
    "below under over on of with without no not one two three four five six seven eight nine "
    "ten first second third fourth fifth last left right leftmost rightmost middle center top "
    "bottom upper lower nearest farthest closest biggest smallest largest big small tall short "
    "person people man woman boy girl child adult baby head heads face faces body hand arm "
    "shoulder facing turned toward towards away up down camera wearing wears glasses sunglasses "
    "hat cap helmet hood scarf mask beard hair haired long bald shirt jacket coat dress skirt "
    "trousers shorts suit sweater black white gray grey red green blue yellow orange purple "
    "pink brown blond dark light striped plain standing sitting walking occluded visible hidden "
    "picture which that this there it he she they his her their out other group row "
    # gestures and facing, appended so that all older ids stay
    "gesture nod shake tilt turn updown none frontal extreme "
    # keypoints, appended too
    "where point absent at nose eye ear elbow wrist hip knee ankle joint tip lower leg foot "
    # what a person does
    "doing hands arms raised crossed knees bent yes"
).split()

BEGINNINGS = ("Is",)  # of further questions, behind all words so that older ids stay


def words_of(text: str) -> list[str]:
    """The pieces of a text in order, spaces attached as "▁"."""
    return re.findall(PIECES, text.replace(" ", "▁"))


def build_vocabulary() -> list[str]:
    """All tokens in the order of their ids, filled up with spare ones to VOCABULARY_SIZE."""
    box = (0, 0, 1, 1)
    texts = (DETECTION_PROMPT, pose_prompt(box), format_boxes([box, box]), format_angles(0, 0, 0))
    known = dict.fromkeys((*SPECIAL, *NUMBERS, *PUNCTUATION))
    for text in (*texts, *TEMPLATES):
        known.update(dict.fromkeys(words_of(text)))
    known.update(dict.fromkeys(f"▁{word}" for word in WORDS))
    known.update(dict.fromkeys(BEGINNINGS))
    spare = VOCABULARY_SIZE - len(known)
    if spare < 0:
        raise ValueError(f"{len(known)} tokens do not fit a vocabulary of {VOCABULARY_SIZE}")
    return [*known, *(f"<spare_{i}>" for i in range(spare))]


def build_tokenizer() -> FileTokenizer:
    """The tokenizer of small models; encode and decode are inverse for all prompts and answers."""
    vocabulary = {token: i for i, token in enumerate(build_vocabulary())}
    pad, bos, eos, unknown = SPECIAL
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    tokenizer.add_special_tokens(list(SPECIAL))
    roles = {"pad_token": pad, "bos_token": bos, "eos_token": eos, "unk_token": unknown}
    return FileTokenizer(tokenizer, roles)
