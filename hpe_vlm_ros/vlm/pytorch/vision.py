# SPDX-License-Identifier: Apache-2.0
"""CogVLM's vision side: EVA2-CLIP transformer, GLU adapter, begin- and end-of-image vectors.

Tensor names are those of the public checkpoint (`model.vision.*`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration import CogVLMConfig, CogVLMVisionConfig
from .stem import EfficientNetLite0Stem


class PatchEmbedding(nn.Module):
    """Pictures (B, 3, S, S) to (B, 1 + patches, hidden): class token first, positions added."""

    def __init__(self, config: CogVLMVisionConfig):
        super().__init__()
        self.proj: nn.Module
        if config.stem is None:
            self.proj = nn.Conv2d(
                config.in_channels, config.hidden_size, config.patch_size, config.patch_size
            )
        else:
            self.proj = EfficientNetLite0Stem(config.in_channels, config.hidden_size)
        self.cls_embedding = nn.Parameter(torch.zeros(1, config.hidden_size))
        self.position_embedding = nn.Embedding(config.num_positions, config.hidden_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.proj(images).flatten(2).transpose(1, 2)
        cls = self.cls_embedding.expand(len(patches), 1, -1)
        return torch.cat((cls, patches), dim=1) + self.position_embedding.weight


class VisionAttention(nn.Module):
    """Plain multi-head attention over (B, T, hidden), fused projection with rows in the order Q, K,
    V."""

    def __init__(self, config: CogVLMVisionConfig):
        super().__init__()
        self.num_heads = config.num_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.query_key_value(x).view(batch, length, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.dense(y.transpose(1, 2).reshape(batch, length, width))


class VisionMLP(nn.Module):
    """Feed-forward layer of two linear maps over (..., hidden)."""

    def __init__(self, config: CogVLMVisionConfig):
        super().__init__()
        self.activation = ACT2FN[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(x)))


class VisionLayer(GradientCheckpointingLayer):
    """EVA2-CLIP's layer normalises each branch's OUTPUT: x + LN(attention(x)), x + LN(mlp(x))."""

    def __init__(self, config: CogVLMVisionConfig):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = VisionAttention(config)
        self.mlp = VisionMLP(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.input_layernorm(self.attention(x))
        return x + self.post_attention_layernorm(self.mlp(x))


class VisionTransformer(nn.Module):
    """All layers of the tower, over (B, 1 + patches, hidden)."""

    def __init__(self, config: CogVLMVisionConfig):
        super().__init__()
        self.layers = nn.ModuleList([VisionLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class GLUAdapter(nn.Module):
    """Gated map of image features (B, N, ...) from the vision width to the language width."""

    def __init__(self, config: CogVLMConfig):
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.linear_proj = nn.Linear(config.vision_config.hidden_size, width, bias=False)
        self.norm1 = nn.LayerNorm(width)
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.dense_h_to_4h = nn.Linear(width, inner, bias=False)
        self.dense_4h_to_h = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.norm1(self.linear_proj(x)))
        return self.dense_4h_to_h(F.silu(self.gate_proj(x)) * self.dense_h_to_4h(x))


class Presence(nn.Module):
    """Patch features (B, N, C) to the logit that a head's middle lies there, (B, N, 1).

    With `boxes` (B, N, 5): also the distances from the patch's middle to the left, upper, right
    and lower edge of that head's box, in patches.
    """

    def __init__(self, channels: int, boxes: bool = False):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 1)
        self.edges = nn.Linear(channels, 4) if boxes else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        normed = self.norm(features)
        logits: torch.Tensor = self.project(normed)
        return logits if self.edges is None else torch.cat((logits, self.edges(normed)), -1)


class VisionModel(nn.Module):
    """Pictures (B, 3, S, S) to what fills the image slots: (B, num_image_tokens, hidden)."""

    def __init__(self, config: CogVLMConfig):
        super().__init__()
        vision = config.vision_config
        self.patch_embedding = PatchEmbedding(vision)
        self.transformer = VisionTransformer(vision)
        merge, width = vision.merge_size, vision.hidden_size
        self.conv = nn.Conv2d(width, width, merge, merge) if merge > 1 else None
        self.linear_proj = GLUAdapter(config)
        self.presence = Presence(width, vision.patch_boxes) if vision.presence else None
        positions = torch.zeros(1, vision.num_patches, config.hidden_size)
        self.decoder_positions = nn.Parameter(positions) if vision.decoder_positions else None
        self.boi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.eoi = nn.Parameter(torch.zeros(1, 1, config.hidden_size))

    def _merge(self, x: torch.Tensor) -> torch.Tensor:
        if self.conv is None:
            return x
        batch, patches, width = x.shape
        side = int(patches**0.5)
        grid = x.transpose(1, 2).reshape(batch, width, side, side)
        return self.conv(grid).flatten(2).transpose(1, 2)

    def patches(self, images: torch.Tensor) -> torch.Tensor:
        """Features of the patches (B, N, C); the class token has done its work."""
        return self.transformer(self.patch_embedding(images))[:, 1:]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, S, S), normalised, to what fills the image slots."""
        return self.slots(self.patches(images))

    def slots(self, patches: torch.Tensor) -> torch.Tensor:
        """What fills the image slots, of the features of the patches."""
        x = self.linear_proj(self._merge(patches))
        if self.decoder_positions is not None:
            x = x + self.decoder_positions
        boi, eoi = (edge.expand(len(x), -1, -1) for edge in (self.boi, self.eoi))
        return torch.cat((boi, x, eoi), dim=1)
