# SPDX-License-Identifier: Apache-2.0
"""Pickles of plain data, and what is refused of others."""

import bz2
import gzip
import lzma
import os
import pickle
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.readers.plain_pickle import load_plain_pickle


class _Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_cannot_run_code(tmp_path):
    marker, file = tmp_path / "ran", tmp_path / "refs.p"
    file.write_bytes(pickle.dumps([{"ref_id": 1}, _Bomb(marker)]))
    with pytest.raises(ValueError, match=r"refs\.p: refused.*mkdir"):
        load_plain_pickle(file)
    assert not marker.exists()
    pickle.loads(file.read_bytes())  # the ordinary loader would have
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read(tmp_path, protocol):
    content = [{"a": (1, 2.5, None, True), "b": ["text", "ü"]}, 10**20]
    file = tmp_path / "plain.p"
    file.write_bytes(pickle.dumps(content, protocol))
    assert load_plain_pickle(file) == content


@given(st.binary(max_size=60))
def test_damaged_pickles_are_refused_or_plain(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "damaged.p"
    file.write_bytes(content)
    try:
        value = load_plain_pickle(file)
    except ValueError as error:
        assert "damaged.p" in str(error)
    else:
        assert type(value).__module__ == "builtins"


def zipped(content):
    with zipfile.ZipFile("whole.zip", "w") as archive:
        archive.writestr("refs.p", content)
        archive.writestr("__MACOSX/._refs.p", b"\0\5")
    with open("whole.zip", "rb") as file:
        return file.read()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_a_compressed_file_is_read_whatever_its_name(tmp_path, monkeypatch, pack):
    monkeypatch.chdir(tmp_path)
    content, file = [{"ref_id": 1}, "text"], tmp_path / "refs.p"
    packed = pack(pickle.dumps(content))
    file.write_bytes(packed)
    assert load_plain_pickle(file) == content
    file.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"refs\.p: refused"):
        load_plain_pickle(file)


def test_what_is_packed_in_other_ways_gets_a_remedy(tmp_path):
    file = tmp_path / "refs.p"
    file.write_bytes(b"\x28\xb5\x2f\xfd rest")
    with pytest.raises(ValueError, match=r"refs\.p: .*Zstandard; unpack it first, with unzstd"):
        load_plain_pickle(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"")
        archive.writestr("b", b"")
    with pytest.raises(ValueError, match=r"an archive of 2 files; unpack it first"):
        load_plain_pickle(file)
