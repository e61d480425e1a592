#!/usr/bin/env bash
# Runs a command with ROS 2, this package and what pip installed.
set -e
. /opt/venv/bin/activate
. /ws/install/setup.bash

# `ros2 launch` runs in the system's Python, yet the launch file imports this package.
site=(/opt/venv/lib/python3*/site-packages)
export PYTHONPATH="$PYTHONPATH:${site[0]}"

# Raw images are larger than Fast DDS's default shared memory segment. Which of the two names it
# reads depends on its version.
profiles=/ws/install/hpe_vlm_ros/share/hpe_vlm_ros/config/fastdds.xml
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$profiles}"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$profiles}"
exec "$@"
