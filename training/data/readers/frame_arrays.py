# SPDX-License-Identifier: Apache-2.0
"""Columns of pandas' own kinds in a pickled DataFrame, as plain lists; see `frame_pickle`.

pandas 3 keeps text in Arrow's layout by default. Others are what `DataFrame.convert_dtypes` and
`astype("category")` make. The layouts are those of pandas' and pyarrow's `__reduce__`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

_MODULES = (
    "pandas",
    "pandas.arrays",
    "pandas.core.dtypes.dtypes",
    *(
        f"pandas.core.arrays.{name}"
        for name in ("boolean", "categorical", "floating", "integer", "string_", "string_arrow")
    ),
)
_ARRAYS = ("StringArray", "ArrowStringArray", "BooleanArray", "FloatingArray", "IntegerArray")
_ARRAYS += ("StringArrayNumpySemantics", "ArrowStringArrayNumpySemantics", "Categorical")
_WIDTHS = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
_DTYPES = [f"{kind}Dtype" for kind in ("String", "Categorical", "Boolean", *_WIDTHS)]
_DTYPES += ["Float32Dtype", "Float64Dtype"]


class _Dtype:
    """A kind of column; only categories are looked at."""

    categories: Sequence[Any] = ()

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.categories = state.get("categories", ())


class Array:
    """A column; iterates over its values, with None for those that are missing."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __setstate__(self, state: Any) -> None:
        parts = list(state.values()) if isinstance(state, dict) else list(state)
        named = state if isinstance(state, dict) else {}
        dtype = next((part for part in parts if isinstance(part, _Dtype)), None)
        if "_pa_array" in named:
            self._values = named["_pa_array"]
        elif "_mask" in named:
            self._values = _without(named["_data"], named["_mask"])
        else:  # NDArrayBacked: its array and dtype in either order, and attributes
            (values,) = (part for part in parts if isinstance(part, np.ndarray))
            self._values = _named(values, dtype)


def _without(values: np.ndarray, missing: np.ndarray) -> list[Any]:
    return [None if gone else v for v, gone in zip(values.tolist(), missing, strict=True)]


def _named(values: np.ndarray, dtype: _Dtype | None) -> list[Any]:
    """Texts, where anything else stands for none, or the categories of codes, where -1 does."""
    if dtype is None or values.dtype.kind != "i":
        return [value if isinstance(value, str) else None for value in values]
    names = list(dtype.categories)
    return [None if code < 0 else names[code] for code in values]


def _unpickle_array(cls: Any, _checksum: int, state: Any) -> Array:
    made = Array()
    if state is not None:
        made.__setstate__(state)
    return made


def _arrow_array(content: Sequence[Any]) -> list[str | None]:
    """An Arrow array of text: type, length, nulls, offset, and the buffers (Arrow columnar format,
    "Variable-size Binary Layout"): which are there, where each begins, and all texts on end."""
    kind, length, _nulls, offset, buffers, *_ = content
    if kind not in ("string", "large_string"):
        raise ValueError(f"it holds Arrow data of the type {kind}")
    valid, ends, text = buffers
    places = np.frombuffer(ends, "<i8" if kind == "large_string" else "<i4")
    whole = bytes(text or b"")
    texts: list[str | None] = [
        whole[start:end].decode() for start, end in pairwise(places[offset : offset + length + 1])
    ]
    if valid is not None:
        bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
        shown = bits[offset : offset + length]
        texts = [text if bit else None for text, bit in zip(texts, shown, strict=True)]
    return texts


def _arrow_chunks(chunks: Sequence[list[Any]], *_: Any) -> list[Any]:
    return [value for chunk in chunks for value in chunk]


def _same(value: Any) -> Any:
    return value


def array_names() -> dict[tuple[str, str], Callable[..., Any] | None]:
    """What the names of such columns in a pickle stand for here, for `load_plain_pickle`."""
    table: dict[tuple[str, str], Callable[..., Any] | None] = {
        ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): _unpickle_array,
        ("pandas", "NA"): None,
        ("pandas._libs.missing", "NA"): None,
        ("pyarrow.lib", "_restore_array"): _arrow_array,
        ("pyarrow.lib", "chunked_array"): _arrow_chunks,
        ("pyarrow.lib", "py_buffer"): _same,
        ("pyarrow.lib", "type_for_alias"): _same,
    }
    table |= dict.fromkeys(product(_MODULES, _ARRAYS), Array)
    table |= dict.fromkeys(product(_MODULES, _DTYPES), _Dtype)
    return table
