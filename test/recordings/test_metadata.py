# SPDX-License-Identifier: Apache-2.0
"""The data files of a bag decide what it holds; what metadata.yaml says is compared with them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from painted import HEADS_TOPIC, answers, entries, expected, found, opened, write_bag, write_mcap
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from hpe_vlm_ros.recordings.bags import shared_bag, zstd
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.metadata import Found, Stated, differences, qos
from hpe_vlm_ros.recordings.recorded_heads import Recorded, read_arrays
from hpe_vlm_ros.replay.results import Wanted, find_truth

STORAGES = [StoragePlugin.MCAP, StoragePlugin.SQLITE3]
ZEROED = """\
- history: 3
  depth: 0
  reliability: 1
  durability: 2
  deadline: {sec: 0, nsec: 0}
  lifespan: {sec: 0, nsec: 0}
  liveliness: 1
  liveliness_lease_duration: {sec: 0, nsec: 0}
  avoid_ros_namespace_conventions: false
"""


def edited(bag: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The bag with another metadata.yaml."""
    file = bag / "metadata.yaml"
    content = yaml.safe_load(file.read_text())
    edit(content["rosbag2_bagfile_information"])
    file.write_text(yaml.safe_dump(content))
    return bag


def topics_of(about: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["topic_metadata"] for entry in about["topics_with_message_count"]]


def other_qos(about: dict[str, Any]) -> None:
    for topic in topics_of(about):
        topic["offered_qos_profiles"] = ZEROED


def qos_of_no_kind(about: dict[str, Any]) -> None:
    for topic in topics_of(about):
        topic["offered_qos_profiles"] = "- {history: [, ]"


def no_messages(about: dict[str, Any]) -> None:
    about["message_count"] = 0
    for entry in (*about["topics_with_message_count"], *about["files"]):
        entry["message_count"] = 0


def one_topic_less(about: dict[str, Any]) -> None:
    about["topics_with_message_count"] = [
        e for e in about["topics_with_message_count"] if "info" not in e["topic_metadata"]["name"]
    ]


def newer(about: dict[str, Any]) -> None:
    about["version"] = 27


def other_types(about: dict[str, Any]) -> None:
    for topic in topics_of(about):
        topic["type"] = "std_msgs/msg/String"


def other_storage(about: dict[str, Any]) -> None:
    about["storage_identifier"] = "rosbag_v2"


def packed(about: dict[str, Any]) -> None:
    about["compression_mode"], about["compression_format"] = "MESSAGE", "lz4"


def old_paths(about: dict[str, Any]) -> None:
    about["relative_file_paths"] = [f"bag/{path}" for path in about["relative_file_paths"]]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (other_qos, "QoS of /cam/camera_info, /cam/image/compressed"),
        (qos_of_no_kind, None),
        (no_messages, "/cam/image/compressed: 0 messages stated, 6 found"),
        (one_topic_less, "/cam/camera_info (1 message) is not listed"),
        (newer, None),
        (other_types, "/cam/image/compressed (6 messages) is not listed"),
        (other_storage, None),
        (packed, None),
        (old_paths, None),
        (lambda about: about.pop("topics_with_message_count"), "cannot be used (it has no 'top"),
        (lambda about: about.update(relative_file_paths=["x_0.db3"]), "x_0.db3 is listed but not"),
    ],
)
def test_the_data_files_are_believed(tmp_path, storage, edit, said):
    recording = opened(edited(write_bag(tmp_path / "bag", entries(6), storage), edit))
    assert found(recording) == expected(range(6))
    assert recording.info_topic == "/cam/camera_info" and len(recording.cameras) == 1
    notes = [note for note in recording.notes if "metadata.yaml" in note]
    assert (said in notes[0]) if said else not notes


@pytest.mark.parametrize("content", ["", "a: [", "[]", "just words", "\x00"])
def test_a_metadata_file_of_no_use_is_noted(tmp_path, content):
    bag = write_bag(tmp_path / "bag", entries(3))
    (bag / "metadata.yaml").write_text(content)
    recording = opened(bag)
    assert found(recording) == expected(range(3))
    assert "metadata.yaml cannot be used" in recording.notes[0]


@pytest.mark.parametrize("storage", STORAGES)
def test_files_that_are_not_listed_are_read_in_the_order_of_their_names(tmp_path, storage):
    bag = write_bag(tmp_path / "bag_0", entries(3), storage)
    for number, name in ((3, "bag_2"), (6, "bag_10")):
        part = write_bag(tmp_path / name, entries(3, first=number), storage)
        file = next(part.glob(f"{name}.*"))
        shutil.move(file, bag / file.name)
    recording = opened(bag)
    assert found(recording) == expected(range(9))
    (note,) = recording.notes
    assert "bag_2" in note and "bag_10" in note and "is not listed" in note
    assert "/cam/image/compressed: 3 messages stated, 9 found" in note


def test_the_order_of_metadata_holds_where_names_have_none(tmp_path):
    bag = write_bag(tmp_path / "zebra", entries(3))
    part = write_bag(tmp_path / "ape", entries(3, first=3))
    shutil.move(part / "ape.mcap", bag / "ape.mcap")
    edited(bag, lambda about: about["relative_file_paths"].append("ape.mcap"))
    assert found(opened(bag)) == expected(range(6))


@pytest.mark.parametrize("storage", STORAGES)
def test_no_message_is_read_twice(tmp_path, storage):
    """A file beside its compressed self, another format of it, and what macOS adds."""
    bag = write_bag(tmp_path / "bag", entries(6), storage, CompressionMode.FILE)
    other = next(kind for kind in STORAGES if kind is not storage)
    for kind, name in ((storage, "plain"), (other, "turned")):
        made = write_bag(tmp_path / name / "bag", entries(6), kind)
        file = next(f for f in made.iterdir() if f.stem == "bag")
        shutil.copy(file, bag / file.name)
        (bag / f"._{file.name}").write_bytes(b"\0" * 99)
    recording = opened(bag)
    assert found(recording) == expected(range(6))
    notes = " ".join(recording.notes)
    assert ".zstd: not read, since bag" in notes and "holds the same" in notes
    assert "._" not in notes


@pytest.mark.parametrize("storage", STORAGES)
def test_a_damaged_file_does_not_cost_the_others(tmp_path, storage):
    bag = write_bag(tmp_path / "bag_0", entries(3), storage)
    suffix = next(f.suffix for f in bag.iterdir() if f.stem == "bag_0")
    (bag / f"bag_1{suffix}").write_bytes(b"")
    part = write_bag(tmp_path / "bag_2", entries(3, first=3), storage)
    shutil.move(part / f"bag_2{suffix}", bag / f"bag_2{suffix}")
    recording = opened(bag)
    assert found(recording) == expected(range(6))
    assert any(f"bag_1{suffix}" in n and "the other files are read" in n for n in recording.notes)


def as_it_is(file: Path) -> None:
    pass


def packed_without_a_word(file: Path) -> None:
    file.write_bytes(zstd.compress(file.read_bytes()))


def not_packed_at_all(file: Path) -> None:
    file.rename(f"{file}.zstd")


def of_the_other_format(file: Path) -> None:
    file.rename(file.with_suffix(".mcap" if file.suffix == ".db3" else ".db3"))


def in_capitals(file: Path) -> None:
    file.rename(file.with_name(file.name.upper()))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    "rename",
    [as_it_is, packed_without_a_word, not_packed_at_all, of_the_other_format, in_capitals],
)
def test_what_a_file_is_counts_and_not_its_name(tmp_path, storage, rename):
    bag = write_bag(tmp_path / "bag", entries(6), storage)
    (file,) = (f for f in bag.iterdir() if f.stem == "bag")
    rename(file)
    recording = opened(bag)
    assert found(recording) == expected(range(6))
    (file,) = (f for f in bag.iterdir() if f.suffix != ".yaml")
    assert found(opened(file)) == expected(range(6))
    assert found(opened(bag / "metadata.yaml")) == expected(range(6))  # which some name


def test_calibrations_may_lie_in_a_file_of_their_own(tmp_path):
    info = [m for n in range(6) for m in entries(1, first=n) if "info" in m[0]]
    write_mcap(tmp_path / "b_info.mcap", info)
    write_mcap(tmp_path / "a_images.mcap", entries(6, info=False))
    recording = opened(tmp_path)
    assert found(recording) == expected(range(6)) and len(recording.cameras) == 1


def test_a_folder_of_bags_says_how_to_name_them(tmp_path):
    for name in ("a", "b"):
        write_bag(tmp_path / name, entries(1))
    with pytest.raises(ReplayError, match=r"holds rosbag2 folders \(a, b\).*name them: '.*/\*'"):
        opened(tmp_path)


def killed(tmp_path: Path, logged: int) -> Path:
    """A bag whose recorder was killed with its last messages in the log of the database."""
    bag = write_bag(tmp_path / "whole", entries(6), StoragePlugin.SQLITE3)
    left = tmp_path / "killed"
    left.mkdir()
    database = sqlite3.connect(bag / "whole.db3")
    database.execute("PRAGMA journal_mode=WAL")
    rows = database.execute("SELECT * FROM messages ORDER BY timestamp").fetchall()[-logged:]
    database.executemany("DELETE FROM messages WHERE id=?", [(row[0],) for row in rows])
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
    database.commit()
    for suffix in ("", "-wal"):  # while the database is open: closing it empties the log
        shutil.copy(bag / f"whole.db3{suffix}", left / f"killed_0.db3{suffix}")
    database.close()
    return left


@pytest.mark.parametrize("logged", [2, 7])
def test_what_a_killed_recorder_left_in_its_log_is_read(tmp_path, logged):
    bag = killed(tmp_path, logged)
    before = {f.name: f.read_bytes() for f in bag.iterdir()}
    recording = opened(bag)
    assert found(recording) == expected(range(6))
    note = next(n for n in recording.notes if "killed_0.db3-wal" in n)
    assert "was read as well" in note
    assert "sqlite3 killed_0.db3 'PRAGMA wal_checkpoint(TRUNCATE)'" in note
    shared_bag.cache_clear()
    assert {name: (bag / name).read_bytes() for name in before} == before


def test_a_log_of_no_use_comes_with_its_remedy(tmp_path):
    bag = tmp_path / "bag"
    bag.mkdir()
    for suffix in ("", "-wal"):
        (bag / f"bag_0.db3{suffix}").write_bytes(b"\0" * 4096)
    with pytest.raises(ReplayError, match=r"wal_checkpoint\(TRUNCATE\)"):
        opened(bag)


def test_qos_that_nobody_can_parse_costs_no_message(tmp_path):
    bag = write_bag(tmp_path / "bag", entries(3), StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("UPDATE topics SET offered_qos_profiles = '- {history: [, ]'")
    database.close()
    assert found(opened(bag)) == expected(range(3))


@pytest.mark.parametrize("storage", STORAGES)
def test_any_path_will_do(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", entries(3), storage).rename(tmp_path / "100 % #1? Füße")
    assert found(opened(bag)) == expected(range(3))


@pytest.mark.parametrize("storage", STORAGES)
def test_answers_and_truth_come_from_the_same_reader(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", [*entries(6), *answers(6)], storage)
    edited(bag, other_qos)
    arrays, notes = read_arrays(bag, None)
    assert len(arrays) == 6 and "QoS of" in notes[0]
    assert Recorded.read(bag, None, 100).notes == (f"bag: {notes[0]}",)
    recording = opened(bag)
    truth = find_truth([recording], Wanted(truth_topic=HEADS_TOPIC))
    assert len(truth.heads) == 6
    assert not truth.notes  # said of the recording already


def test_answers_are_read_as_far_as_they_go(tmp_path):
    """As images are: a chunk that is damaged costs its own messages, and that is said."""
    file = write_mcap(tmp_path / "live.mcap", answers(60), chunk_size=4000)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(b ^ 0xFF for b in content[middle : middle + 8])
    file.write_bytes(content)
    arrays, notes = read_arrays(file, None)
    assert 40 < len(arrays) < 60
    assert any("1 damaged chunk left out" in note for note in notes)


names = st.sampled_from(["/a", "/b", "/c"])
counts = st.dictionaries(st.tuples(names, st.just("T")), st.integers(0, 3))


@given(counts, counts)
def test_there_is_a_note_exactly_where_counts_differ(stated, there):
    """A topic without messages may be left out of either."""
    notes = differences(Stated((), stated, {}), Found((), there, {}))
    differ = {k for k in stated.keys() | there.keys() if stated.get(k, 0) != there.get(k, 0)}
    assert len(notes) == len(differ)
    assert all(any(text.startswith(key[0]) for text in notes) for key in differ)


def test_qos_of_numbers_and_of_words_are_the_same():
    words = ZEROED.replace("history: 3", "history: unknown").replace(
        "reliability: 1", "reliability: reliable"
    )
    assert qos(words) == qos(ZEROED) == qos(yaml.safe_load(ZEROED)) != []
    assert qos("") == qos(None) == [] and qos("{") is None
