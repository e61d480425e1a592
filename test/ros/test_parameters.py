# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, the shipped YAML, and what the values mean."""

import pytest
from graph import shipped_parameters
from rclpy.parameter import Parameter

from hpe_vlm_ros.nodes.parameters import (
    SPECIFICATIONS,
    camera_info_topic,
    check_change,
    depth_topic,
    image_topic,
    tracking_settings,
)
from hpe_vlm_ros.nodes.parameters import descriptor as describe
from hpe_vlm_ros.tracking import Settings


def test_the_shipped_file_holds_every_parameter_with_its_default_and_type():
    shipped = shipped_parameters()
    defaults = {
        s.name: list(s.default) if isinstance(s.default, tuple) else s.default
        for s in SPECIFICATIONS
    }
    assert shipped == defaults
    assert {n: type(v) for n, v in shipped.items()} == {n: type(v) for n, v in defaults.items()}


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=lambda s: s.name)
def test_each_descriptor_says_what_and_how_far(specification):
    descriptor = describe(specification)
    assert len(descriptor.description) > 20
    limits = [*descriptor.floating_point_range, *descriptor.integer_range]
    if isinstance(specification.default, (int, float)) and specification.default is not True:
        if specification.default is not False:
            assert limits[0].from_value <= specification.default <= limits[0].to_value
    assert bool(descriptor.additional_constraints) != specification.live


@pytest.mark.parametrize(
    ("transport", "topic", "expected", "info"),
    [
        ("raw", "image_raw", "image_raw", "camera_info"),
        ("compressed", "image_raw", "image_raw/compressed", "camera_info"),
        ("compressed", "/a/image/compressed", "/a/image/compressed", "/a/camera_info"),
        ("raw", "/image", "/image", "/camera_info"),
        ("raw", "/a/b/image", "/a/b/image", "/a/b/camera_info"),
    ],
)
def test_topics(transport, topic, expected, info):
    values = {"image_transport": transport, "image_topic": topic, "camera_info_topic": ""}
    assert image_topic(values) == expected
    assert camera_info_topic(values) == info
    assert camera_info_topic({**values, "camera_info_topic": "/other"}) == "/other"


def test_topics_of_several_cameras():
    values = {"image_transport": "raw", "image_topic": "image_raw", "camera_info_topic": ""}
    values["depth_topic"] = "depth/image_rect"
    assert image_topic(values, "front") == "front/image_raw"
    assert camera_info_topic(values, "front") == "front/camera_info"
    assert depth_topic(values, "front") == "front/depth/image_rect"
    assert depth_topic({"depth_topic": ""}, "front") == ""
    assert image_topic({**values, "image_topic": "/image"}, "rear") == "rear/image"


def test_the_shipped_values_are_those_of_the_tracker():
    assert tracking_settings(shipped_parameters()) == Settings()


def test_what_may_be_set_when():
    model, rate = Parameter("model", value="/weights"), Parameter("max_rate", value=5.0)
    assert check_change([model, rate], configured=False).successful
    assert check_change([rate], configured=True).successful
    refused = check_change([rate, model], configured=True)
    assert not refused.successful and refused.reason.startswith("model ")
    wrong = check_change([Parameter("image_transport", value="theora")], configured=False)
    assert not wrong.successful and "raw or compressed" in wrong.reason
