# SPDX-License-Identifier: Apache-2.0
"""Reads a pickled pandas DataFrame as plain columns: without pandas, and without running code.

AGORA's ground truth comes as such pickles, written by pandas of 2021; people write them again with
theirs, up to pandas 3. A frame is a block manager: a list of blocks, each a 2-D array of some rows
("items") of the transposed table or one column of a kind of pandas' own (`frame_arrays`), and two
axes, the column names and the row labels. The classes below take what pandas pickles of each;
every other name in the file is refused.
"""

from __future__ import annotations

import _codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .frame_arrays import Array, array_names
from .plain_pickle import load_plain_pickle

_FRAME_MODULES = ("pandas.core.frame", "pandas")
_MANAGER_MODULES = ("pandas.core.internals.managers", "pandas.core.internals")
_BLOCK_MODULES = ("pandas._libs.internals", "pandas.core.internals.blocks")
_INDEX_MODULES = (
    "pandas.core.indexes.base",
    "pandas.core.indexes.range",
    "pandas.core.indexes.numeric",  # Int64Index, until pandas 2
    "pandas",
)
_REWRITE = (
    "if you trust the file, write its columns as plain objects, where pandas is installed: "
    'python -c "import pandas as pd; '
    "pd.read_pickle('{file}').astype(object).to_pickle('{file}')\""
)
_NUMPY_MODULES = ("numpy.core", "numpy._core")  # before and since numpy 2


class _Frame:
    """A DataFrame: its state is a dict with the manager under `_mgr` (`_data` before 1.1)."""

    manager: Any = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.manager = state.get("_mgr", state.get("_data"))


class _Manager:
    """Axes (columns, rows) and blocks (values, positions of their items).

    Since pandas 1.3 both are the constructor's arguments; before, they are a dict in the state.
    """

    def __init__(self, blocks: Any = (), axes: Any = (), *_: Any) -> None:
        self.blocks, self.axes = list(blocks), list(axes)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 3:
            content = state[3]["0.14.1"]  # pandas' own name of this layout
            self.axes = list(content["axes"])
            self.blocks = [(block["values"], block["mgr_locs"]) for block in content["blocks"]]


class _Index(list):
    """The labels of an axis, and what they are called."""

    name: Any = None


def _block(values: Any, placement: Any, ndim: int = 2, *_: Any) -> tuple[Any, Any]:
    return values, placement


def _index(cls: Any, data: dict[str, Any]) -> _Index:
    ranged = "start" in data
    labels = range(data["start"], data["stop"], data["step"]) if ranged else data["data"]
    index = _Index(labels)
    index.name = data.get("name")
    return index


def _table() -> dict[tuple[str, str], Callable[..., Any]]:
    table: dict[tuple[str, str], Callable[..., Any]] = {
        ("builtins", "slice"): slice,
        ("__builtin__", "slice"): slice,
        ("_codecs", "encode"): _codecs.encode,  # how old protocols write bytes
        ("builtins", "bytearray"): bytearray,
        ("__builtin__", "bytearray"): bytearray,
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
    }
    table |= {(module, "DataFrame"): _Frame for module in _FRAME_MODULES}
    table |= {(module, "BlockManager"): _Manager for module in _MANAGER_MODULES}
    table |= {(module, "_unpickle_block"): _block for module in _BLOCK_MODULES}
    table |= {
        (module, name): _Index
        for module in _INDEX_MODULES
        for name in ("Index", "RangeIndex", "Int64Index")
    }
    table |= {(module, "_new_Index"): _index for module in _INDEX_MODULES}
    table |= array_names()
    for base in _NUMPY_MODULES:
        table[f"{base}.multiarray", "_reconstruct"] = _part_of_numpy("multiarray", "_reconstruct")
        table[f"{base}.multiarray", "scalar"] = _part_of_numpy("multiarray", "scalar")
        table[f"{base}.numeric", "_frombuffer"] = _part_of_numpy("numeric", "_frombuffer")
    return table


def _part_of_numpy(module: str, name: str) -> Callable[..., Any]:
    core = getattr(np, "_core", None) or np.core
    part: Callable[..., Any] = getattr(getattr(core, module), name)
    return part


def read_frame(path: Path) -> dict[str, list[Any]]:
    """The columns of a pickled DataFrame, each a list with a value a row; an index with a name too.

    Columns may be of numbers, Python objects, texts (in pandas' or Arrow's storage), numbers that
    may be missing, or categories; what is missing there is None. Compressed files are read as
    `load_plain_pickle` says.
    Raises FileNotFoundError, or ValueError naming a file that holds anything else.
    """
    try:
        frame = load_plain_pickle(path, _table())
    except ValueError as error:
        if re.search(r"it (names|holds) (pandas|pyarrow|Arrow)", str(error)) is None:
            raise
        raise ValueError(f"{error}; {_REWRITE.format(file=path.name)}") from error
    manager = getattr(frame, "manager", None)
    if not isinstance(manager, _Manager) or len(manager.axes) != 2:
        raise ValueError(f"{path}: not a pickled pandas DataFrame")
    names, rows = manager.axes
    columns = dict(_columns(manager, names))
    if set(columns) != set(names) or any(len(column) != len(rows) for column in columns.values()):
        raise ValueError(f"{path}: a DataFrame whose blocks do not fit its axes; download it again")
    if rows.name is not None:
        columns.setdefault(rows.name, list(rows))
    return columns


def _columns(manager: _Manager, names: _Index) -> Iterator[tuple[str, list[Any]]]:
    for values, placement in manager.blocks:
        positions = np.arange(len(names))[placement]
        if isinstance(values, Array):
            yield names[int(np.ravel(positions)[0])], list(values)
            continue
        for position, row in zip(np.atleast_1d(positions), np.atleast_2d(values), strict=True):
            yield names[position], list(row)
