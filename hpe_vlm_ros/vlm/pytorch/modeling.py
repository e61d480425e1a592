# SPDX-License-Identifier: Apache-2.0
"""CogVLM for causal language modelling, native in transformers: no remote code, no conversion.

Wang et al., "CogVLM: Visual Expert for Pretrained Language Models" (2023). The sequence is
[BOS] [begin image][patches][end image] [text]; the image slots carry token type 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from .configuration import CogVLMConfig
from .language import DecoderLayer, ExpertRouting, RMSNorm, rotary
from .stem import SameConv2d
from .vision import PatchEmbedding, VisionModel


def position_ids_of(token_type_ids: Tensor) -> Tensor:
    """Positions (B, T) by CogVLM's rule: all patches of an image share one position.

    BOS 0, begin image 1, every patch 2, end image 3, text from 4 on: the order of the patches is
    the vision tower's business. `token_type_ids` (B, T) is 1 in image slots.
    """
    image = token_type_ids == 1
    patch = torch.zeros_like(image)
    patch[:, 1:-1] = image[:, :-2] & image[:, 1:-1] & image[:, 2:]
    step = torch.ones_like(token_type_ids)
    step[:, 1:][patch[:, 1:] & patch[:, :-1]] = 0
    return step.cumsum(dim=1) - 1


def attention_mask_of(mask: Tensor | None, length: int, past: int, device: Any) -> Tensor | None:
    """The mask attention needs: None (plain causal, or one last token) or bool, True = may attend.

    A 4-D mask is taken as it is; a 2-D one (B, past + length; 1 = real token) is joined with
    causality, each token seeing itself in any case so that padding rows stay finite.
    """
    if mask is not None and mask.dim() == 4:
        return mask
    if mask is not None and bool(mask.all()):
        mask = None
    if mask is None and (past == 0 or length == 1):
        return None
    keys = torch.arange(past + length, device=device)
    queries = keys[past:, None]
    causal = keys <= queries
    if mask is None:
        return causal[None, None]
    return (causal & mask[:, None, None, :].bool()) | (keys == queries)


class CogVLMPreTrainedModel(PreTrainedModel):
    """What transformers must know of the architecture, and how weights are drawn."""

    config_class = CogVLMConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["DecoderLayer", "VisionLayer"]
    _skip_keys_device_placement = ["past_key_values"]
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq$"]
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        vision_std = self.config.vision_config.initializer_range
        if isinstance(module, SameConv2d):  # no norms in the stem: keep the scale through ReLU6
            init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, PatchEmbedding):
            init.normal_(module.cls_embedding, std=vision_std)
        elif isinstance(module, VisionModel):
            init.normal_(module.boi, std=self.config.initializer_range)
            init.normal_(module.eoi, std=self.config.initializer_range)


class CogVLMModel(CogVLMPreTrainedModel):
    """Tokens and pictures to hidden states."""

    def __init__(self, config: CogVLMConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(
            [DecoderLayer(config, i) for i in range(config.num_hidden_layers)]
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.vision = None if config.text_only else VisionModel(config)
        self.gradient_checkpointing = False
        self.post_init()

    def embed(
        self, input_ids: Tensor, pixel_values: Tensor | None, token_type_ids: Tensor | None
    ) -> Tensor:
        """Embeddings (B, T, hidden), image slots filled with the vision tower's output."""
        embeds = self.embed_tokens(input_ids)
        if pixel_values is None:
            return embeds
        if self.vision is None:
            raise ValueError("this model reads text alone (config.text_only): give no pixel_values")
        if token_type_ids is None:
            raise ValueError("pixel_values need token_type_ids that mark the image slots with 1")
        features = self.vision(pixel_values.to(self.vision.boi.dtype)).to(embeds.dtype)
        slots = token_type_ids == 1
        if int(slots.sum()) != features.shape[0] * features.shape[1]:
            raise ValueError(
                f"{int(slots.sum())} image slots in token_type_ids, but {features.shape[0]} "
                f"picture(s) fill {features.shape[1]} each (see config.num_image_tokens)"
            )
        return embeds.masked_scatter(slots[..., None], features)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states (B, T, hidden) after the last norm; arguments as in CogVLMForCausalLM."""
        if use_cache is None:
            use_cache = self.config.use_cache and not self.training
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        length = input_ids.shape[1]
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        if position_ids is None:
            if past:
                raise ValueError("with past_key_values, position_ids must be given")
            types = token_type_ids if token_type_ids is not None else torch.zeros_like(input_ids)
            position_ids = position_ids_of(types)

        x = self.embed(input_ids, pixel_values, token_type_ids)
        routing = ExpertRouting(token_type_ids)
        rotation = rotary(position_ids, self.config.head_dim, self.config.rope_theta, x.dtype)
        mask = attention_mask_of(attention_mask, length, past, x.device)
        for layer in self.layers:
            x = layer(x, routing, rotation, mask, cache=past_key_values)
        return BaseModelOutputWithPast(
            last_hidden_state=self.norm(x), past_key_values=past_key_values
        )


class CogVLMForCausalLM(CogVLMPreTrainedModel, GenerationMixin):
    """The model with its language head; `generate()` works with and without a prepared cache."""

    def __init__(self, config: CogVLMConfig):
        super().__init__(config)
        self.model = CogVLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Next-token logits (B, T, vocab_size).

        Args:
            input_ids: (B, T) tokens; what stands in image slots does not matter.
            pixel_values: (images, 3, S, S), normalised, in the order of their slots.
            token_type_ids: (B, T), 1 in image slots, 0 elsewhere, -1 in padding that need not be
                computed; None means text only.
            position_ids: (B, T); None derives them (see `position_ids_of`), without cache only.
            attention_mask: None, (B, T_total) with 1 = real token, or bool (B, 1, T, T_total)
                with True = may attend, which replaces causality.
            labels: (B, T), -100 = not scored; shifted inside.
            logits_to_keep: 0 = all, n = the last n positions, or an index tensor.
        """
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values
        )

    def _prepare_position_ids_for_generation(
        self, inputs_tensor: Tensor, model_kwargs: dict[str, Any]
    ) -> Tensor:
        types = model_kwargs.get("token_type_ids")
        return position_ids_of(torch.zeros_like(inputs_tensor) if types is None else types)

    def _prepare_attention_mask_for_generation(
        self, inputs_tensor: Tensor, generation_config: Any, model_kwargs: dict[str, Any]
    ) -> Any:
        # Image slots hold the padding id, so padding cannot be guessed: attend to everything
        # unless the caller gives a mask.
        return torch.ones(inputs_tensor.shape[:2], dtype=torch.long, device=inputs_tensor.device)


AutoConfig.register("cogvlm", CogVLMConfig)
AutoModelForCausalLM.register(CogVLMConfig, CogVLMForCausalLM)
