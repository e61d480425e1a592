# SPDX-License-Identifier: Apache-2.0
"""LoRA: what is trained, that folding changes no answer, and that an adapter survives a file."""

from __future__ import annotations

import copy

import pytest
import torch

from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig, grounding_generalist_17b
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training.model.lora import (
    BlockLinear,
    LoraOptions,
    add_lora,
    fold_lora,
    load_adapter,
    save_adapter,
    trainable,
    trained_layers,
)

VISION = {
    "image_size": 28,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_heads": 3,
    "intermediate_size": 40,
    "initializer_range": 0.2,
}


def tiny_model() -> CogVLMForCausalLM:
    torch.manual_seed(0)
    config = CogVLMConfig(
        vision_config=VISION,
        vocab_size=60,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.2,
    )
    return CogVLMForCausalLM(config).eval()


def move(model: CogVLMForCausalLM) -> None:
    """Stands for training: every trainable parameter takes a step in a random direction."""
    torch.manual_seed(1)
    for parameter in trainable(model):
        parameter.data += 0.3 * torch.randn_like(parameter)


@torch.no_grad()
def logits(model: CogVLMForCausalLM) -> torch.Tensor:
    torch.manual_seed(2)
    types = torch.tensor([[0] + [1] * model.config.num_image_tokens + [0] * 5])
    ids = torch.randint(3, 60, types.shape)
    pixels = torch.randn(1, 3, 28, 28)
    return model(input_ids=ids, token_type_ids=types, pixel_values=pixels).logits


def test_17b_trains_as_many_parameters_as_the_authors():
    with torch.device("meta"):
        model = CogVLMForCausalLM(grounding_generalist_17b())
        add_lora(model)
    assert sum(p.numel() for p in trainable(model)) == 515_123_968
    names = {n.replace(".base_layer", "") for n, p in model.named_parameters() if p.requires_grad}
    pairs = {name.split(".lora_")[0] for name in names if ".lora_" in name}
    assert len(pairs) == 190
    assert not any("vision_expert" in name for name in names)
    mlps = {int(name.split(".")[4]) for name in names if ".mlp." in name}
    assert mlps == set(range(46, 55))


def test_untrained_adapters_change_nothing():
    model = tiny_model()
    before = logits(model)
    add_lora(model)
    torch.testing.assert_close(logits(model), before, rtol=0, atol=0)


@pytest.mark.parametrize("blocks", [1, 3])
def test_each_block_has_its_own_pair(blocks):
    torch.manual_seed(0)
    layer = BlockLinear(2, 12, bias=False)
    x = torch.randn(5, 7, 2 * blocks)
    rows = layer.weight.chunk(blocks)
    pieces = [part @ row.T for part, row in zip(x.chunk(blocks, -1), rows, strict=True)]
    torch.testing.assert_close(layer(x), torch.cat(pieces, -1))


def test_folded_model_says_the_same():
    model = tiny_model()
    untrained = logits(model)
    names = list(model.state_dict())
    add_lora(model, LoraOptions(rank=2, alpha=3.0))
    move(model)
    trained = logits(model)
    assert (trained - untrained).abs().max() > 0.1
    fold_lora(model)
    torch.testing.assert_close(logits(model), trained, rtol=1e-5, atol=1e-5)
    assert list(model.state_dict()) == names
    assert not list(trainable(model))


def test_adapters_of_q_k_and_v_are_independent():
    model = tiny_model()
    name = "model.layers.1.self_attn.language_expert_query_key_value"
    add_lora(model, LoraOptions(rank=2, alpha=2.0))
    layer = model.get_submodule(name)
    before = layer.base_layer.weight.clone()
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert a.shape == (6, 32) and b.shape == (96, 2)
    torch.nn.init.normal_(b[32:64])  # of K alone
    fold_lora(model)
    change = model.get_submodule(name).weight - before
    assert not change[:32].any() and not change[64:].any()
    torch.testing.assert_close(change[32:64], b[32:64] @ a[2:4])


def test_folding_bfloat16_rounds_once():
    model = tiny_model().bfloat16()
    add_lora(model)
    move(model)
    name = "model.layers.0.self_attn.language_expert_dense"
    layer = model.get_submodule(name)
    exact = layer.base_layer.weight.double() + layer.get_delta_weight("default").double()
    fold_lora(model)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    # halfway cases aside, one rounding of a float32 sum is the rounding of the exact sum
    same = model.get_submodule(name).weight == exact.bfloat16()
    assert same.float().mean() > 0.99


def test_only_what_is_trainable_gets_gradients():
    model = tiny_model()
    add_lora(model)
    model(
        input_ids=torch.tensor([[1, 2, 3, 4]]), labels=torch.tensor([[1, 2, 3, 4]])
    ).loss.backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved and all("language_expert" in name and ".lora_" in name for name in moved)


def test_adapter_survives_a_file(tmp_path):
    model, fresh = tiny_model(), tiny_model()
    options = LoraOptions(rank=3, targets=("attention.dense",), trained_mlps=None)
    add_lora(model, options)
    move(model)
    save_adapter(tmp_path, model, options)
    assert load_adapter(tmp_path, fresh) == options
    torch.testing.assert_close(logits(fresh), logits(model), rtol=0, atol=0)


def test_adapter_of_another_model_is_refused(tmp_path):
    model = tiny_model()
    add_lora(model, LoraOptions(rank=3))
    save_adapter(tmp_path, model, LoraOptions(rank=2))
    with pytest.raises(ValueError, match="lora_A.weight is missing or of another shape"):
        load_adapter(tmp_path, tiny_model())


def test_target_that_names_nothing_is_refused():
    with pytest.raises(ValueError, match="'self_attn.dense' ends the name of no linear layer"):
        add_lora(tiny_model(), LoraOptions(targets=("self_attn.dense",)))


@pytest.mark.parametrize(
    ("depth", "layers"), [(63, range(46, 55)), (4, [3]), (1, [0]), (24, [18, 19, 20])]
)
def test_trained_mlps_scale_with_the_depth(depth, layers):
    assert list(trained_layers(depth, (46, 54, 63))) == list(layers)
    assert not list(trained_layers(depth, None))


def test_model_can_be_adapted_again():
    model = tiny_model()
    for _ in range(2):
        add_lora(model)
        fold_lora(model)
    copied = copy.deepcopy(model)
    assert not hasattr(copied, "peft_config")
