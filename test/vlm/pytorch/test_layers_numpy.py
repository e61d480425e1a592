# SPDX-License-Identifier: Apache-2.0
"""One decoder layer and one vision layer, written a second time in plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np
import torch
from numpy.typing import NDArray

from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM

Array = NDArray[np.float64]
HEADS, VIT_HEADS = 4, 3


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def weights_of(module: torch.nn.Module) -> dict[str, Array]:
    return {k: v.detach().double().numpy() for k, v in module.state_dict().items()}


def turned(vector: Array, position: int) -> Array:
    """Rotary embedding of one head's vector: component i pairs with component i + d/2."""
    half = len(vector) // 2
    out = np.empty_like(vector)
    for i in range(half):
        angle = position * 10000.0 ** (-2 * i / len(vector))
        a, b = vector[i], vector[i + half]
        out[i] = a * np.cos(angle) - b * np.sin(angle)
        out[i + half] = b * np.cos(angle) + a * np.sin(angle)
    return out


def decoder_layer(w: dict[str, Array], x: Array, types: list[int], positions: list[int]) -> Array:
    """Token by token, with no batching and no masks, straight from the model's description."""

    def expert(t: int) -> str:
        both = t + 1 < len(types) and types[t] == 1 and types[t + 1] == 1
        return "vision" if both else "language"

    def norm(v: Array, name: str) -> Array:
        return w[f"{name}.weight"] * v / np.sqrt((v**2).mean() + 1e-5)

    width = x.shape[1]
    size = width // HEADS
    q, k, v = (np.empty_like(x) for _ in range(3))
    for t, row in enumerate(x):
        fused = w[f"self_attn.{expert(t)}_expert_query_key_value.weight"] @ norm(
            row, "input_layernorm"
        )
        q[t], k[t], v[t] = fused[:width], fused[width : 2 * width], fused[2 * width :]
    out = np.empty_like(x)
    for t, row in enumerate(x):
        heads = []
        for h in range(HEADS):
            part = slice(h * size, (h + 1) * size)
            query = turned(q[t, part], positions[t])
            scores = [query @ turned(k[s, part], positions[s]) for s in range(t + 1)]
            heads.append(softmax(np.array(scores) / np.sqrt(size)) @ v[: t + 1, part])
        dense = w[f"self_attn.{expert(t)}_expert_dense.weight"]
        middle = row + dense @ np.concatenate(heads)
        mlp = f"mlp.{expert(t)}_mlp"
        y = norm(middle, "post_attention_layernorm")
        gated = silu(w[f"{mlp}.gate_proj.weight"] @ y) * (w[f"{mlp}.up_proj.weight"] @ y)
        out[t] = middle + w[f"{mlp}.down_proj.weight"] @ gated
    return out


def vision_layer(w: dict[str, Array], x: Array) -> Array:
    def norm(v: Array, name: str) -> Array:
        centred = v - v.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(v: Array, name: str) -> Array:
        return v @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    width = x.shape[1]
    size = width // VIT_HEADS
    q, k, v = np.split(linear(x, "attention.query_key_value"), 3, axis=1)
    attended = np.empty_like(x)
    for h in range(VIT_HEADS):
        part = slice(h * size, (h + 1) * size)
        for t in range(len(x)):
            attended[t, part] = softmax(k[:, part] @ q[t, part] / np.sqrt(size)) @ v[:, part]
    x = x + norm(linear(attended, "attention.dense"), "input_layernorm")
    hidden = gelu(linear(x, "mlp.fc1"))
    return x + norm(linear(hidden, "mlp.fc2"), "post_attention_layernorm")


def randomise_norms(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 1.0, 0.3)


def test_decoder_layer(tiny_config: Callable[..., CogVLMConfig]) -> None:
    model = CogVLMForCausalLM(tiny_config()).eval()
    randomise_norms(model)
    types = [0] + [1] * 6 + [0] * 5
    positions = [0, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7, 8]
    seen: dict[str, torch.Tensor] = {}
    layer = model.model.layers[0]
    layer.register_forward_hook(lambda m, args, output: seen.update(x=args[0], y=output))
    with torch.no_grad():
        model(
            input_ids=torch.arange(12)[None] + 5,
            token_type_ids=torch.tensor([types]),
            pixel_values=torch.randn(1, 3, 32, 32),
        )
    got = decoder_layer(weights_of(layer), seen["x"][0].double().numpy(), types, positions)
    assert np.abs(got).max() > 0.1
    np.testing.assert_allclose(got, seen["y"][0].numpy(), atol=1e-4)


def test_vision_layer(tiny_config: Callable[..., CogVLMConfig]) -> None:
    model = CogVLMForCausalLM(tiny_config())
    randomise_norms(model)
    layer = model.model.vision.transformer.layers[0]
    x = torch.randn(1, 7, 24)
    with torch.no_grad():
        y = layer(x)[0].numpy()
    np.testing.assert_allclose(vision_layer(weights_of(layer), x[0].double().numpy()), y, atol=1e-4)


def test_image_features(tiny_config: Callable[..., CogVLMConfig]) -> None:
    """Patches, class token dropped, adapter, begin and end vectors."""
    model = CogVLMForCausalLM(tiny_config())
    randomise_norms(model)
    vision = model.model.vision
    w = weights_of(vision)
    image = torch.randn(1, 3, 32, 32)
    pixels, size = image[0].double().numpy(), 16
    kernel = w["patch_embedding.proj.weight"].reshape(24, -1)
    rows = [w["patch_embedding.cls_embedding"][0]]
    for top in (0, size):
        for left in (0, size):
            patch = pixels[:, top : top + size, left : left + size].ravel()
            rows.append(kernel @ patch + w["patch_embedding.proj.bias"])
    x = np.array(rows) + w["patch_embedding.position_embedding.weight"]
    for index in range(2):
        prefix = f"transformer.layers.{index}."
        part = {k[len(prefix) :]: v for k, v in w.items() if k.startswith(prefix)}
        x = vision_layer(part, x)
    a = {k.removeprefix("linear_proj."): v for k, v in w.items() if k.startswith("linear_proj.")}
    y = x[1:] @ a["linear_proj.weight"].T
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
    y = gelu(y * a["norm1.weight"] + a["norm1.bias"])
    inner = silu(y @ a["gate_proj.weight"].T) * (y @ a["dense_h_to_4h.weight"].T)
    y = inner @ a["dense_4h_to_h.weight"].T
    expected = np.concatenate((w["boi"][0], y, w["eoi"][0]))
    with torch.no_grad():
        got = vision(image)[0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4)
