# SPDX-License-Identifier: Apache-2.0
"""Pickled DataFrames read without pandas."""

import pickle
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.data.readers.frame_pickle import read_frame

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


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
@pytest.mark.parametrize("missing", [pd.NA, np.nan])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_text_columns_of_pandas_3(tmp_path, storage, missing, protocol):
    """By default in Arrow's layout; names of columns are text too."""
    texts = pd.Series(["ä", None, "", "long text", "e"], dtype=pd.StringDtype(storage, missing))
    whole = pd.DataFrame({"name": texts, "people": pd.Series([[1]] * 5, dtype=object)})
    for frame in (whole, whole.iloc[1:4], whole.iloc[[4, 0]], pd.concat([whole, whole])):
        frame.to_pickle(tmp_path / "frame.pkl", protocol=protocol)
        expected = [text if isinstance(text, str) else None for text in frame["name"]]
        assert read_frame(tmp_path / "frame.pkl") == {
            "name": expected,
            "people": [[1]] * len(frame),
        }


def test_columns_that_pandas_converts(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y", "x"], "b": [1, None, 3], "c": [0.5, None, 1.5]})
    frame["d"] = [True, None, False]
    converted = frame.convert_dtypes()
    converted["e"] = frame["a"].astype("category")
    converted["f"] = pd.Categorical([4, None, 7])
    converted.to_pickle(tmp_path / "frame.pkl.gz")
    assert read_frame(tmp_path / "frame.pkl.gz") == {
        "a": ["x", "y", "x"],
        "b": [1, None, 3],
        "c": [0.5, None, 1.5],
        "d": [True, None, False],
        "e": ["x", "y", "x"],
        "f": [4, None, 7],
    }


def test_an_index_with_a_name_is_a_column(frame, tmp_path):
    frame.set_index("name").to_pickle(tmp_path / "frame.pkl")
    assert read_frame(tmp_path / "frame.pkl") == CONTENT


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, 2, 3], dtype=pd.ArrowDtype(pa.int64())),
        pd.array([0, 0, 1], dtype="Sparse[int]"),
    ],
)
def test_other_kinds_of_columns_get_a_remedy_that_works(frame, tmp_path, column):
    frame["more"] = column
    file = tmp_path / "train_0_withjv.pkl"
    frame.to_pickle(file)
    with pytest.raises(ValueError, match=r"where pandas is installed: python -c") as refused:
        read_frame(file)
    program = str(refused.value).split('python -c "')[1].rstrip('"')
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert read_frame(file)["name"] == CONTENT["name"]


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
        "from pathlib import Path; from training.data.readers.frame_pickle import read_frame\n"
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
