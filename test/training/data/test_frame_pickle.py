# SPDX-License-Identifier: Apache-2.0
"""Pickled DataFrames read without pandas."""

import pickle
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest

from training.data.frame_pickle import read_frame

CONTENT = {
    "name": ["a", "b", "c"],
    "people": [[1, 2], [], [np.float64(3)]],
    "x": [0.5, 1.5, 2.5],
    "count": [1, 2, 3],
}


@pytest.fixture
def frame():
    plain = pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in CONTENT.items()})
    plain = plain.astype({"x": float, "count": int})
    plain.columns = pd.Index(list(CONTENT), dtype=object)
    return plain


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_what_pandas_writes(frame, tmp_path, protocol):
    frame.to_pickle(tmp_path / "frame.pkl", protocol=protocol)
    assert read_frame(tmp_path / "frame.pkl") == CONTENT


def test_some_rows_of_a_frame(frame, tmp_path):
    """Its index is no plain range, its blocks are views."""
    frame.iloc[[2, 0]].to_pickle(tmp_path / "frame.pkl")
    assert read_frame(tmp_path / "frame.pkl") == {k: [v[2], v[0]] for k, v in CONTENT.items()}


def test_the_layout_before_pandas_1_3(tmp_path, monkeypatch):
    """AGORA's files are of 2021: the blocks stood in the manager's state, under "0.14.1"."""

    def stand_in(module, name, **methods):
        made = type(name, (), {"__module__": module, "__qualname__": name, **methods})
        home = types.ModuleType(module)
        setattr(home, name, made)
        monkeypatch.setitem(sys.modules, module, home)
        return made, home

    index, base = stand_in("pandas.core.indexes.base", "Index")
    base._new_Index = types.FunctionType((lambda cls, d: None).__code__, {}, "_new_Index")
    base._new_Index.__module__ = "pandas.core.indexes.base"
    base._new_Index.__qualname__ = "_new_Index"

    def labels(data):
        made = index()
        index.__reduce__ = lambda self: (base._new_Index, (index, self.data))
        made.data = data
        return made

    names = np.array(list(CONTENT), dtype=object)
    objects = np.empty((2, 3), dtype=object)
    objects[0], objects[1, :] = CONTENT["name"], [[1, 2], [], [np.float64(3)]]
    axes = [labels({"data": names, "name": None}), labels({"start": 0, "stop": 3, "step": 1})]
    blocks = [
        {"values": np.array([CONTENT["x"]]), "mgr_locs": slice(2, 3, 1)},
        {"values": np.array([CONTENT["count"]]), "mgr_locs": np.array([3])},
        {"values": objects, "mgr_locs": slice(0, 2, 1)},
    ]
    state = (axes, [], [], {"0.14.1": {"axes": axes, "blocks": blocks}})
    manager, _ = stand_in(
        "pandas.core.internals.managers", "BlockManager", __getstate__=lambda self: state
    )
    frame_class, _ = stand_in(
        "pandas.core.frame",
        "DataFrame",
        __getstate__=lambda self: {"_data": manager(), "_typ": "dataframe", "_metadata": []},
    )
    (tmp_path / "old.pkl").write_bytes(pickle.dumps(frame_class(), protocol=4))
    assert read_frame(tmp_path / "old.pkl") == CONTENT


def test_pandas_is_not_needed(frame, tmp_path):
    frame.to_pickle(tmp_path / "frame.pkl")
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "from pathlib import Path; from training.data.frame_pickle import read_frame\n"
        f"print(sorted(read_frame(Path({str(tmp_path / 'frame.pkl')!r}))), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "['count', 'name', 'people', 'x'] False", done.stderr


@pytest.mark.parametrize(
    "content, why",
    [
        ([1, 2], "not a pickled pandas DataFrame"),
        (pd.Series([1, 2]), "Series, which is not data"),
        (eval, "builtins.eval, which is not data"),
        (np.load, "load, which is not data"),
    ],
)
def test_anything_else_is_refused(tmp_path, content, why):
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"other\.pkl") as refused:
        read_frame(tmp_path / "other.pkl")
    assert why in str(refused.value)


def test_blocks_that_miss_a_column_are_refused(frame, tmp_path):
    stream = pickle.dumps(frame, protocol=4)
    (tmp_path / "cut.pkl").write_bytes(stream[: len(stream) // 2])
    with pytest.raises(ValueError, match=r"cut\.pkl"):
        read_frame(tmp_path / "cut.pkl")
