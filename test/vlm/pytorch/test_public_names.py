# SPDX-License-Identifier: Apache-2.0
"""The 17B model's tensors against a table written from the public checkpoint's description."""

from __future__ import annotations

import torch

from hpe_vlm_ros.vlm.pytorch.configuration import embedded, grounding_generalist_17b
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

W, INNER, VOCABULARY, LAYERS = 4096, 11008, 32000, 32
VIT, VIT_INNER, VIT_LAYERS, POSITIONS = 1792, 15360, 63, 1226

ONCE = {
    "model.embed_tokens.weight": (VOCABULARY, W),
    "model.norm.weight": (W,),
    "lm_head.weight": (VOCABULARY, W),
    "model.vision.patch_embedding.proj.weight": (VIT, 3, 14, 14),
    "model.vision.patch_embedding.proj.bias": (VIT,),
    "model.vision.patch_embedding.cls_embedding": (1, VIT),
    "model.vision.patch_embedding.position_embedding.weight": (POSITIONS, VIT),
    "model.vision.linear_proj.linear_proj.weight": (W, VIT),
    "model.vision.linear_proj.norm1.weight": (W,),
    "model.vision.linear_proj.norm1.bias": (W,),
    "model.vision.linear_proj.gate_proj.weight": (INNER, W),
    "model.vision.linear_proj.dense_h_to_4h.weight": (INNER, W),
    "model.vision.linear_proj.dense_4h_to_h.weight": (W, INNER),
    "model.vision.boi": (1, 1, W),
    "model.vision.eoi": (1, 1, W),
}
PER_LAYER = {
    "input_layernorm.weight": (W,),
    "post_attention_layernorm.weight": (W,),
    "self_attn.language_expert_query_key_value.weight": (3 * W, W),
    "self_attn.vision_expert_query_key_value.weight": (3 * W, W),
    "self_attn.language_expert_dense.weight": (W, W),
    "self_attn.vision_expert_dense.weight": (W, W),
    "mlp.language_mlp.gate_proj.weight": (INNER, W),
    "mlp.language_mlp.up_proj.weight": (INNER, W),
    "mlp.language_mlp.down_proj.weight": (W, INNER),
    "mlp.vision_mlp.gate_proj.weight": (INNER, W),
    "mlp.vision_mlp.up_proj.weight": (INNER, W),
    "mlp.vision_mlp.down_proj.weight": (W, INNER),
}
PER_VIT_LAYER = {
    "attention.query_key_value.weight": (3 * VIT, VIT),
    "attention.query_key_value.bias": (3 * VIT,),
    "attention.dense.weight": (VIT, VIT),
    "attention.dense.bias": (VIT,),
    "mlp.fc1.weight": (VIT_INNER, VIT),
    "mlp.fc1.bias": (VIT_INNER,),
    "mlp.fc2.weight": (VIT, VIT_INNER),
    "mlp.fc2.bias": (VIT,),
    "input_layernorm.weight": (VIT,),
    "input_layernorm.bias": (VIT,),
    "post_attention_layernorm.weight": (VIT,),
    "post_attention_layernorm.bias": (VIT,),
}


def expected_17b() -> dict[str, tuple[int, ...]]:
    table = dict(ONCE)
    for i in range(LAYERS):
        table |= {f"model.layers.{i}.{name}": shape for name, shape in PER_LAYER.items()}
    for i in range(VIT_LAYERS):
        prefix = f"model.vision.transformer.layers.{i}."
        table |= {prefix + name: shape for name, shape in PER_VIT_LAYER.items()}
    return table


def test_tensors_are_those_of_the_public_checkpoint() -> None:
    with torch.device("meta"):
        model = CogVLMForCausalLM(grounding_generalist_17b())
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert found == expected_17b()
    assert sum(parameter.numel() for parameter in model.parameters()) == 17_639_685_376


def test_public_config_values() -> None:
    config = grounding_generalist_17b()
    assert config.num_image_tokens == 1227
    assert (config.rms_norm_eps, config.rope_theta, config.head_dim) == (1e-5, 10000.0, 128)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)
    assert config.vision_config.layer_norm_eps == 1e-6
    assert config.template_version == "base" and not config.tie_word_embeddings


def test_embedded_differs_only_where_it_says() -> None:
    with torch.device("meta"):
        model = CogVLMForCausalLM(embedded())
    plain = {name for name in expected_17b() if ".layers." not in name}
    extra = {name for name in model.state_dict() if ".layers." not in name} - plain
    own = ("patch_embedding.proj.", "conv.", "decoder_positions", "presence.")
    assert all(name.startswith(tuple(f"model.vision.{part}" for part in own)) for name in extra)
    assert {name for name in extra if "conv." in name} == {
        "model.vision.conv.weight",
        "model.vision.conv.bias",
    }
    layers = {name for name in model.state_dict() if name.startswith("model.layers.0.")}
    assert layers == {f"model.layers.0.{name}" for name in PER_LAYER}
