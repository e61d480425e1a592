# SPDX-License-Identifier: Apache-2.0
"""The two graphs that an export consists of, as modules over the weights of a model.

`ImageGraph` turns a picture into keys and values; it holds the vision tower and the vision experts.
`StepGraph` appends tokens; it holds the language experts. Between them they hold each weight once:

* BOS sees nothing but itself, so its keys and values are constants of the first graph.
* The end-of-image token belongs to the language expert. It is the first token that the second graph
  is fed, under an id behind the vocabulary.
* Of the first graph's last layer nothing but keys and values is ever read, so no more is computed;
  of the second's, only what the wanted logits come from.

Keys and values of all layers are one tensor, (tokens, 2 * layers * hidden), a row a token: what a
step gives is written behind what was there, in one piece.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx.ops import attention, rotary_embedding

from .language import DecoderLayer, Rotation, SwiGLU
from .modeling import CogVLMForCausalLM

BOS_POSITION, BEGIN_POSITION, PATCH_POSITION = 0, 1, 2  # the end of the image has 3


class Expert(nn.Module):
    """One decoder layer for tokens (1, T, hidden) of one expert, "vision" or "language"."""

    def __init__(self, layer: DecoderLayer, name: str, width: int, heads: int, eps: float):
        super().__init__()
        mlp: SwiGLU = getattr(layer.mlp, f"{name}_mlp")
        self.qkv = getattr(layer.self_attn, f"{name}_expert_query_key_value")
        self.dense = getattr(layer.self_attn, f"{name}_expert_dense")
        self.down, self.activation = mlp.down_proj, mlp.activation
        joined = torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)).detach()
        self.gate_up = nn.Linear(joined.shape[1], joined.shape[0], bias=False)
        self.gate_up.weight = nn.Parameter(joined)
        norms = (layer.input_layernorm, layer.post_attention_layernorm)
        self.norms = nn.ParameterList([norm.weight for norm in norms])
        self.width, self.heads, self.eps = width, heads, eps

    def project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (1, T, hidden)."""
        q, k, v = self.qkv(self.norm(x, 0)).split(self.width, dim=-1)
        return self.turn(q, rotation), self.turn(k, rotation), v

    def output(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """The layer's output; k and v (1, all tokens, hidden), mask (T, all tokens)."""
        heads = self.heads
        y, *_ = attention(q, k, v, mask, q_num_heads=heads, kv_num_heads=heads)
        x = x + self.dense(y)
        gate, up = self.gate_up(self.norm(x, 1)).chunk(2, dim=-1)
        return x + self.down(self.activation(gate) * up)

    def norm(self, x: Tensor, which: int) -> Tensor:
        """Root-mean-square norm of x (1, T, hidden): 0 before attention, 1 before the feed-forward
        layer."""
        return F.rms_norm(x, (self.width,), self.norms[which], self.eps)

    def turn(self, x: Tensor, rotation: Rotation) -> Tensor:
        """Queries or keys (1, T, hidden), turned by the rotary embedding of their positions."""
        return rotary_embedding(x, *rotation, num_heads=self.heads)


class _Graph(nn.Module):
    frequencies: Tensor

    def __init__(self, model: CogVLMForCausalLM, expert: str):
        super().__init__()
        config = model.config
        width, heads = config.hidden_size, config.num_attention_heads
        self.layers = nn.ModuleList(
            [Expert(x, expert, width, heads, config.rms_norm_eps) for x in model.model.layers]
        )
        steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32)
        self.register_buffer("frequencies", config.rope_theta ** (-steps / config.head_dim))

    @property
    def experts(self) -> list[Expert]:
        return [layer for layer in self.layers if isinstance(layer, Expert)]

    def rotation(self, positions: Tensor) -> Rotation:
        angles = positions.float()[None, :, None] * self.frequencies
        return angles.cos(), angles.sin()


class ImageGraph(_Graph):
    """Picture (1, 3, S, S) to keys and values of BOS, begin-of-image and patches; where the model
    has a read-out of presence, also to that (patches, 1 or 5), see `vision.Presence`."""

    mask: Tensor

    def __init__(self, model: CogVLMForCausalLM):
        super().__init__(model, "vision")
        self.vision = model.model.vision
        patches = model.config.num_image_tokens - 2
        positions = torch.tensor([BEGIN_POSITION] + [PATCH_POSITION] * patches)
        self.constants = nn.ParameterList([*self.rotation(positions), *_bos(model)])
        # row i is token i + 1 of the sequence: BOS stands before
        self.register_buffer("mask", torch.ones(patches + 1, patches + 2).tril(1).bool())

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """pixels (1, 3, S, S), normalised.

        Returns rows (2 + image patches, 2 * layers * hidden) of keys and values and, where the
        model has the read-out, logits (patches of the tower,), which are more where patches are
        merged.
        """
        patches = self.vision.patches(pixels)
        x = self.vision.slots(patches)[:, :-1]
        cos, sin, *bos = self.constants
        rows: list[Tensor] = []
        for index, layer in enumerate(self.experts):
            q, *new = layer.project(x, (cos, sin))
            k, v = (torch.cat((bos[2 * index + i], new[i]), 1) for i in range(2))
            rows += [k, v]
            if index + 1 < len(self.experts):
                x = layer.output(x, q, k, v, self.mask)
        cache = torch.cat(rows, -1)[0]
        here = self.vision.presence
        return cache if here is None else (cache, here(patches)[0])


@torch.no_grad()
def _bos(model: CogVLMForCausalLM) -> list[Tensor]:
    """Keys and values (1, 1, hidden) of BOS, by layers."""
    x = model.model.embed_tokens(torch.tensor([[model.config.bos_token_id or 0]]))
    language = StepGraph(model)
    rows: list[Tensor] = []
    for layer in language.experts:
        q, k, v = layer.project(x, language.rotation(torch.tensor([BOS_POSITION])))
        rows += [k, v]
        x = layer.output(x, q, k, v, torch.ones(1, 1, dtype=torch.bool))
    return rows


class StepGraph(_Graph):
    """Tokens to logits, and to the keys and values to append."""

    def __init__(self, model: CogVLMForCausalLM):
        super().__init__(model, "language")
        weights = (model.model.embed_tokens.weight, model.model.vision.eoi[0])
        self.embedding = nn.Embedding.from_pretrained(torch.cat(weights).detach())
        self.last_norm = model.model.norm.weight
        self.lm_head = model.lm_head
        self.eps = model.config.rms_norm_eps

    def forward(
        self, ids: Tensor, positions: Tensor, mask: Tensor, wanted: Tensor, past: Tensor
    ) -> tuple[Tensor, Tensor]:
        """ids, positions (T,); mask (T, P + T); wanted (K,); past (P, 2 * layers * hidden).

        Returns logits (K, vocabulary) and what to append to `past`, (T, 2 * layers * hidden).
        """
        x = self.embedding(ids[None])
        rotation = self.rotation(positions)
        known = past[None].split(x.shape[-1], dim=-1)
        rows: list[Tensor] = []
        for index, layer in enumerate(self.experts):
            q, *new = layer.project(x, rotation)
            k, v = (torch.cat((known[2 * index + i], new[i]), 1) for i in range(2))
            rows += new
            if index + 1 == len(self.experts):  # from here on, no others are read
                x, q = x.index_select(1, wanted), q.index_select(1, wanted)
                mask = mask.index_select(0, wanted)
            x = layer.output(x, q, k, v, mask)
        last = F.rms_norm(x[0], self.last_norm.shape, self.last_norm, self.eps)
        return self.lm_head(last), torch.cat(rows, -1)[0]
