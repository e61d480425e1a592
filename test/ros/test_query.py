# SPDX-License-Identifier: Apache-2.0
"""The action ~/query: answers, refusals, cancelling, and fairness to the stream."""

from __future__ import annotations

import pytest
from action_msgs.msg import GoalStatus
from painting import painted
from rclpy.action import ActionClient
from scripted_node import SLOW

from hpe_vlm_ros.action import Query

TWO = ((80, 0), (240, 90))


@pytest.fixture
def query(crowd):
    client = ActionClient(crowd, Query, "perception/query")
    yield client
    client.destroy()


def send(crowd, query, question, image=None, camera="", heard=None):
    """The goal's handle, once it is accepted or rejected."""
    assert crowd.spin_until(query.server_is_ready)
    goal = Query.Goal(question=question, camera=camera)
    if image is not None:
        goal.image = image
    keep = None if heard is None else lambda m: heard.append(m.feedback.state)
    future = query.send_goal_async(goal, feedback_callback=keep)
    assert crowd.spin_until(future.done)
    return future.result()


def result(crowd, handle):
    future = handle.get_result_async()
    assert crowd.spin_until(future.done)
    return future.result().status, future.result().result


def test_a_question_about_an_image_of_ones_own(scripted, crowd, query):
    crowd.activate()
    image = painted(TWO)
    image.header.frame_id = "somewhere"
    status, answered = result(crowd, send(crowd, query, "How many people are there?", image))
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert answered.answer == "2 people are in the image." and answered.refusal == ""
    assert answered.header.frame_id == "somewhere" and [h.id for h in answered.heads] == ["", ""]


def test_a_question_about_the_newest_image_knows_the_ids(scripted, crowd, query):
    crowd.activate()
    heard: list[str] = []
    handle = send(crowd, query, "Where is the person on the right looking?", heard=heard)
    assert handle.accepted
    assert crowd.spin_until(lambda: "waiting for an image" in heard)
    crowd.answer(painted(TWO))
    status, answered = result(crowd, handle)
    assert status == GoalStatus.STATUS_SUCCEEDED and "to the image's left" in answered.answer
    while not all(head.id for head in crowd.answer(painted(TWO)).heads):
        pass
    status, answered = result(crowd, send(crowd, query, "Where is the person on the right?"))
    newest = crowd.arrays[-1].heads[1].id
    assert (
        answered.answer.startswith(f"{newest} is on the right") and answered.heads[0].id == newest
    )


def test_questions_that_cannot_be_answered_are_refused_by_name(scripted, crowd, query):
    crowd.activate()
    crowd.answer(painted(TWO))
    for question, camera, words in (
        ("What is she wearing?", "", "'What is she wearing?' cannot be answered; ask How many"),
        ("Where is the person?", "", "2 people are 'the person'"),
        ("How many people are there?", "attic", "there is no camera 'attic'"),
    ):
        status, answered = result(crowd, send(crowd, query, question, camera=camera))
        assert status == GoalStatus.STATUS_ABORTED
        assert words in answered.refusal and answered.answer == ""
    bad = painted(TWO)
    bad.encoding = "nonsense"
    status, answered = result(crowd, send(crowd, query, "How many people are there?", bad))
    assert status == GoalStatus.STATUS_ABORTED and "'nonsense' is not supported" in answered.refusal


def test_cancelling_ends_a_question_that_waits(scripted, crowd, query):
    crowd.activate()
    handle = send(crowd, query, "How many people are there?")  # no image has come yet
    future = handle.cancel_goal_async()
    assert crowd.spin_until(future.done) and future.result().goals_canceling
    status, answered = result(crowd, handle)
    assert status == GoalStatus.STATUS_CANCELED and answered.refusal == "cancelled"
    assert crowd.answer(painted(TWO)).heads


def test_many_questions_do_not_starve_the_stream_nor_it_them(scripted, crowd, query):
    crowd.activate()
    crowd.answer(painted(TWO, SLOW))  # questions about it take long as well
    stream = crowd.create_timer(1 / 30, lambda: crowd.send(painted(TWO, SLOW)))
    before = len(crowd.arrays)
    handles = [send(crowd, query, "How many people are there?") for _ in range(4)]
    for handle in handles:
        status, answered = result(crowd, handle)
        assert status == GoalStatus.STATUS_SUCCEEDED and answered.answer.startswith("2 people")
    # They take turns: between four questions at least two images were answered.
    assert len(crowd.arrays) - before >= 2
    crowd.destroy_timer(stream)


def test_an_inactive_node_rejects_questions_and_ends_those_it_has(scripted, crowd, query):
    assert crowd.transition("configure")
    assert not send(crowd, query, "How many people are there?").accepted
    crowd.transition("activate")
    handle = send(crowd, query, "How many people are there?")
    assert crowd.transition("deactivate")
    status, answered = result(crowd, handle)
    assert status == GoalStatus.STATUS_ABORTED and "deactivated" in answered.refusal
    assert "Traceback" not in scripted.log
