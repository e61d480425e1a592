# SPDX-License-Identifier: Apache-2.0
"""Routing, positions, masks, caches and saving of the model as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.pytorch.language import ExpertRouting
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM, attention_mask_of, position_ids_of

Config = Callable[..., CogVLMConfig]
CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_config: Config) -> CogVLMForCausalLM:
    return CogVLMForCausalLM(tiny_config()).eval()


def inputs(model: CogVLMForCausalLM, text: int, batch: int = 1) -> dict[str, torch.Tensor]:
    slots = model.config.num_image_tokens
    types = torch.zeros(batch, 1 + slots + text, dtype=torch.long)
    types[:, 1 : 1 + slots] = 1
    return {
        "input_ids": torch.randint(3, 1280, types.shape),
        "token_type_ids": types,
        "pixel_values": torch.randn(batch, 3, 32, 32),
    }


def test_positions_and_routing() -> None:
    types = torch.tensor([[0, 1, 1, 1, 1, 1, 0, 0, 0], [0] * 9])
    assert position_ids_of(types).tolist() == [[0, 1, 2, 2, 2, 3, 4, 5, 6], [*range(9)]]
    routing = ExpertRouting(types)
    assert routing.vision is not None
    assert routing.vision.tolist() == [1, 2, 3, 4]  # begin and patches; the end is language
    x = torch.arange(18.0).view(2, 9, 1)
    routed = routing(x, lambda t: t, lambda t: -t)
    signs = torch.ones(2, 9, 1)
    signs[0, 1:5] = -1
    assert torch.equal(routed, x * signs)


def test_pure_text_never_touches_the_vision_expert(model: CogVLMForCausalLM) -> None:
    for name, parameter in model.named_parameters():
        if "vision" in name:
            torch.nn.init.constant_(parameter, float("nan"))
    logits = model(torch.tensor([[1, 20, 30]])).logits
    assert logits.isfinite().all()


def test_masks() -> None:
    assert attention_mask_of(None, 5, 0, CPU) is None
    assert attention_mask_of(torch.ones(1, 8), 5, 3, CPU) is not None
    assert attention_mask_of(None, 1, 3, CPU) is None
    chunk = attention_mask_of(None, 2, 2, CPU)
    assert chunk is not None and chunk[0, 0].int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    padded = attention_mask_of(torch.tensor([[0, 1, 1]]), 3, 0, CPU)
    assert padded is not None
    assert padded[0, 0].int().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_cached_decoding_agrees_with_full_recomputation(model: CogVLMForCausalLM) -> None:
    batch = inputs(model, text=9, batch=2)
    full = model(**batch).logits
    positions = position_ids_of(batch["token_type_ids"])
    split = 1 + model.config.num_image_tokens + 2
    first = model(
        batch["input_ids"][:, :split],
        batch["pixel_values"],
        batch["token_type_ids"][:, :split],
        use_cache=True,
    )
    torch.testing.assert_close(first.logits, full[:, :split], atol=1e-4, rtol=1e-4)
    start = split
    for end in (split + 3, split + 4, split + 7):  # a chunk, one token, a chunk
        step = model(
            batch["input_ids"][:, start:end],
            position_ids=positions[:, start:end],
            past_key_values=first.past_key_values,
        )
        torch.testing.assert_close(step.logits, full[:, start:end], atol=1e-4, rtol=1e-4)
        start = end


def test_generate_agrees_with_recomputation(model: CogVLMForCausalLM) -> None:
    model.generation_config.eos_token_id = None
    batch = inputs(model, text=4)
    batch["input_ids"][:, 1:5] = 0  # padding ids in the image slots must not be masked
    made = model.generate(**batch, max_new_tokens=6, do_sample=False)
    ids, types = batch["input_ids"], batch["token_type_ids"]
    for _ in range(6):
        logits = model(ids, batch["pixel_values"], types).logits
        ids = torch.cat((ids, logits[:, -1].argmax(-1, keepdim=True)), dim=1)
        types = torch.cat((types, torch.zeros(1, 1, dtype=torch.long)), dim=1)
    assert torch.equal(made, ids)


def test_packed_questions_equal_separate_ones(model: CogVLMForCausalLM) -> None:
    """One image prefix and two texts in a row, under an explicit mask with explicit positions."""
    batch = inputs(model, text=7)
    prefix = 1 + model.config.num_image_tokens
    owner = torch.tensor([0] * prefix + [1] * 3 + [2] * 4)
    index = torch.arange(len(owner))
    mask = (owner == owner[:, None]) | (owner == 0)
    mask = (mask & (index <= index[:, None]))[None, None]
    positions = torch.tensor([[0, 1, 2, 2, 2, 2, 3, 4, 5, 6, 4, 5, 6, 7]])
    packed = model(**batch, attention_mask=mask, position_ids=positions).logits
    for start, end in ((prefix, prefix + 3), (prefix + 3, prefix + 7)):
        keep = [*range(prefix), *range(start, end)]
        alone = model(
            batch["input_ids"][:, keep], batch["pixel_values"], batch["token_type_ids"][:, keep]
        ).logits
        torch.testing.assert_close(packed[:, start:end], alone[:, prefix:], atol=1e-4, rtol=1e-4)


def test_left_padding_changes_nothing(model: CogVLMForCausalLM) -> None:
    batch = inputs(model, text=4)
    alone = model(**batch).logits
    pad = torch.zeros(1, 3, dtype=torch.long)
    padded = {k: torch.cat((pad, batch[k]), 1) for k in ("input_ids", "token_type_ids")}
    mask = torch.cat((pad, torch.ones_like(batch["input_ids"])), 1)
    logits = model(**padded, pixel_values=batch["pixel_values"], attention_mask=mask).logits
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[:, 3:], alone, atol=1e-4, rtol=1e-4)


def test_loss_scores_only_labels(model: CogVLMForCausalLM) -> None:
    batch = inputs(model, text=5)
    labels = torch.full_like(batch["input_ids"], -100)
    labels[0, -2:] = batch["input_ids"][0, -2:]
    out = model(**batch, labels=labels)
    log = out.logits.log_softmax(-1)[0]
    ids = batch["input_ids"][0]
    expected = -(log[-3, ids[-2]] + log[-2, ids[-1]]) / 2
    torch.testing.assert_close(out.loss, expected)
    kept = model(**batch, logits_to_keep=torch.tensor([2, 9])).logits
    torch.testing.assert_close(kept, out.logits[:, [2, 9]])
    torch.testing.assert_close(model(**batch, logits_to_keep=1).logits, out.logits[:, -1:])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_every_parameter_learns(tiny_config: Config, checkpointing: bool) -> None:
    extras = {"stem": "efficientnet_lite0", "merge_size": 2, "decoder_positions": True}
    model = CogVLMForCausalLM(tiny_config(vision_config=extras)).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    batch = inputs(model, text=5)
    model(**batch, labels=batch["input_ids"]).loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without
    still = [n for n, p in model.named_parameters() if not p.grad.abs().sum()]
    assert not still


def test_slots_and_pictures_must_agree(model: CogVLMForCausalLM) -> None:
    batch = inputs(model, text=3)
    batch["token_type_ids"][0, 1] = 0
    with pytest.raises(ValueError, match="5 image slots.*fill 6 each"):
        model(**batch)
    with pytest.raises(ValueError, match="token_type_ids"):
        model(batch["input_ids"], batch["pixel_values"])


def test_save_and_load_are_exact(model: CogVLMForCausalLM, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded, info = CogVLMForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    auto = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(auto, CogVLMForCausalLM)
    again = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(again, CogVLMConfig)
    assert again.vision_config.to_dict() == model.config.vision_config.to_dict()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vision_config": {"stem": "resnet"}}, "resnet"),
        ({"vision_config": {"image_size": 40}}, "multiple"),
        ({"vision_config": {"stem": "efficientnet_lite0", "patch_size": 8}}, "patch_size 16"),
        ({"vision_config": {"num_heads": 5}}, "5 heads"),
        ({"num_attention_heads": 5}, "5 heads"),
        ({"number_decoding": "guess"}, "guess"),
    ],
)
def test_impossible_configs_say_why(tiny_config: Config, fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(**fields)
