# SPDX-License-Identifier: Apache-2.0
"""Plays a bag through the live perception node and records what comes out.

    ros2 launch hpe_vlm_ros replay.launch.py bag:=my_bag out:=live_bag

Then `ros2 run hpe_vlm_ros replay my_bag --answers live_bag --out runs/live` reports how the live
node did, and `replay compare` sets that against the offline run. `--show-args` lists every
argument; each of perception.launch.py may be given as well, such as model:= or tracking:=.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hpe_vlm_ros.requirements import remedy

PERCEPTION = Path(__file__).resolve().parent / "perception.launch.py"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*launch_arguments(), OpaqueFunction(function=start)])


def launch_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument("bag", description="The rosbag2 to play: folder, .mcap or .db3."),
        DeclareLaunchArgument(
            "out", description="Folder of the rosbag2 to record; must not exist."
        ),
        DeclareLaunchArgument(
            "topic", default_value="", description="Image topic. Empty: the one with most images."
        ),
        DeclareLaunchArgument(
            "rate", default_value="1.0", description="How many times the bag's own pace."
        ),
        DeclareLaunchArgument(
            "wait",
            default_value="false",
            description="Wait for each answer before the next image, so that none is dropped.",
            choices=["true", "false"],
        ),
    ]


def start(context: LaunchContext) -> list[Action]:
    """The node, set to the bag's topics and to take old stamps; and the player that ends it all."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    try:  # not above: the arguments are shown without it, and launch shows no more than a sentence
        from hpe_vlm_ros.recordings.bag_recording import open_bag
    except ImportError as error:
        raise RuntimeError(remedy(error)) from None
    recording = open_bag(Path(given("bag")), "bag", given("topic") or None)
    compressed = recording.topic.endswith("/compressed")
    perception = {
        "image_topic": recording.topic.removesuffix("/compressed"),
        "image_transport": "compressed" if compressed else "raw",
        "camera_info_topic": recording.info_topic,
        "max_age": "0.0",  # recordings keep the stamps they were made with
        "max_rate": "0.0",
    }
    arguments = [given("bag"), "--out", given("out"), "--topic", recording.topic]
    arguments += ["--rate", given("rate"), *(["--wait"] if given("wait") == "true" else [])]
    return [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(PERCEPTION)), launch_arguments=perception.items()
        ),
        Node(
            package="hpe_vlm_ros",
            executable="replay_live",
            arguments=arguments,
            output="screen",
            on_exit=Shutdown(),
        ),
    ]
