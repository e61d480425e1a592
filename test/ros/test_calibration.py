# SPDX-License-Identifier: Apache-2.0
"""Rectified and bent cameras, unknown lenses and turned cameras, through the real node."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from graph import Peer, calibration
from painting import HEIGHT, WIDTH, painted
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from hpe_vlm_ros.msg import HeadPose


def place(crowd: Peer, info: CameraInfo, message: Image, publisher=None):
    """The first head once it has a position."""
    for _ in range(1000):
        crowd.calibration.publish(info)
        head = crowd.answer(message, publisher).heads[0]
        if head.position_source == HeadPose.POSITION_BOX_SIZE:
            p = head.pose.pose.position
            return head, np.array([p.x, p.y, p.z])
    raise AssertionError("never a position")


def begin(crowd: Peer, **parameters):
    results = crowd.set_parameters(tracking=False, publish_image=False, **parameters)
    assert all(result.successful for result in results), results
    crowd.activate(parameters.get("image_topic", "image_raw"))
    assert crowd.spin_until(crowd.calibration.get_subscription_count)


def test_regions_binning_and_lenses_count(scripted, crowd):
    """A square at the border, before four cameras that see it along the same ray."""
    begin(crowd)
    _, plain = place(crowd, calibration(), painted(((260, 0),)))
    full = calibration(600.0, 1280, 960)  # twice as fine, of which the middle quarter is published
    full.binning_x = full.binning_y = 2
    full.roi = RegionOfInterest(x_offset=320, y_offset=240, width=640, height=480)
    _, cut = place(crowd, full, painted(((260, 0),)))
    np.testing.assert_allclose(cut, plain, rtol=1e-5, atol=1e-6)
    bent = calibration()
    bent.distortion_model, bent.d = "plumb_bob", [-0.4, 0.0, 0.0, 0.0, 0.0]
    _, outside = place(crowd, bent, painted(((260, 0),)))
    # 100 pixels from the middle: x (1 - 0.4 x^2) = 1/3 where x = 0.3535, so farther to the side
    assert plain[0] / plain[2] == pytest.approx(1 / 3, rel=0.1)
    assert outside[0] / outside[2] == pytest.approx(plain[0] / plain[2] * 1.06, rel=0.01)


def test_rectified_images_take_p(scripted, crowd):
    """By name, and where the parameter says so."""
    camera = crowd.create_publisher(Image, "image_rect", 1)
    info = calibration(300.0)
    info.d, info.distortion_model = [-0.3, 0.1, 0.0, 0.0, 0.0], "plumb_bob"
    info.p = [390.0, 0.0, 160.0, -40.0, 0.0, 390.0, 120.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    begin(crowd, image_topic="image_rect")
    _, by_name = place(crowd, info, painted(((160, 0),)), camera)
    crowd.unconfigure()
    begin(crowd, image_topic="image_rect", rectified=False)
    _, raw = place(crowd, info, painted(((160, 0),)), camera)
    assert by_name[2] + 0.09 == pytest.approx(1.3 * (raw[2] + 0.09), rel=0.01)
    crowd.unconfigure()
    crowd.set_parameters(image_topic="image_raw")
    begin(crowd, rectified=True)
    _, said = place(crowd, info, painted(((160, 0),)))
    np.testing.assert_allclose(said, by_name, rtol=1e-6, atol=1e-9)


def test_a_lens_that_is_not_known_is_named_in_log_and_diagnostics(scripted, crowd):
    health: list[DiagnosticArray] = []
    crowd.create_subscription(DiagnosticArray, "/diagnostics", health.append, 10)
    begin(crowd)
    info = calibration()
    info.distortion_model, info.d = "double_sphere", [0.5, -0.2]
    place(crowd, info, painted(((160, 0),)))
    assert crowd.spin_until(lambda: "'double_sphere' with 2" in scripted.log), scripted.log

    def named():
        crowd.answer(painted(((160, 0),)))
        return any(
            s.level == DiagnosticStatus.WARN and "double_sphere" in s.message
            for message in health
            for s in message.status
        )

    assert crowd.spin_until(named)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_camera_that_is_mounted_otherwise(scripted, crowd, degrees):
    """Turned so that people stand upright, the picture shows one at the left who looks to the
    image's left; what is published is about the picture as it was taken."""
    begin(crowd, rotate=degrees)
    upright = np.frombuffer(painted(((80, 60),)).data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    taken = np.ascontiguousarray(np.rot90(upright, degrees // 90))
    height, width, _ = taken.shape
    message = Image(width=width, height=height, encoding="rgb8", step=3 * width)
    message.data = array("B", taken.tobytes())
    head, point = place(crowd, calibration(300.0, width, height), message)
    rows, columns = np.nonzero(taken[..., 0] > 100)
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert (head.x_min, head.y_min, head.x_max, head.y_max) == box
    x, y = (box[0] + box[2] - width) / 600, (box[1] + box[3] - height) / 600
    reach = 0.12  # of the sellion from the middle of the head
    np.testing.assert_allclose(point[:2], np.array([x, y]) * point[2], atol=reach)
    q = head.pose.pose.orientation
    up = np.array(
        [2 * (q.x * q.z + q.w * q.y), 2 * (q.y * q.z - q.w * q.x), 1 - 2 * (q.x**2 + q.y**2)]
    )
    crown = {90: (-1, 0, 0), 180: (0, 1, 0), 270: (1, 0, 0)}[degrees]
    np.testing.assert_allclose(up, crown, atol=0.1)
    assert math.isnan(head.yaw) or degrees != 180


def test_degrees_that_are_no_quarter_turns_are_refused(scripted, crowd):
    (result,) = crowd.set_parameters(rotate=45)
    assert not result.successful
    (result,) = crowd.set_parameters(rectified="perhaps")
    assert not result.successful and "auto" in result.reason
