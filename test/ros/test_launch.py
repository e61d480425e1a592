# SPDX-License-Identifier: Apache-2.0
"""The launch file: with the real `launch` where that is installed, else with stand-ins for it."""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import List  # noqa: UP035, launch compares with exactly this

import launch_stand_ins
import pytest
from graph import PARAMETERS, ROOT, shipped_parameters
from lifecycle_msgs.msg import Transition

OWN = {"params_file", "use_sim_time", "namespace", "name", "autostart", "log_level"}


@pytest.fixture
def launch_file(monkeypatch):
    if find_spec("launch_ros") is None:
        for name, module in launch_stand_ins.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
    spec = spec_from_file_location("perception_launch", ROOT / "launch" / "perception.launch.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    # The real classes hide what they were given.
    monkeypatch.setattr(module, "LifecycleNode", launch_stand_ins.LifecycleNode)
    monkeypatch.setattr(module, "ParameterValue", launch_stand_ins.ParameterValue)
    return module


def arguments(launch_file):
    made = launch_file.generate_launch_description().get_launch_arguments()
    return {argument.name: argument for argument in made}


def start(launch_file, **given):
    """What the launch file starts: (entities, the node's arguments, its own parameters)."""
    context = launch_file.LaunchContext()
    for argument in launch_file.launch_arguments():
        default = argument.default_value  # the real one is a list of substitutions
        text = default if isinstance(default, str) else "".join(d.text for d in default)
        context.launch_configurations[argument.name] = given.pop(argument.name, text)
    assert not given
    entities = launch_file.start(context)
    (node,) = (e for e in entities if isinstance(e, launch_stand_ins.LifecycleNode))
    file, values = node.given["parameters"]
    assert Path(file).samefile(PARAMETERS)
    return entities, node.given, values


def test_every_parameter_is_an_argument_and_every_argument_is_described(launch_file):
    found = arguments(launch_file)
    assert set(found) == OWN | set(shipped_parameters())
    for argument in found.values():
        assert len(argument.description) > 20, argument.name
    assert set(found["image_transport"].choices) == {"", "raw", "compressed"}


def test_the_executable_is_installed_under_the_name_that_is_launched(launch_file):
    _, node, _ = start(launch_file)
    assert (node["package"], node["name"], node["namespace"]) == ("hpe_vlm_ros", "perception", "")
    script = ROOT / "scripts" / node["executable"]
    assert script.stat().st_mode & 0o111, "not executable"
    assert f"install(PROGRAMS scripts/{script.name} " in (ROOT / "CMakeLists.txt").read_text()


def test_without_arguments_the_parameter_file_stands(launch_file):
    _, node, values = start(launch_file)
    assert values == {"autostart": False}
    assert node["arguments"] == ["--ros-args", "--log-level", "info"]


def test_arguments_reach_the_node_in_the_types_of_its_parameters(launch_file):
    _, node, values = start(
        launch_file,
        model="7",
        image_topic="/front/image",
        max_rate="5",
        max_age="0.5",
        max_heads="3",
        publish_tf="false",
        cameras="front,rear",
        use_sim_time="true",
        namespace="head",
        name="eyes",
        log_level="debug",
    )
    for name, text in (("model", "7"), ("image_topic", "/front/image")):
        given = values.pop(name)
        assert (given.value, given.value_type) == (text, str)
    cameras = values.pop("cameras")
    assert (cameras.value, cameras.value_type) == ("[front,rear]", List[str])  # noqa: UP006
    assert values == {
        "max_rate": 5.0,
        "max_age": 0.5,
        "max_heads": 3,
        "publish_tf": False,
        "use_sim_time": True,
        "autostart": False,
    }
    assert type(values["max_rate"]) is float
    for name, value in values.items():
        if name != "use_sim_time":
            assert type(value) is type(shipped_parameters()[name])
    assert (node["namespace"], node["name"], node["arguments"][-1]) == ("head", "eyes", "debug")


def test_a_value_of_the_wrong_type_is_named(launch_file):
    with pytest.raises(ValueError, match="max_rate:=fast must be of type float"):
        start(launch_file, max_rate="fast")


@pytest.mark.skipif(find_spec("launch_ros") is not None, reason="the real classes hide these")
def test_autostart_configures_and_then_activates_once(launch_file):
    (handler, node, configure), _, _ = start(launch_file)
    assert configure.event.transition_id == Transition.TRANSITION_CONFIGURE
    assert configure.event.lifecycle_node_matcher(node)
    (activate,) = handler.event_handler.entities
    assert activate.event.transition_id == Transition.TRANSITION_ACTIVATE
    assert activate.event.lifecycle_node_matcher(node)
    assert handler.event_handler.target is node
    # From configuring only: a later deactivate also ends in inactive, and must stay there.
    assert handler.event_handler.start_state == "configuring"
    assert handler.event_handler.goal_state == "inactive"


def test_without_autostart_only_the_node_is_started(launch_file):
    entities, _, values = start(launch_file, autostart="false")
    assert len(entities) == 1
    assert values == {"autostart": False}
