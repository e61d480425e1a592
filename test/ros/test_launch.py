# SPDX-License-Identifier: Apache-2.0
"""The launch file: with the real `launch` where that is installed, else with stand-ins for it; and
the node processes that it asks for."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import List  # noqa: UP035, launch compares with exactly this

import launch_stand_ins
import pytest
import yaml
from graph import HERE, ROOT, SCRIPT, SECOND, TIMEOUT, shipped_parameters
from lifecycle_msgs.msg import TransitionEvent
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python

OWN = {"params_file", "use_sim_time", "namespace", "name", "autostart", "respawn", "log_level"}

# The real classes hide what they were given.
SHOWN = "LifecycleNode", "ParameterValue", "RegisterEventHandler", "OnStateTransition"
SHOWN += "OpaqueFunction", "OnProcessIO"


@pytest.fixture
def launch_file(monkeypatch):
    if find_spec("launch_ros") is None:
        for name, module in launch_stand_ins.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
    spec = spec_from_file_location("perception_launch", ROOT / "launch" / "perception.launch.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in SHOWN:
        monkeypatch.setattr(module, name, getattr(launch_stand_ins, name))
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
    return entities, node.given, node.given["parameters"][-1]


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


def test_without_arguments_nothing_is_passed_that_is_a_default(launch_file):
    """So that SetParameter in an including launch file, which comes before, stays in force."""
    _, node, values = start(launch_file)
    assert node["parameters"] == [{"autostart": True}]
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
        "autostart": True,
    }
    assert type(values["max_rate"]) is float
    for name, value in values.items():
        if name != "use_sim_time":
            assert type(value) is type(shipped_parameters()[name])
    assert (node["namespace"], node["name"], node["arguments"][-1]) == ("head", "eyes", "debug")


def test_a_value_of_the_wrong_type_is_named(launch_file):
    with pytest.raises(ValueError, match="max_rate:=fast must be of type float"):
        start(launch_file, max_rate="fast")


def test_a_parameter_file_is_passed_and_one_that_is_missing_refused(
    launch_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "robot.yaml").write_text("/**:\n  ros__parameters:\n    max_heads: 3\n")
    for text in (str(tmp_path / "robot.yaml"), "~/robot.yaml"):
        _, node, _ = start(launch_file, params_file=text)
        assert node["parameters"][:-1] == [str(tmp_path / "robot.yaml")]
    for text in ("/nonexistent.yaml", str(tmp_path), "~/other.yaml"):
        with pytest.raises(FileNotFoundError, match=f"params_file:={text} is no file"):
            start(launch_file, params_file=text)


class Launched:
    """The node process as launch_ros would start it, and what comes of that for launch.

    deaf: transitions are not heard, as where they come too soon."""

    def __init__(self, launch_file, peer, tmp_path, set_parameters=(), deaf=False, **given):
        entities, self._given, _ = start(launch_file, namespace=SECOND, **given)
        handlers = [e.event_handler for e in entities if hasattr(e, "event_handler")]
        self._io, self._transition = sorted(handlers, key=lambda h: type(h).__name__)
        self.heard = []
        self._files, self._set, self._log = tmp_path, set_parameters, tmp_path / "launch.log"
        self.context = launch_stand_ins.LaunchContext()
        topic = "perception/transition_event"
        if not deaf:
            peer.create_subscription(TransitionEvent, topic, self._on_transition, 10)
        self.process = self._run()

    @property
    def log(self):
        return self._log.read_text()

    def end(self, number):
        """Ends the process by a signal; its status, after launch has heard of it."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        status = self.process.wait(TIMEOUT)
        self._io.on_stderr(launch_stand_ins.ProcessIO(self._log.read_bytes()))
        if self._given["on_exit"] is not None:
            self._given["on_exit"](launch_stand_ins.ProcessExited(status), self.context)
        if self._given["respawn"]:
            self.process = self._run()
        return status

    def _run(self):
        given = self._given
        command = [sys.executable, "-m", SCRIPT, *given["arguments"]]
        command += ["-r", f"__node:={given['name']}", "-r", f"__ns:={given['namespace']}"]
        for name, value in self._set:
            command += ["-p", f"{name}:={value}"]
        for number, parameters in enumerate(given["parameters"]):
            command += ["--params-file", self._file(number, parameters)]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{HERE}:{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        }
        with self._log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def _file(self, number, parameters):
        if isinstance(parameters, str):
            return parameters
        plain = {n: getattr(value, "value", value) for n, value in parameters.items()}
        file = self._files / f"parameters{number}.yaml"
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": plain}}))
        return str(file)

    def _on_transition(self, event):
        if event.goal_state.label == self._transition.goal_state:
            self.heard.append(event)
            for action in self._transition.entities:
                action.function(self.context)


@pytest.fixture
def launch(launch_file, second_peer, tmp_path):
    made = []

    def run(**given):
        made.append(Launched(launch_file, second_peer, tmp_path, **given))
        return made[-1]

    yield run
    for launched in made:
        print(launched.log)
        launched.process.send_signal(signal.SIGINT)
        launched.process.wait(TIMEOUT)


def values_of(peer, *names):
    request = GetParameters.Request(names=names)
    response = peer.call(GetParameters, "perception/get_parameters", request)
    return [parameter_value_to_python(value) for value in response.values]


@pytest.mark.parametrize("deaf", [False, True])
def test_the_node_takes_itself_to_active_and_may_end_then(launch, second_peer, deaf):
    """Launch sees that by the node's words or, where those are kept back, by its transition."""
    launched = launch(max_rate="5", deaf=deaf, log_level="info" if deaf else "error")
    second_peer.wait_for_node()
    assert second_peer.state() == "active"
    if not deaf:  # it came before the two had found each other: once more
        assert second_peer.transition("deactivate") and second_peer.transition("activate")
        assert second_peer.spin_until(lambda: launched.heard)
    assert values_of(second_peer, "max_rate") == [5.0]
    assert launched.end(signal.SIGTERM) == 0


def test_without_autostart_it_waits_for_others(launch, second_peer, tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text("/**:\n  ros__parameters:\n    autostart: true\n")
    launched = launch(autostart="false", params_file=str(file))
    assert second_peer.state() == "unconfigured"
    second_peer.activate()
    assert launched.end(signal.SIGTERM) == 0


def test_what_an_including_launch_file_sets_stays_in_force(launch, second_peer, tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text("/**:\n  ros__parameters:\n    looking_angle: 20.0\n")
    launch(
        set_parameters=[("max_heads", 7), ("max_age", 0.5), ("use_sim_time", "true")],
        max_age="2.0",
        params_file=str(file),
    )
    second_peer.wait_for_node()
    assert values_of(second_peer, "max_heads", "max_age", "use_sim_time", "looking_angle") == [
        7, 2.0, True, 20.0,
    ]  # fmt: skip


def test_launch_fails_when_the_node_cannot_start(launch):
    with pytest.raises(RuntimeError, match=r"ended \(status 2\) before it was active"):
        launch(max_heads="0").ended()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_launch_fails_when_the_node_ends_on_its_way_to_active(launch, monkeypatch, number):
    monkeypatch.setenv("SCRIPTED_LOAD", "3600")
    launched = launch()
    while "loading" not in launched.log:
        assert launched.process.poll() is None
    with pytest.raises(RuntimeError, match="before it was active"):
        launched.end(number)


def test_what_ends_because_launch_ends_is_no_failure(launch, monkeypatch):
    monkeypatch.setenv("SCRIPTED_LOAD", "3600")
    launched = launch()
    while "loading" not in launched.log:
        assert launched.process.poll() is None
    launched.context.is_shutdown = True
    assert launched.end(signal.SIGINT) == 0


def test_a_node_that_respawns_is_active_again(launch, second_peer):
    launched = launch(respawn="true")
    for _ in range(2):
        second_peer.wait_for_node()
        assert second_peer.spin_until(lambda: "waiting for images" in launched.log)
        launched._log.write_text("")
        assert launched.end(signal.SIGKILL) == -signal.SIGKILL
    assert second_peer.spin_until(lambda: "waiting for images" in launched.log)
