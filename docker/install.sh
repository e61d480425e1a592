#!/usr/bin/env bash
# docker/install.sh REQUIREMENTS...: installs these files into /opt/venv and the package into
# /ws/install, in an image that holds ROS 2. The repository lies read-only in /ws/src/hpe_vlm_ros.
set -eo pipefail  # not -u: ROS's setup.bash reads variables that are not set
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. "/opt/ros/$ROS_DISTRO/setup.bash"

python3 -m venv --system-site-packages /opt/venv
. /opt/venv/bin/activate
# The messages of Humble and Jazzy are compiled for numpy 1.
pip install --no-cache-dir "${@/#/--requirement=}" "numpy<2"

cd /ws
colcon build --packages-select hpe_vlm_ros --cmake-args -DBUILD_TESTING=OFF
rm -rf build log
