# SPDX-License-Identifier: Apache-2.0
"""Head gestures through the real node; its scripted model has not learnt them: the rule tells."""

from __future__ import annotations

import math

from graph import Peer, stamp_of
from painting import painted

from hpe_vlm_ros.action import Query
from hpe_vlm_ros.msg import HeadGesture

EPOCH = 1_700_000_000  # seconds, of the first image
RESEND = 2.0  # seconds after which an image that got lost is sent again, with the same stamp


def watched(crowd: Peer):
    """A node that watches gestures: what it tells, and `show(time, yaw)`, which has it answer an
    image with a head, without one where yaw is None."""
    crowd.set_parameters(gestures=True)
    heard: list[HeadGesture] = []
    crowd.create_subscription(HeadGesture, "perception/head_gestures", heard.append, 20)
    crowd.activate()
    assert crowd.spin_until(lambda: crowd.count_publishers("perception/head_gestures"))

    def show(time: float, yaw: float | None):
        message = painted(() if yaw is None else ((160, yaw),))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(
            round((EPOCH + time) * 10) * 10**8, 10**9
        )
        message.header.frame_id = "camera_optical"
        wanted = stamp_of(message)

        def answers():
            return [array for array in crowd.arrays if stamp_of(array) == wanted]

        def shown():
            crowd.camera.publish(message)
            return crowd.spin_until(answers, RESEND)

        assert crowd.spin_until(shown), "the image was never answered"
        return answers()[-1]

    return heard, show


def shaking(time: float) -> float:
    return 15 * math.sin(2 * math.pi * 1.4 * time) if time > 3.0 else 0.0


def test_a_gesture_is_reported_and_ends_with_its_head(scripted, crowd):
    heard, show = watched(crowd)
    for k in range(42):
        answer = show(k / 10, shaking(k / 10))
    (head,) = answer.heads
    assert head.facing == head.FACING_FRONTAL and head.facing_score > 0.3
    assert crowd.spin_until(lambda: heard), "no gesture was reported"
    began = heard[0]
    assert (began.gesture, began.state) == (HeadGesture.GESTURE_SHAKE, HeadGesture.STATE_STARTED)
    assert began.id == head.id and began.judge == "rule"
    assert began.amplitude > math.radians(5) and abs(began.direction) == 1
    assert 0.6 < began.score <= 1 and began.start.sec > 0
    goal = Query.Goal(question=f"Did {head.id} shake the head?")
    assert asked(crowd, goal).answer.startswith(f"Yes, {head.id} did: shake")
    for k in range(42, 75):
        show(k / 10, None)
    assert crowd.spin_until(lambda: heard[-1].state == HeadGesture.STATE_ENDED)
    assert [message.id for message in heard] == [head.id] * len(heard)


def test_a_slow_camera_says_nothing_of_gestures(scripted, crowd):
    heard, show = watched(crowd)
    for k in range(30):
        show(k / 5, shaking(k / 5))
    assert not heard
    for k in range(60, 85):
        show(k / 10, shaking(k / 10))
    assert crowd.spin_until(lambda: heard)


def asked(crowd: Peer, goal: Query.Goal):
    """The result of a question."""
    from rclpy.action import ActionClient

    client = ActionClient(crowd, Query, "perception/query")
    try:
        assert crowd.spin_until(client.server_is_ready)
        sent = client.send_goal_async(goal)
        assert crowd.spin_until(sent.done)
        result = sent.result().get_result_async()
        assert crowd.spin_until(result.done)
        return result.result().result
    finally:
        client.destroy()
