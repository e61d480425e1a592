# SPDX-License-Identifier: Apache-2.0
"""Packed rows against one row a prompt, and the attention hint against attention done by hand."""

import numpy as np
import pytest
import torch

from hpe_vlm_ros import answers
from hpe_vlm_ros.geometry import rotation_from_angles
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch.configuration import embedded
from hpe_vlm_ros.vlm.pytorch.language import rotary, rotate
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training.data.packing import pack
from training.data.prompts import ANGLE, COORDINATE, PackingOptions, build_prompts, exact_grid
from training.data.sample import Head
from training.supervision.attention_hint import AttentionHint, right_patches

SIZE = (64, 64)


@pytest.fixture(scope="module")
def model_and_processor():
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    vision = {"image_size": 64, "stem": None, "hidden_size": 32, "intermediate_size": 48}
    config = embedded(vision_config=vision | {"num_hidden_layers": 1}, **small)
    return CogVLMForCausalLM(config).eval(), CogVLMProcessor.embedded(config)


def two_heads():
    return [
        Head(np.array([40.0, 10, 60, 34]), rotation_from_angles(170, 5, -3)),
        Head(np.array([4.0, 20, 30, 50]), rotation_from_angles(-20.4, 10, 3)),
        Head(np.array([1.0, 1, 5, 5]), np.eye(3)),  # too small to be taught
        Head(np.array([30.0, 30, 50, 50]), np.eye(3), visible=0.1),  # hidden
    ]


def batch_of(processor, max_poses=4, jitter=0.0):
    options = PackingOptions(max_poses=max_poses, box_jitter=jitter)
    heads = two_heads()
    prompts = build_prompts(heads, SIZE, processor.tokenizer, options, np.random.default_rng(0))
    empty = build_prompts([], SIZE, processor.tokenizer, options, np.random.default_rng(0))
    images = [torch.randn(3, *SIZE) for _ in range(2)]
    rows = [prompts, empty]
    return pack(
        images, rows, [heads, []], [True, True], processor.num_image_tokens, processor.tokenizer
    ), rows


def test_prompts_ask_and_answer_as_the_grammar_says(model_and_processor):
    _, processor = model_and_processor
    _, (prompts, empty) = batch_of(processor)
    texts = [(processor.decode(p.question), processor.decode(p.answer)) for p in prompts]
    boxes = answers.parse_boxes(texts[0][1]).value
    assert texts[0][0] == answers.DETECTION_PROMPT
    assert boxes == [answers.grid_box(two_heads()[i].box, 64, 64) for i in (1, 0)]  # left to right
    assert {q for q, _ in texts[1:]} == {answers.pose_prompt(box) for box in boxes}
    for question, answer in texts[1:]:
        about_left = question == answers.pose_prompt(boxes[0])
        assert answers.parse_angles(answer).value == ((-20, 10, 3) if about_left else (170, 5, -3))
    assert [answers.parse_boxes(processor.decode(p.answer)).value for p in empty] == [[]]


def test_numbers_carry_their_real_values_and_whom_they_are_about(model_and_processor):
    _, processor = model_and_processor
    batch, _ = batch_of(processor)
    left = batch.about[0] == 1
    coordinates = batch.values[0][left & (batch.kinds[0] == COORDINATE)]
    np.testing.assert_allclose(coordinates, exact_grid(two_heads()[1].box, 64, 64), atol=1e-4)
    angles = batch.values[0][left & (batch.kinds[0] == ANGLE)]
    np.testing.assert_allclose(angles, [339.6, 10, 3], atol=1e-3)
    assert (batch.about[1] == -1).all()


def test_packed_prompts_do_not_see_each_other(model_and_processor):
    model, processor = model_and_processor
    batch, rows = batch_of(processor)
    with torch.no_grad():
        packed = model(
            batch.input_ids, batch.pixel_values, batch.token_type_ids, batch.position_ids,
            batch.attention_mask(),
        ).logits  # fmt: skip
        for row, prompts in enumerate(rows):
            for prompt, place in zip(prompts, batch.prompt_places(row), strict=True):
                prefix = processor.prefix()
                text = torch.tensor([prompt.question + prompt.answer])
                ids = torch.cat([prefix["input_ids"], text], 1)
                types = torch.cat([prefix["token_type_ids"], torch.zeros_like(text)], 1)
                alone = model(ids, batch.pixel_values[row : row + 1], types).logits
                torch.testing.assert_close(
                    packed[row, place], alone[0, -text.shape[1] :], rtol=1e-4, atol=1e-4
                )


def test_words_that_neighbours_share_stand_in_the_row_once(model_and_processor):
    _, processor = model_and_processor
    batch, (prompts, _) = batch_of(processor)
    poses = [p.question for p in prompts[1:]]
    shared = next(i for i, (a, b) in enumerate(zip(*poses, strict=False)) if a != b)
    whole = sum(len(p.question) + len(p.answer) for p in prompts)
    assert len(poses) == 2 and shared >= 10
    assert (batch.segments[0] > 0).sum() == whole - shared


def test_every_answer_token_is_learnt_and_no_question_token(model_and_processor):
    _, processor = model_and_processor
    batch, (prompts, _) = batch_of(processor)
    learnt = batch.targets[0] >= 0
    assert learnt.sum() == sum(len(p.answer) for p in prompts)
    assert batch.targets[0][learnt].tolist() == [t for p in prompts for t in p.answer]


def test_hint_is_the_attention_mass_on_the_patches_of_the_head(model_and_processor):
    model, processor = model_and_processor
    batch, _ = batch_of(processor, max_poses=0)
    hint = AttentionHint(model, layers=(1,))
    seen = {}
    attention = model.model.layers[1].self_attn
    handle = attention.register_forward_pre_hook(lambda module, args: seen.update(x=args[0]))
    with torch.no_grad():
        model.model(
            batch.input_ids, batch.pixel_values, batch.token_type_ids, batch.position_ids,
            batch.attention_mask(),
        )  # fmt: skip
        loss = hint.loss(batch, (2, 2))
    handle.remove()
    # by hand, token by token
    prefix = 1 + processor.num_image_tokens
    rotation = rotary(batch.position_ids, 8, 10000.0, torch.float32)
    pictured = torch.zeros(batch.input_ids.shape[1], dtype=torch.bool)
    pictured[1 : prefix - 1] = True
    expert = [attention.language_expert_query_key_value, attention.vision_expert_query_key_value]
    qkv = torch.stack([expert[int(p)](seen["x"][0, t]) for t, p in enumerate(pictured)])
    q, k = (part.view(-1, 4, 8).transpose(0, 1)[None] for part in (qkv[:, :32], qkv[:, 32:64]))
    row_rotation = tuple(part[:1] for part in rotation)
    q, k = rotate(q, row_rotation)[0, :2], rotate(k, row_rotation)[0, :2]
    terms = []
    for t in (batch.about[0] >= 0).nonzero().flatten().tolist():
        weights = (q[:, t] @ k.transpose(1, 2) / 8**0.5)[torch.arange(2), torch.arange(2)]
        weights = weights.masked_fill(~batch.attention_mask()[0, 0, t], -torch.inf).softmax(-1)
        rows = torch.tensor([0]), torch.tensor([t])
        goal = right_patches(batch, *rows, (2, 2))[0]
        terms.append(-weights[:, goal].sum(-1).log())
    torch.testing.assert_close(loss, torch.stack(terms).mean(), rtol=1e-4, atol=1e-4)


def test_right_patches_cover_the_box_and_never_nothing(model_and_processor):
    _, processor = model_and_processor
    batch, _ = batch_of(processor, max_poses=0)
    rows, columns = (batch.about >= 0).nonzero(as_tuple=True)
    goal = right_patches(batch, rows, columns, (2, 2))[:, 2:6]
    by_head = {int(batch.about[0, c]): goal[i].tolist() for i, c in enumerate(columns)}
    # patch centres lie at 16 and 48: the left head holds (16, 48), the right one no centre at all
    assert by_head == {1: [False, False, True, False], 0: [False, True, False, False]}


def test_how_far_an_angle_is_known_stands_beside_it(model_and_processor):
    _, processor = model_and_processor
    heads = two_heads()[:2]
    heads[0].spread = np.array([9.0, 8.0, 7.0])
    options = PackingOptions(max_poses=2, box_jitter=0.0)
    prompts = build_prompts(heads, SIZE, processor.tokenizer, options, np.random.default_rng(0))
    batch = pack(
        [torch.randn(3, *SIZE)], [prompts], [heads], [True], processor.num_image_tokens,
        processor.tokenizer,
    )  # fmt: skip
    angles = batch.kinds == ANGLE
    of_first = angles & (batch.about == 0)
    assert batch.widths[of_first].tolist() == [9.0, 8.0, 7.0]
    assert batch.widths[~of_first].eq(0).all() and (angles & (batch.about == 1)).sum() == 3
