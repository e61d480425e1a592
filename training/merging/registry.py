# SPDX-License-Identifier: Apache-2.0
"""All merge methods by name. To add one, put a file with a decorated function into this folder:

    from .registry import Layer, merge_method

    @merge_method
    def average(original: Tensor, tuned: Tensor, layer: Layer, share: float = 0.5) -> Tensor:
        return torch.lerp(original, tuned, share)

A method gets the same tensor of both models, in one dtype, and returns the merged one in the same
shape. Further arguments with defaults are its options, set with `--options.share 0.3`.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor

Method = Callable[..., Tensor]
_METHODS: dict[str, Method] = {}


@dataclass(frozen=True)
class Layer:
    """Where a tensor belongs.

    `name` is the module's, such as "model.layers.0.self_attn.language_expert_dense", and is shared
    by its weight and bias. `similarities` holds the cosine similarity, by name, of every projection
    that differs between the two models.
    """

    name: str
    similarities: Mapping[str, float]


def merge_method(function: Method) -> Method:
    """Decorator: the function becomes a method under its own name."""
    _METHODS[function.__name__] = function
    return function


def methods() -> dict[str, Method]:
    """Every method of this folder by name."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")
    return dict(sorted(_METHODS.items()))


def chosen(name: str, options: Mapping[str, Any]) -> partial[Tensor]:
    """The method `name` with all options set; ValueError for names that do not exist."""
    known = methods()
    if name not in known:
        raise ValueError(f"there is no merge method {name!r}: choose one of {', '.join(known)}")
    # behind original, tuned and layer, which every method has
    parameters = dict(list(inspect.signature(known[name]).parameters.items())[3:])
    if wrong := sorted(options.keys() - parameters.keys()):
        raise ValueError(
            f"merge method {name} has no option {', '.join(wrong)}; "
            f"it has {', '.join(parameters) or 'none'}"
        )
    defaults = {key: parameter.default for key, parameter in parameters.items()}
    return partial(known[name], **defaults | options)
