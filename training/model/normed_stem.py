# SPDX-License-Identifier: Apache-2.0
"""Batch norm for the convolutional stem while it learns.

The deployed stem has its norms folded into the convolutions. So folded it hardly learns: on crops
of heads the error stayed at chance where the stem with batch norm fell to 30 degrees. Training
therefore runs on an unfolded twin; folding it gives the same outputs as its inference mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from hpe_vlm_ros.vlm.pytorch.stem import EfficientNetLite0Stem, SameConv2d

EPSILON = 1e-3  # of the EfficientNet family
MOMENTUM = 0.03


class NormedConv2d(SameConv2d):
    """A convolution without bias, followed by batch norm; stands in for a folded `SameConv2d`."""

    def __init__(self, folded: SameConv2d) -> None:
        super().__init__(
            folded.in_channels,
            folded.out_channels,
            folded.kernel_size,
            folded.stride,
            groups=folded.groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(folded.out_channels, eps=EPSILON, momentum=MOMENTUM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(x))


def convolutions(
    stem: EfficientNetLite0Stem, first: int = 0
) -> Iterator[tuple[nn.Module, str, SameConv2d]]:
    """(owner, attribute, convolution) of all but the two heads, which have no norm; with `first`
    only those of the blocks from there on."""
    if first == 0:
        yield stem, "stem", stem.stem
    for block in stem.blocks[first:]:
        for name in ("expand", "depthwise", "project"):
            conv = getattr(block, name)
            if conv is not None:
                yield block, name, conv


@torch.no_grad()
def add_norms(stem: EfficientNetLite0Stem, frozen: int = 0) -> None:
    """Replace every folded convolution by a `NormedConv2d` of equal output, in place.

    With `frozen` the first convolution and so many blocks stay folded and learn nothing.

    What a norm's statistics were cannot be read from folded weights: they start as zero mean and
    unit variance with gains that undo the filters' scale; `initialise_norms` then fits them to
    pictures.
    """
    for part in [stem.stem, *stem.blocks[:frozen]] if frozen else []:
        part.requires_grad_(False)
    for owner, name, conv in list(convolutions(stem, frozen)):
        normed = NormedConv2d(conv)
        assert conv.bias is not None
        gain = conv.weight.flatten(1).norm(dim=1).clamp(min=1e-6)
        normed.weight.copy_(conv.weight / gain[:, None, None, None])
        normed.norm.weight.copy_(gain * (1 + EPSILON) ** 0.5)
        normed.norm.bias.copy_(conv.bias)
        setattr(owner, name, normed.to(conv.weight.device, memory_format=torch.channels_last))


@torch.no_grad()
def initialise_norms(stem: EfficientNetLite0Stem, pictures: torch.Tensor) -> None:
    """Give every norm the statistics of `pictures` (B, 3, S, S) without changing the output.

    Afterwards training mode computes what inference mode does, up to the batch's own statistics.
    """
    normed = [conv for _, _, conv in convolutions(stem) if isinstance(conv, NormedConv2d)]

    def measure(conv: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        assert isinstance(conv, NormedConv2d)
        norm = conv.norm
        raw = SameConv2d.forward(conv, inputs[0])
        mean, var = raw.mean((0, 2, 3)), raw.var((0, 2, 3), unbiased=False)
        old = norm.weight / (norm.running_var + EPSILON).sqrt()
        norm.bias.add_((mean - norm.running_mean) * old)
        norm.weight.copy_(old * (var + EPSILON).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)

    hooks = [conv.register_forward_pre_hook(measure) for conv in normed]
    was_training = stem.training
    stem.eval()(pictures)
    stem.train(was_training)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def recompute_statistics(stem: EfficientNetLite0Stem, batches: Iterable[torch.Tensor]) -> None:
    """Replace all running statistics by those of `batches`, each (B, 3, S, S), in place.

    Training pictures are crowded with heads; what the robot sees is not, and inference needs the
    statistics of that ("precise BN", Wu & Johnson, arXiv 2105.07576, section 3).
    """
    norms = [module for module in stem.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    stem.train()
    for batch in batches:
        stem(batch.contiguous(memory_format=torch.channels_last))
    stem.eval()


def folded(conv: NormedConv2d) -> SameConv2d:
    """The convolution with bias that computes what `conv` does in inference mode."""
    norm = conv.norm
    out = SameConv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, groups=conv.groups
    )
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    with torch.no_grad():
        out.weight.copy_(conv.weight * scale[:, None, None, None])
        assert out.bias is not None
        out.bias.copy_(norm.bias - norm.running_mean * scale)
    return out.to(conv.weight.device, memory_format=torch.channels_last)


def fold_norms(stem: EfficientNetLite0Stem) -> None:
    """Undo `add_norms`, in place: the stem as it is deployed."""
    for owner, name, conv in list(convolutions(stem)):
        if isinstance(conv, NormedConv2d):
            setattr(owner, name, folded(conv))
