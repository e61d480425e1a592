# SPDX-License-Identifier: Apache-2.0
"""Head poses from camera images by a vision-language model; imports neither torch nor rclpy."""

from pkgutil import extend_path

# The built package holds the generated ``hpe_vlm_ros.msg``; so a source tree finds it too.
__path__ = extend_path(__path__, __name__)
