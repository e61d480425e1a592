# SPDX-License-Identifier: Apache-2.0
"""Metadata for pip installs of the part that needs no ROS; colcon builds with CMakeLists.txt."""

from setuptools import find_packages, setup

setup(
    name="hpe_vlm_ros",
    version="0.1.0",
    description="Head poses of every person in a camera image by a vision-language model",
    license="Apache-2.0",
    packages=find_packages(include=["hpe_vlm_ros", "hpe_vlm_ros.*"]),
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.26",
        "opencv-python-headless>=4.8,<5",
        "safetensors>=0.4",
        "scipy>=1.11",
        "torch>=2.6",
        "transformers>=5.23,<6",
    ],
)
