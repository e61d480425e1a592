# SPDX-License-Identifier: Apache-2.0
"""What can be played, what cannot, and that pictures keep their colours and order."""

from array import array

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, RegionOfInterest
from std_msgs.msg import String

from demo.bags import write_message
from demo.frames import camera_info, from_pixels, header, jpeg
from demo.sources import open_source
from hpe_vlm_ros.camera_model import info_topic_beside
from hpe_vlm_ros.geometry import CameraIntrinsics
from hpe_vlm_ros.images import rgb_to_image, to_rgb
from hpe_vlm_ros.pictures import LONGEST
from hpe_vlm_ros.recordings.bag_writer import BagWriter
from hpe_vlm_ros.recordings.bags import shared_bag
from hpe_vlm_ros.recordings.frames import ReplayError

CAMERA = CameraIntrinsics(200.0, 210.0, 80.0, 60.0)


def colour(red, green, blue, width=64, height=48):
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = (red, green, blue)
    return pixels


def write_bag(folder, *messages):
    with BagWriter(folder) as bag:
        for message in messages:
            write_message(bag, *message)
    return folder


def test_a_video_plays_in_its_own_colours_and_time(tmp_path):
    file = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for level in (40, 120, 200):
        writer.write(cv2.cvtColor(colour(level, 30, 60), cv2.COLOR_RGB2BGR))
    writer.release()
    source = open_source(str(file), tmp_path)
    frames = list(source.frames)
    assert source.total == 3 and not source.live
    for frame, level in zip(frames, (40, 120, 200), strict=True):
        np.testing.assert_allclose(to_rgb(frame.image)[24, 32], (level, 30, 60), atol=12)
    assert np.diff([frame.stamp for frame in frames]).tolist() == [50_000_000] * 2


def test_pictures_play_by_name_and_large_ones_shrink(tmp_path):
    for name, pixels in (("b.png", colour(0, 0, 250)), ("a.jpg", colour(250, 0, 0, 2600, 1300))):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    frames = list(open_source(str(tmp_path), tmp_path).frames)
    assert [frame.caption for frame in frames] == ["a.jpg", "b.png"]
    first, second = (to_rgb(frame.image) for frame in frames)
    assert first.shape == (LONGEST // 2, LONGEST, 3) and first[0, 0, 0] > 230 > first[0, 0, 2]
    assert second.shape == (48, 64, 3) and second[0, 0, 2] > 230 > second[0, 0, 0]


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path, capsys):
    for name in ("._a.png", "cut.png", "page.png"):
        (tmp_path / name).write_text("not a picture")
    cv2.imwrite(str(tmp_path / "b.png"), colour(0, 0, 250))
    frames = list(open_source(str(tmp_path), tmp_path).frames)
    assert [frame.caption for frame in frames] == ["b.png"]
    output = capsys.readouterr().out
    assert "cut.png" in output and "page.png: not a picture" in output and "._a" not in output


def test_no_more_frames_than_asked_for(tmp_path):
    for name in "abcd":
        cv2.imwrite(str(tmp_path / f"{name}.png"), colour(0, 0, 0))
    source = open_source(str(tmp_path), tmp_path, most=3)
    assert source.total == 3 and len(list(source.frames)) == 3
    assert open_source(str(tmp_path), tmp_path).total == 4


def test_a_bag_gives_its_fullest_topic_with_the_calibration_beside_it(tmp_path, capsys):
    heads = [header(10**18 + i, "head_camera") for i in range(3)]
    messages = [("/other/image_raw", 5, rgb_to_image(colour(9, 9, 9), heads[0]))]
    messages += [("/cam/camera_info", 6, camera_info(heads[0], CAMERA, 64, 48))]
    messages += [("/cam/image/compressed", 7, jpeg(colour(250, 0, 0), head)) for head in heads]
    messages += [("/cam/depth/compressedDepth", 8, CompressedImage(header=h)) for h in heads * 2]
    source = open_source(str(write_bag(tmp_path / "bag", *messages)), tmp_path)
    frames = list(source.frames)
    assert source.transport == "compressed" and source.total == 3
    assert "/other/image_raw" in capsys.readouterr().out
    for frame, head, (_, _, message) in zip(frames, heads, messages[2:5], strict=True):
        assert frame.image == message and frame.image.header == head
        assert frame.info.k.tolist() == [200, 0, 80, 0, 210, 60, 0, 0, 1]
        assert (frame.info.width, frame.info.height) == (64, 48)

    (frame,) = open_source(str(tmp_path / "bag"), tmp_path, "/other/image_raw").frames
    assert frame.image == messages[0][2] and frame.info is None


def test_a_bag_is_read_as_the_replay_reads_it(tmp_path, capsys):
    """Whatever metadata.yaml says, and not its depth."""
    deep = cv2.imencode(".png", np.full((48, 64), 1000, np.uint16))[1].tobytes()
    messages = [("/cam/image/compressed", 7, jpeg(colour(250, 0, 0), header(5)))]
    for number in range(3):
        depth = CompressedImage(header=header(number), format="16UC1; png compressed ")
        depth.data = array("B", deep)
        messages.append(("/depth/compressed", 8, depth))
    folder = write_bag(tmp_path / "bag", *messages)
    text = (folder / "metadata.yaml").read_text().replace("message_count: 1", "message_count: 0")
    (folder / "metadata.yaml").write_text(text)
    source = open_source(str(folder), tmp_path)
    assert source.total == 1 and source.name.endswith("/cam/image/compressed")
    assert next(iter(source.frames)).image == messages[0][2]
    assert "0 messages stated, 1 found" in capsys.readouterr().out


def test_recordings_of_ros_1_play_as_they_are(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    kinds = store.types
    time, image = kinds["builtin_interfaces/msg/Time"], "sensor_msgs/msg/CompressedImage"
    coded = np.frombuffer(jpeg(colour(250, 0, 0), header(5)).data, np.uint8)
    with Ros1Writer(tmp_path / "old.bag") as bag:
        connection = bag.add_connection("/cam/image/compressed", image, typestore=store)
        for second in (1, 2):
            head = kinds["std_msgs/msg/Header"](second, time(second, 0), "camera")
            message = kinds[image](head, "jpeg", coded)
            bag.write(connection, second * 10**9, store.serialize_ros1(message, image))
    for path in (tmp_path / "old.bag", tmp_path):
        source = open_source(str(path), tmp_path)
        assert [frame.stamp for frame in source.frames] == [10**9, 2 * 10**9]
    shared_bag.cache_clear()
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0")
    with pytest.raises(ReplayError, match="cannot be read"):
        open_source(str(tmp_path / "old.bag"), tmp_path)


def test_all_of_a_calibration_is_played_and_whether_it_is_that_of_rectified_images(tmp_path):
    head = header(10**18, "head_camera")
    info = camera_info(head, CAMERA, 64, 48)
    info.distortion_model, info.d = "equidistant", [0.1, 0.2, 0.3, 0.4]
    info.binning_x = info.binning_y = 2
    info.roi = RegionOfInterest(x_offset=4, y_offset=6, width=128, height=96, do_rectify=True)
    pixels = rgb_to_image(colour(9, 9, 9), head)
    for topic, rectified in (("/cam/image_rect", True), ("/cam/image_raw", False)):
        messages = ("/cam/camera_info", 6, info), (topic, 7, pixels)
        source = open_source(
            str(write_bag(tmp_path / topic.replace("/", "_"), *messages)), tmp_path
        )
        (frame,) = source.frames
        assert frame.info == info and source.rectified is rectified


def test_stamps_that_do_not_grow_are_replaced(tmp_path):
    pixels = colour(1, 2, 3)
    times = [(10**9, 0), (2 * 10**9, 0), (2 * 10**9, 0), (4 * 10**9, 3 * 10**9)]
    messages = [("/image_raw", time, rgb_to_image(pixels, header(s))) for time, s in times]
    frames = list(open_source(str(write_bag(tmp_path / "bag", *messages)), tmp_path).frames)
    assert [f.stamp for f in frames] == [10**9, 2 * 10**9, 2 * 10**9 + 1, 3 * 10**9]


def test_a_bag_holds_the_definitions_of_what_is_in_it(tmp_path):
    frame = from_pixels(colour(1, 2, 3), 7, CAMERA)
    folder = write_bag(tmp_path / "bag", ("/i", 7, frame.image), ("/c", 7, frame.info))
    with AnyReader([folder]) as reader:
        found = {c.topic: reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()}
    assert bytes(found["/i"].data) == bytes(frame.image.data)
    assert found["/c"].distortion_model == "plumb_bob"


def test_only_bags_are_replaced(tmp_path):
    folder = write_bag(tmp_path / "bag", ("/s", 1, String(data="old")))
    write_bag(folder, ("/s", 1, String(data="new")))
    (folder / "metadata.yaml").unlink()  # as a recorder leaves it that was killed
    write_bag(folder, ("/s", 1, String(data="newer")))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="mine is in the way"):
        BagWriter(tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.mp4", None, "no such file or folder"),
        ("/dev/video97", None, "no such camera"),
        ("97", None, "no such camera"),
        ("/dev/null", None, "gives no picture"),
        ("words.mp4", b"not a video at all", "can play no video"),
        ("empty.mp4", b"", "can play no video"),
        ("broken.mcap", b"\x89MCAP0\r\n and then nothing", "not an MCAP file, or broken"),
        ("broken.db3", b"SQLite format 3", "cannot be read as a rosbag2"),
        ("broken.png", b"not a picture", "not a picture that OpenCV reads"),
    ],
)
def test_bad_sources_are_named_with_a_remedy(tmp_path, name, content, message):
    path = tmp_path / name if "." in name else name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReplayError, match=message):
        list(open_source(str(path), tmp_path).frames)


def test_bad_folders_and_bags_are_named_with_a_remedy(tmp_path):
    with pytest.raises(ReplayError, match="neither a rosbag2 nor pictures"):
        open_source(str(tmp_path), tmp_path)
    words = write_bag(tmp_path / "words", ("/chatter", 1, String(data="hello")))
    with pytest.raises(ReplayError, match="no colour images"):
        open_source(str(words), tmp_path)
    image = rgb_to_image(colour(1, 2, 3), header(5))
    images = write_bag(tmp_path / "images", ("/front/image_raw", 1, image))
    with pytest.raises(ReplayError, match="no images on /rear.*/front/image_raw"):
        open_source(str(images), tmp_path, "/rear")


def test_where_calibration_is_looked_for():
    assert info_topic_beside("/cam/image_raw/compressed") == "/cam/camera_info"
    assert info_topic_beside("/image_raw") == "/camera_info"
    assert info_topic_beside("image") == "camera_info"
