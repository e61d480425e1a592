# SPDX-License-Identifier: Apache-2.0
"""CogVLM's decoder layer: every token passes the language expert or the vision expert.

Both experts share the norms and one attention; tensor names are those of the public checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration import CogVLMConfig

Rotation = tuple[Tensor, Tensor]


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 and rounded once, after the weight."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        h = x.float()
        h = h * torch.rsqrt(h.square().mean(-1, keepdim=True) + self.eps)
        return (self.weight * h).to(x.dtype)


PADDING_TYPE = -1  # token type of padding in packed training rows


class ExpertRouting:
    """Which tokens of a (B, T) batch go to which expert.

    A token is the vision expert's when it and its successor are image slots; the end-of-image
    token thus belongs to the language expert. Pure text never touches the vision expert, and
    tokens of PADDING_TYPE cost nothing: they pass no expert and come out as zeros.
    """

    def __init__(self, token_type_ids: Tensor | None):
        self.vision: Tensor | None = None
        if token_type_ids is None or token_type_ids.shape[1] < 2:
            return
        mask = torch.zeros_like(token_type_ids, dtype=torch.bool)
        mask[:, :-1] = (token_type_ids[:, :-1] == 1) & (token_type_ids[:, 1:] == 1)
        flat, padding = mask.flatten(), (token_type_ids == PADDING_TYPE).flatten()
        if not flat.any() and not padding.any():
            return
        self.vision = flat.nonzero().squeeze(1)
        self.language = (~flat & ~padding).nonzero().squeeze(1)
        routed = torch.cat((self.language, self.vision))
        # padding points behind the last routed token, at a row of zeros
        self.back = torch.full_like(token_type_ids.flatten(), len(routed))
        self.back[routed] = torch.arange(len(routed), device=routed.device)

    def __call__(self, x: Tensor, language: Callable, vision: Callable) -> Tensor:
        """Apply each expert to its own tokens of x (B, T, width) and put the results in place."""
        if self.vision is None:
            return language(x)
        flat = x.flatten(0, 1)
        by_language, by_vision = language(flat[self.language]), vision(flat[self.vision])
        parts = torch.cat((by_language, by_vision, torch.zeros_like(by_language[:1])))
        return parts[self.back].view(*x.shape[:2], -1)


def rotary(position_ids: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Rotation:
    """Cosines and sines (B, 1, T, head_dim) for the half-split rotary embedding of GPT-NeoX."""
    steps = torch.arange(0, head_dim, 2, device=position_ids.device, dtype=torch.float32)
    angles = position_ids[:, None, :, None].float() * theta ** (-steps / head_dim)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys (B, heads, T, head_dim) turned by `rotary` of their positions."""
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    """Causal attention over (B, T, hidden); text and image tokens have projections of their own.

    The fused projections hold the rows of Q, K and V in this order, as in the public checkpoint.
    """

    def __init__(self, config: CogVLMConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        width = config.hidden_size
        if not config.text_only:
            self.vision_expert_query_key_value = nn.Linear(width, 3 * width, bias=False)
            self.vision_expert_dense = nn.Linear(width, width, bias=False)
        self.language_expert_query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.language_expert_dense = nn.Linear(width, width, bias=False)

    def forward(
        self,
        x: Tensor,
        routing: ExpertRouting,
        rotation: Rotation,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """x (B, T, hidden) to the same.

        mask: bool, True = may attend, broadcast to (B, heads, T, all tokens); None is causal among
        the T tokens. cache: takes in the new keys and values of this layer and gives all.
        """
        batch, length, width = x.shape
        qkv = self._by_expert(routing, x, "query_key_value")
        q, k, v = qkv.view(batch, length, 3, -1, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, rotation), rotate(k, rotation)
        if cache is not None:
            k, v = cache.update(k, v, self.layer)
        # is_causal aligns queries and keys at their first: one new token would see one key alone
        causal = mask is None and length > 1
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        y = y.transpose(1, 2).reshape(batch, length, width)
        return self._by_expert(routing, y, "dense")

    def _by_expert(self, routing: ExpertRouting, x: Tensor, name: str) -> Tensor:
        language = getattr(self, f"language_expert_{name}")
        return routing(x, language, getattr(self, f"vision_expert_{name}", language))


class SwiGLU(nn.Module):
    """Gated feed-forward layer (..., hidden) of one expert (Shazeer, arXiv 2002.05202)."""

    def __init__(self, config: CogVLMConfig):
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.activation = ACT2FN[config.hidden_act]
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))


class ExpertMLP(nn.Module):
    """Feed-forward layer over (B, T, hidden) with an expert for text and one for image tokens."""

    def __init__(self, config: CogVLMConfig):
        super().__init__()
        self.language_mlp = SwiGLU(config)
        self.vision_mlp = None if config.text_only else SwiGLU(config)

    def forward(self, x: Tensor, routing: ExpertRouting) -> Tensor:
        return routing(x, self.language_mlp, self.vision_mlp or self.language_mlp)


class DecoderLayer(GradientCheckpointingLayer):
    """Pre-norm transformer layer over (B, T, hidden)."""

    def __init__(self, config: CogVLMConfig, layer: int):
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.mlp = ExpertMLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        routing: ExpertRouting,
        rotation: Rotation,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """x (B, T, hidden) to the same; mask and cache as of `Attention.forward`."""
        x = x + self.self_attn(self.input_layernorm(x), routing, rotation, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x), routing)
