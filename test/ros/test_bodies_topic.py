# SPDX-License-Identifier: Apache-2.0
"""Keypoints of bodies through the real node: its own topic, REP-155, Foxglove and RViz."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from foxglove_msgs.msg import ImageAnnotations
from graph import Peer, calibration, listen, picture, stamp_of
from hri_msgs.msg import IdsList, IdsMatch, NormalizedRegionOfInterest2D, Skeleton2D
from painting import HEIGHT, WIDTH, painted
from scripted_node import NO_BODY
from visualization_msgs.msg import Marker, MarkerArray

from hpe_vlm_ros.msg import Keypoint, Skeleton, SkeletonArray
from hpe_vlm_ros.skeleton import KEYPOINTS

TWO = ((80, 0), (240, 0))
TOPIC = "perception/skeletons"


def show(crowd: Peer, until, heads=TWO, command=0):
    """Shows people until something has come of it."""
    while not until():
        crowd.calibration.publish(calibration())
        crowd.answer(painted(heads, command))
        crowd.spin_until(until, 0.3)


def bodies_in(arrays):
    """Of each array of markers that has bodies, those."""
    found = ([marker for marker in array.markers if marker.ns == "body"] for array in arrays)
    return [bodies for bodies in found if bodies]


def test_all_bodies_on_all_topics(scripted, crowd):
    crowd.set_parameters(skeletons="all", skeleton_rate=0.0)
    crowd.activate()
    arrays = listen(crowd, SkeletonArray, TOPIC)
    drawings = listen(crowd, ImageAnnotations, "perception/skeleton_annotations")
    markers = listen(crowd, MarkerArray, "perception/markers")
    tracked = listen(crowd, IdsList, "/humans/bodies/tracked")
    matches = listen(crowd, IdsMatch, "/humans/candidate_matches")
    show(crowd, lambda: arrays and arrays[-1].skeletons and arrays[-1].skeletons[1].id)

    last = arrays[-1]
    assert stamp_of(last) in [stamp_of(array) for array in crowd.arrays]
    assert last.model_id == "scripted" and len(last.skeletons) == 2
    left, right = last.skeletons
    for body in (left, right):
        prefix, _, number = body.face_id.rpartition("h")
        assert body.id == f"{prefix}b{number}" and prefix == "scripted_"
        assert stamp_of(body) == stamp_of(last)
    # a head of 40 pixels above a body of 5 heads by 8, which the picture cuts off
    box = [right.x_min, right.y_min, right.x_max, right.y_max]
    np.testing.assert_allclose(box, [240 - 100, 100, WIDTH, HEIGHT], atol=2)
    wrist = right.keypoints[Skeleton.LEFT_WRIST]
    share = (KEYPOINTS.index("left wrist") + 1) / 18
    assert wrist.x == pytest.approx(box[0] + share * (box[2] - box[0]), abs=0.01)
    assert wrist.y == pytest.approx(box[1] + share * (box[3] - box[1]), abs=0.01)
    assert wrist.visibility == Keypoint.VISIBILITY_SEEN and wrist.score == pytest.approx(0.8)
    np.testing.assert_allclose(wrist.covariance, [4, 0, 9])
    ankle = right.keypoints[Skeleton.RIGHT_ANKLE]
    assert ankle.visibility == Keypoint.VISIBILITY_ABSENT and ankle.score == 0
    assert math.isnan(ankle.x) and np.isnan(ankle.covariance).all()

    outlines = listen(crowd, Skeleton2D, f"/humans/bodies/{right.id}/skeleton2d")
    rois = listen(crowd, NormalizedRegionOfInterest2D, f"/humans/bodies/{right.id}/roi")
    show(crowd, lambda: outlines and rois and drawings and bodies_in(markers))
    assert tracked[-1].ids == [left.id, right.id]
    points = outlines[-1].skeleton
    places = {
        Skeleton2D.NOSE: "nose",
        Skeleton2D.LEFT_EYE: "left eye",
        Skeleton2D.RIGHT_EYE: "right eye",
        Skeleton2D.RIGHT_EAR: "right ear",
        Skeleton2D.RIGHT_SHOULDER: "right shoulder",
        Skeleton2D.LEFT_ANKLE: "left ankle",
    }
    for place, name in places.items():
        share = (KEYPOINTS.index(name) + 1) / 18
        assert points[place].x == pytest.approx((140 + share * 180) / WIDTH, abs=0.01)
        assert points[place].c == pytest.approx(0.8)
    gone, neck = points[Skeleton2D.RIGHT_ANKLE], points[Skeleton2D.NECK]
    assert (gone.x, gone.y, gone.c) == (0, 0, 0)
    shoulders = points[Skeleton2D.LEFT_SHOULDER], points[Skeleton2D.RIGHT_SHOULDER]
    assert neck.x == pytest.approx(sum(p.x for p in shoulders) / 2) and neck.c > 0.7
    assert rois[-1].xmin == pytest.approx(140 / WIDTH, abs=0.01) and rois[-1].ymax <= 1
    (match, *_) = (match for match in matches if match.id1 == right.id)
    assert (match.id1_type, match.id2_type) == (IdsMatch.BODY, IdsMatch.FACE)
    assert match.id2 == right.face_id and match.confidence == pytest.approx(right.score)
    assert len(drawings[-1].points) == 2 and len(drawings[-1].points[0].points) >= 20
    (first, _), depth = bodies_in(markers)[-1], crowd.arrays[-1].heads[0].pose.pose.position.z
    assert first.type == Marker.LINE_LIST and len(first.points) % 2 == 0
    assert first.points[0].z == pytest.approx(depth, rel=0.05)

    show(crowd, lambda: not arrays[-1].skeletons and not tracked[-1].ids, heads=())
    topic = f"/humans/bodies/{right.id}/roi"
    assert crowd.spin_until(lambda: not crowd.count_publishers(topic))


def test_the_nearest_body_alone_and_faults_that_cost_no_heads(scripted, crowd):
    crowd.set_parameters(skeletons="nearest", skeleton_rate=0.0, publish_hri=False)
    crowd.activate()
    arrays = listen(crowd, SkeletonArray, TOPIC)
    show(crowd, lambda: arrays)
    assert len(arrays[-1].skeletons) == 1
    show(crowd, lambda: "no body can be seen" in scripted.log, command=NO_BODY)
    assert crowd.arrays[-1].heads, "the heads were not published"
    assert not [n for n, _ in crowd.get_topic_names_and_types() if "/humans/bodies/tracked" in n]
    arrays.clear()
    show(crowd, lambda: arrays)


def test_nothing_about_bodies_where_nobody_asks(scripted, crowd):
    crowd.activate()
    crowd.answer(painted(TWO))
    own = crowd.get_publisher_names_and_types_by_node("perception", crowd.get_namespace())
    assert not [name for name, _ in own if "bodies" in name or "skeleton" in name]


def test_a_model_that_has_not_learnt_keypoints_is_refused(node, peer, tiny_model, tmp_path):
    peer.set_parameters(skeletons="nearest")
    assert not peer.transition("configure")
    assert "has not learnt the question 'keypoints': set skeletons to none" in node.log
    (refused,) = peer.set_parameters(skeletons="everybody")
    assert not refused.successful and "use none or nearest or all" in refused.reason

    taught = tmp_path / "taught"  # random weights that claim to know keypoints
    shutil.copytree(tiny_model, taught)
    config = json.loads((taught / "config.json").read_text())
    (taught / "config.json").write_text(json.dumps(config | {"tasks": ["keypoints"]}))
    peer.set_parameters(model=str(taught), skeleton_rate=0.0)
    peer.activate()
    arrays = listen(peer, SkeletonArray, TOPIC)
    while not arrays:
        assert peer.answer(picture()).heads
        peer.spin_until(lambda: arrays, 0.5)
    (body,) = arrays[-1].skeletons
    assert body.id == "" and arrays[-1].model_id.startswith("taught-")
    for point in body.keypoints:
        absent = point.visibility == Keypoint.VISIBILITY_ABSENT
        assert math.isnan(point.x) == absent and (absent or 0 <= point.x <= 320)
