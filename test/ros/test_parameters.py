# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, the shipped YAML, and what the values mean."""

import json
import re

import pytest
from graph import shipped_parameters
from hypothesis import given
from hypothesis import strategies as st
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python
from rclpy.validate_full_topic_name import validate_full_topic_name

from hpe_vlm_ros.nodes.parameters import (
    SPECIFICATIONS,
    camera_info_topic,
    check_change,
    depth_topic,
    id_prefix,
    image_topic,
    tracking_settings,
)
from hpe_vlm_ros.nodes.parameters import descriptor as describe
from hpe_vlm_ros.people.tracking import Settings


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


def spellings(specification):
    """Texts that one may give to `ros2 param set`, and what is meant by each."""
    default, name = specification.default, specification.name
    if name == "mirror":
        texts = {t: t for t in ("auto", "always", "never")}
        return texts | {"on": True, "off": False, "true": True, "false": False}
    if name == "rectified":
        return {"auto": "auto", "true": True, "false": False, "on": True, "no": False}
    if name == "image_transport":
        return {"raw": "raw", "compressed": "compressed"}
    if name == "skeletons":
        return {"nearest": "nearest", "all": "all", "none": "none"}
    if name == "id_prefix":
        return {"auto": "auto", "r1": "r1", "": ""}
    if isinstance(default, bool):
        return {"true": True, "false": False, "on": True, "off": False}
    if isinstance(default, tuple):
        return {'[""]': [""], '["front", rear]': ["front", "rear"], "[]": []}
    if isinstance(default, str):
        return {default: default, "other": "other", "": ""}
    return {json.dumps(type(default)(v)): v for v in (default, *specification.limits)}


def test_every_parameter_can_be_set_by_text(scripted, crowd):
    """YAML makes values of the text, as in `ros2 param set`, with types of its own choosing."""
    for specification in SPECIFICATIONS:
        name = specification.name
        for text, meant in spellings(specification).items():
            request = SetParameters.Request()
            request.parameters = [Parameter(name).to_parameter_msg()]
            request.parameters[0].value = get_parameter_value(text)
            (result,) = crowd.call(SetParameters, "perception/set_parameters", request).results
            assert result.successful, f"{name} {text}: {result.reason}"
            asked = GetParameters.Request(names=[name])
            (value,) = crowd.call(GetParameters, "perception/get_parameters", asked).values
            assert parameter_value_to_python(value) == meant, name


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mirror", "sometimes", "use auto or always or never, or true or false"),
        ("mirror", 1, "use auto"),
        ("mirror", None, "use auto"),
        ("rectified", 1, "use auto or true or false"),
        ("rectified", "sometimes", "use auto or true or false"),
        ("cameras", "front", "list of names"),
        ("cameras", [1, 2], "list of names"),
        ("gaze_targets", True, "list of names"),
        ("gaze_targets", None, "list of names"),
    ],
)
def test_values_of_another_kind_are_refused_with_the_remedy(name, value, words):
    refused = check_change([Parameter(name, value=value)], configured=False)
    assert not refused.successful and words in refused.reason and name in refused.reason


def test_a_parameter_cannot_be_taken_away(scripted, crowd):
    request = SetParameters.Request()
    for name in ("mirror", "cameras"):
        request.parameters = [Parameter(name, Parameter.Type.NOT_SET).to_parameter_msg()]
        assert request.parameters[0].value.type == ParameterType.PARAMETER_NOT_SET
        (result,) = crowd.call(SetParameters, "perception/set_parameters", request).results
        assert not result.successful


@given(st.text(max_size=70) | st.from_regex(r"[\w/ -]{1,12}"))
def test_a_prefix_is_accepted_only_if_names_can_be_made_of_it(prefix):
    """By ROS's own rules, and those of its design for names: no two underscores in a row."""
    accepted = check_change([Parameter("id_prefix", value=prefix)], configured=False).successful
    if not accepted:
        assert not re.fullmatch(r"[a-z][a-z0-9]{0,60}", prefix), "a plain word"
        return
    name = f"{prefix}_h0001".removeprefix("_")
    validate_full_topic_name(f"/humans/faces/{name}/roi")
    assert "__" not in name and name.isascii()


@pytest.mark.parametrize(
    ("namespace", "prefix"),
    [
        ("/", ""),
        ("/r1", "r1"),
        ("/fleet/r1", "r1"),
        ("/_r__1_", "r_1"),
        ("/_", ""),
        ("/a/b2", "b2"),
    ],
)
def test_by_default_the_prefix_is_the_namespaces_last_part(namespace, prefix):
    assert id_prefix({"id_prefix": "auto"}, namespace) == prefix
    assert id_prefix({"id_prefix": ""}, namespace) == ""
    assert id_prefix({"id_prefix": "bob"}, namespace) == "bob"
    made = id_prefix({"id_prefix": "auto"}, "/" + "x" * 100)
    assert check_change([Parameter("id_prefix", value=made)], configured=False).successful
