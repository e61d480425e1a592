# SPDX-License-Identifier: Apache-2.0
"""Every kind of bag gives the same frames; broken ones give what is left, and say what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.writer import Writer as McapWriter
from painted import (
    CAMERA_INFO,
    COMPRESSED,
    FOCAL,
    HEIGHT,
    RAW,
    START,
    STEP,
    TYPES,
    WIDTH,
    add_messages,
    camera_info,
    entries,
    expected,
    found,
    header,
    heads_of,
    opened,
    paint,
    png,
    raw,
    write_bag,
    write_mcap,
)
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_typestore

from hpe_vlm_ros.images import ImageError
from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.recorded_heads import read_arrays
from hpe_vlm_ros.recordings.sources import open_sources

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3
MODES = CompressionMode
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("make", [raw, png])
@pytest.mark.parametrize(
    ("storage", "compression", "version"),
    [
        (MCAP, MODES.NONE, 8),
        (MCAP, MODES.STORAGE, 9),
        (MCAP, MODES.MESSAGE, 8),
        (SQLITE, MODES.NONE, 8),
        (SQLITE, MODES.MESSAGE, 9),
        (SQLITE, MODES.FILE, 8),
        (MCAP, MODES.FILE, 8),
    ],
)
def test_every_kind_of_bag_gives_the_same_frames(tmp_path, make, storage, compression, version):
    bag = write_bag(tmp_path / "bag", entries(9, make), storage, compression, version)
    recording = opened(bag)
    assert found(recording) == expected(range(9))
    assert [f.stamp for f in recording.frames] == [START + n * STEP for n in range(9)]
    assert recording.notes == ()
    assert recording.camera(recording.frames[3]).k[0] == FOCAL


@pytest.mark.parametrize("storage", [MCAP, SQLITE])
@pytest.mark.parametrize("compression", [MODES.NONE, MODES.MESSAGE, MODES.FILE])
def test_missing_metadata_is_rebuilt_with_a_warning(tmp_path, storage, compression):
    bag = write_bag(tmp_path / "bag", entries(6), storage, compression)
    (bag / "metadata.yaml").unlink()
    recording = opened(bag)
    assert found(recording) == expected(range(6))
    assert "metadata.yaml is missing" in recording.notes[0]


def test_a_split_bag_without_metadata_is_read_in_order(tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    for part, first in ((2, 0), (10, 3)):
        made = write_bag(tmp_path / f"p{part}", entries(3, first=first))
        shutil.move(made / f"p{part}.mcap", folder / f"split_{part}.mcap")
    recording = opened(folder)
    assert found(recording) == expected(range(6))
    assert "split_2.mcap, split_10.mcap are read as one recording" in recording.notes[0]


@pytest.mark.parametrize("metadata", [True, False])
def test_a_truncated_mcap_gives_what_is_readable_and_states_the_loss(tmp_path, metadata):
    bag = write_bag(tmp_path / "bag", entries(60, raw))
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.6)])
    if not metadata:
        (bag / "metadata.yaml").unlink()
    recording = opened(bag)
    count = len(recording.frames)
    assert 10 < count < 60
    assert found(recording) == expected(range(count))
    loss = next(note for note in recording.notes if "damaged" in note)
    assert "bytes are unreadable" in loss and f"{count + 1} messages" in loss


def test_a_damaged_chunk_costs_only_its_own_frames(tmp_path):
    bag = tmp_path / "bag"
    bag.mkdir()
    write_mcap(bag / "bag.mcap", entries(60, raw, info=False), chunk_size=300_000)
    content = bytearray((bag / "bag.mcap").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(b ^ 0xFF for b in content[middle : middle + 64])
    (bag / "bag.mcap").write_bytes(content)
    recording = opened(bag)
    numbers = [(frame.stamp - START) // STEP for frame in recording.frames]
    assert 10 < len(numbers) < 60 and numbers[-1] == 59
    assert [heads for _, heads in found(recording)] == [h for _, h in expected(numbers)]
    assert any("1 damaged chunk left out" in note for note in recording.notes)


def test_an_mcap_whose_index_alone_is_gone_loses_nothing(tmp_path):
    file = write_bag(tmp_path / "bag", entries(9)) / "bag.mcap"
    file.write_bytes(file.read_bytes()[:-20])
    recording = opened(file)
    assert found(recording) == expected(range(9))
    assert any("nothing else was lost" in note for note in recording.notes)


@pytest.mark.parametrize("profile", ["ros2", "", "foxglove"])
@pytest.mark.parametrize("size", [1 << 20, 3000])
def test_topics_that_are_not_of_ros_2_do_no_harm(tmp_path, profile, size):
    """JSON, protobuf, messages without schema, and odd definitions, beside a camera."""
    file = tmp_path / "mixed.mcap"
    with file.open("wb") as out:
        writer = McapWriter(out, chunk_size=size)
        writer.start(profile=profile, library="test")
        odd = (
            ("/blob", "cdr", "acme/msg/Blob", "ros2msg", b"acme/Nonsense[[ x\n!!"),
            ("/status", "json", "Status", "jsonschema", b"{}"),
            ("/image", "protobuf", "foxglove.CompressedImage", "protobuf", b"\xff\xfe\x00"),
            ("/cam/image/compressed", "json", "Image", "jsonschema", b"{}"),
            ("/log", "json", None, None, None),
            ("/raw", "cdr", None, None, None),
        )
        channels = []
        for topic, encoding, name, how, text in odd:
            schema = writer.register_schema(name, how, text) if name else 0
            channels.append(writer.register_channel(topic, encoding, schema))
        for part in (entries(6)[:4], entries(6)[4:]):
            for channel in channels:
                writer.add_message(channel, part[0][1], b"\x00\x01\x00\x00junk", part[0][1])
            add_messages(writer, part)
        writer.finish()
    recording = opened(file)
    assert found(recording) == expected(range(6))
    assert found(recording.only(recording.frames[4:])) == expected([4, 5])
    assert recording.info_topic == "/cam/camera_info" and recording.notes == ()


def test_an_mcap_without_images_of_ros_2_says_what_it_holds(tmp_path):
    file = tmp_path / "json.mcap"
    with file.open("wb") as out:
        writer = McapWriter(out)
        writer.start()
        schema = writer.register_schema("Image", "jsonschema", b"{}")
        writer.add_message(writer.register_channel("/image", "json", schema), START, b"{}", START)
        writer.finish()
    with pytest.raises(ReplayError, match=r"holds nothing of ROS 2; not of ROS 2: /image \(json"):
        opened(file)


def test_an_mcap_of_ros_1_gets_the_hint_to_convert(tmp_path):
    mcap = tmp_path / "one.mcap"
    with mcap.open("wb") as out:
        writer = McapWriter(out)
        writer.start(profile="ros1")
        schema = writer.register_schema("sensor_msgs/Image", "ros1msg", b"")
        writer.add_message(writer.register_channel("/image", "ros1", schema), START, b"x", START)
        writer.finish()
    with pytest.raises(ReplayError, match="of ROS 1.*rosbags-convert --src FILE.bag"):
        opened(mcap)
    with pytest.raises(ReplayError, match="rosbags-convert"):
        read_arrays(mcap, None)


def test_a_recording_of_ros_1_gives_the_same_frames(tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    store = get_typestore(Stores.ROS1_NOETIC)
    topic, kind = "/cam/image/compressed", COMPRESSED
    with Ros1Writer(folder / "drive.bag") as bag:
        images = bag.add_connection(topic, kind, typestore=store)
        infos = bag.add_connection("/cam/camera_info", CAMERA_INFO, typestore=store)
        for number, (name, time, _, message) in enumerate(entries(6)):
            if name == topic:
                data = store.types[kind](old_header(store, number, message), "png", message.data)
                bag.write(images, time, store.serialize_ros1(data, kind))
                continue
            calibration = store.types[CAMERA_INFO](
                old_header(store, number, message), HEIGHT, WIDTH, "plumb_bob", message.d,
                message.k, message.r, message.p, 0, 0,
                store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
            )  # fmt: skip
            bag.write(infos, time, store.serialize_ros1(calibration, CAMERA_INFO))
    for path in (folder, folder / "drive.bag"):
        recording = opened(path)
        assert found(recording) == expected(range(6))
        assert [f.stamp for f in recording.frames] == [START + n * STEP for n in range(6)]
        assert recording.camera(recording.frames[3]).k[0] == FOCAL and recording.notes == ()


def old_header(store, number, message):
    stamp = message.header.stamp
    time = store.types["builtin_interfaces/msg/Time"](stamp.sec, stamp.nanosec)
    return store.types["std_msgs/msg/Header"](number, time, message.header.frame_id)


def test_a_broken_recording_of_ros_1_is_named(tmp_path):
    old = tmp_path / "drive.bag"
    old.write_bytes(b"#ROSBAG V2.0\n")
    for path in (old, tmp_path):
        with pytest.raises(ReplayError, match="of ROS 1 that cannot be read"):
            opened(path)
        with pytest.raises(ReplayError, match="of ROS 1 that cannot be read"):
            read_arrays(path, None)


@pytest.mark.parametrize("content", [b"hello", b""])
@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_what_is_no_bag_is_refused_with_a_remedy(tmp_path, content, suffix):
    file = tmp_path / f"x{suffix}"
    file.write_bytes(content)
    with pytest.raises(
        ReplayError, match=f"{file.name}.*(cannot be read as a rosbag2|not an MCAP)"
    ):
        opened(file)


def test_folders_and_files_without_frames_are_named(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ReplayError, match="OpenCV can play no video"):
        opened(tmp_path / "notes.txt")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ReplayError, match="neither a rosbag2 nor pictures"):
        opened(empty)
    with pytest.raises(ReplayError, match="no such file"):
        opened(tmp_path / "gone")
    with pytest.raises(ReplayError, match="matches nothing"):
        opened(tmp_path / "*.mcap")
    strings = TYPES.types["std_msgs/msg/String"]("hi")
    bag = write_bag(tmp_path / "talk", [("/chat", START, "std_msgs/msg/String", strings)])
    with pytest.raises(ReplayError, match="no colour images.*std_msgs/msg/String"):
        opened(bag)


def test_stamps_of_zero_out_of_order_and_repeated_are_kept_and_noted(tmp_path):
    stamps = [0, 5, 3, 3, 0]
    messages = [
        ("/cam/image/compressed", START + n, COMPRESSED, png(paint(heads_of(n)), stamp * STEP))
        for n, stamp in enumerate(stamps)
    ]
    recording = opened(write_bag(tmp_path / "bag", messages))
    assert found(recording) == expected(range(5))
    assert [f.time for f in recording.frames] == [START, 5 * STEP, 3 * STEP, 3 * STEP, START + 4]
    notes = " ".join(recording.notes)
    assert "images without a stamp: 2" in notes and "images out of order: 1" in notes
    assert "repeat an earlier stamp: 1" in notes and "no camera_info" in notes


def test_images_recorded_at_the_same_time_are_told_apart(tmp_path):
    messages = [
        ("/cam/image/compressed", START, COMPRESSED, png(paint(heads_of(n)), START + n))
        for n in range(4)
    ]
    recording = opened(write_bag(tmp_path / "bag", messages))
    assert found(recording) == expected(range(4))
    assert found(recording.only(recording.frames[1::2])) == expected([1, 3])


def test_the_fullest_colour_topic_is_taken_and_others_can_be_named(tmp_path):
    depth = np.full((HEIGHT, WIDTH), 1000, np.uint16)
    messages = entries(3)
    messages += [("/depth/image", START + n, RAW, raw(depth, START, "16UC1")) for n in range(9)]
    messages += [("/b/image", START + n, RAW, raw(paint(heads_of(n)), START)) for n in range(2)]
    messages += [("/b/camera_info", START, CAMERA_INFO, camera_info(START, 99.0))]
    bag = write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1]))
    recording = opened(bag)
    assert recording.topic == "/cam/image/compressed"
    assert "--topic takes another: /b/image" in recording.notes[0]
    other = opened(bag, topics=["/b/image"])
    assert found(other) == expected(range(2))
    assert other.camera(other.frames[0]).k[0] == 99.0
    crossed = opened(bag, topics=["b/image"], info_topic="/cam/camera_info")
    assert crossed.camera(crossed.frames[0]).k[0] == FOCAL
    with pytest.raises(ReplayError, match="no images on /x.*/b/image"):
        opened(bag, topics=["/x"])
    with pytest.raises(ReplayError, match="no camera_info on /x.*/b/camera_info"):
        opened(bag, info_topic="/x")
    both = open_sources([str(bag)], ["/b/image", "/cam/image/compressed"])
    assert [r.id for r in both] == ["bag:/b/image", "bag:/cam/image/compressed"]


def compressed(image: np.ndarray, stamp: int, format: str, suffix: str) -> object:
    _, data = cv2.imencode(suffix, image)
    return TYPES.types[COMPRESSED](header(stamp), format, data.ravel())


DEEP = np.full((HEIGHT, WIDTH), 1000, np.uint16)
SHALLOW = np.full((HEIGHT, WIDTH), 100, np.uint8)
DEPTHS = {
    "16UC1": (RAW, raw(DEEP, START, "16UC1")),
    "32FC1": (RAW, raw(DEEP.astype(np.float32), START, "32FC1")),
    "mono16": (RAW, raw(DEEP, START, "mono16")),
    "jpeg of depth": (COMPRESSED, compressed(SHALLOW, START, "16UC1; jpeg compressed ", ".jpg")),
    "png of depth": (COMPRESSED, compressed(DEEP, START, "16UC1; png compressed ", ".png")),
    "tiff of depth": (COMPRESSED, compressed(DEEP, START, "32FC1; tiff compressed ", ".tiff")),
    "unnamed png": (COMPRESSED, compressed(DEEP, START, "png", ".png")),
    "unnamed tiff": (COMPRESSED, compressed(DEEP.astype(np.float32), START, "tiff", ".tiff")),
    "compressedDepth": (COMPRESSED, compressed(DEEP, START, "16UC1; compressedDepth png", ".png")),
}


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("make", [raw, png])
def test_depth_is_not_taken_for_colour_however_it_is_sent(tmp_path, name, make):
    kind, message = DEPTHS[name]
    messages = entries(3, make)
    messages += [("/a/depth/image", START + n, kind, message) for n in range(9)]
    recording = opened(write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1])))
    assert recording.topic.startswith("/cam/image") and recording.notes == ()
    depth = opened(tmp_path / "bag", topics=["/a/depth/image"])
    frame = next(iter(depth.read()))
    if name != "mono16":  # a camera may well be of 16 bits, and its encoding says so
        with pytest.raises(ImageError, match="is a depth image: set image_topic"):
            frame.rgb()


@pytest.mark.parametrize("make", [raw, png])
def test_what_cannot_be_read_is_not_chosen(tmp_path, make):
    labels = raw(np.zeros((HEIGHT, WIDTH), np.int32), START, "32SC1")
    broken = TYPES.types[COMPRESSED](header(START), "jpeg", np.zeros(9, np.uint8))
    messages = entries(3, make)
    for n in range(9):
        messages += [("/a/labels", START + n, RAW, labels), ("/b", START + n, COMPRESSED, broken)]
    recording = opened(write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1])))
    assert recording.topic.startswith("/cam/image") and recording.notes == ()
    alone = opened(write_bag(tmp_path / "alone", [("/a/labels", START, RAW, labels)]))
    assert alone.topic == "/a/labels"  # whose frames say what is wrong with them


def test_colour_goes_before_grey_of_the_same_number(tmp_path):
    grey = raw(SHALLOW, START, "mono8")
    messages = entries(3) + [("/a/infra", START + n, RAW, grey) for n in range(3)]
    recording = opened(write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1])))
    assert recording.topic == "/cam/image/compressed"


def test_a_damaged_first_image_does_not_hide_depth(tmp_path):
    broken = TYPES.types[COMPRESSED](header(START), "jpeg", np.zeros(9, np.uint8))
    messages = entries(3) + [("/a/depth", START, COMPRESSED, broken)]
    messages += [("/a/depth", START + n, *DEPTHS["unnamed png"]) for n in range(1, 9)]
    recording = opened(write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1])))
    assert recording.topic == "/cam/image/compressed"


def test_a_topic_of_two_types_is_read_as_each_message_is(tmp_path):
    """As where a driver was restarted with another transport under the same name."""
    messages = [("/cam/image/compressed", *m[1:]) for m in entries(2, raw, info=False)]
    write_mcap(tmp_path / "bag_0.mcap", messages)
    write_mcap(tmp_path / "bag_1.mcap", entries(3, first=2))
    assert [heads for _, heads in found(opened(tmp_path))] == [h for _, h in expected([2, 3, 4])]


def test_a_calibration_holds_from_its_time_on(tmp_path):
    messages = entries(6) + [
        ("/cam/camera_info", START + 3 * STEP, CAMERA_INFO, camera_info(START, 200.0))
    ]
    recording = opened(write_bag(tmp_path / "bag", sorted(messages, key=lambda m: m[1])))
    focal = [recording.camera(info).k[0] for info in recording.frames]
    assert focal == [FOCAL] * 3 + [200.0] * 3


def test_an_unreadable_image_says_why(tmp_path):
    broken = TYPES.types[COMPRESSED](header(START), "jpeg", np.zeros(9, np.uint8))
    bag = write_bag(tmp_path / "bag", [("/cam/image/compressed", START, COMPRESSED, broken)])
    (frame,) = opened(bag).read()
    with pytest.raises(ImageError, match="cannot decode"):
        frame.rgb()


def test_pictures_go_by_name(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for name, number in (("b.png", 1), ("a.png", 0), ("sub/c.png", 2)):
        bgr = cv2.cvtColor(paint(heads_of(number)), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / name), bgr)
    recording = opened(folder)
    assert found(recording) == expected(range(3))
    assert [f.name for f in recording.frames] == ["a.png", "b.png", "sub/c.png"]
    assert not recording.sequence


def test_names_are_as_short_as_tells_them_apart(tmp_path):
    for place in ("x/bag", "y/bag"):
        (tmp_path / place).parent.mkdir()
        write_bag(tmp_path / place, entries(1))
    found_names = [r.id for r in open_sources([str(tmp_path / "*" / "bag")])]
    assert found_names == ["x/bag", "y/bag"]
