# ROS 2 Humble on Jetson Orin with JetPack 6 (Ubuntu 22.04, CUDA 12.6); in the repository's root, on
# the Jetson:
#     docker build -f docker/jetson.Dockerfile -t hpe_vlm_ros:jetson .
# No test builds this image: the machines that run the tests have neither Docker nor a Jetson.
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0

ENV LANG=C.UTF-8 ROS_DISTRO=humble
# The package with the address and the key of ROS's own Debian packages.
ARG APT_SOURCE=1.2.0
ADD https://github.com/ros-infrastructure/ros-apt-source/releases/download/${APT_SOURCE}/ros2-apt-source_${APT_SOURCE}.jammy_all.deb /tmp/ros2-apt-source.deb
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates /tmp/ros2-apt-source.deb \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        build-essential python3-colcon-common-extensions python3-venv \
        ros-humble-ros-base ros-humble-vision-msgs \
    && rm -rf /var/lib/apt/lists/* /tmp/ros2-apt-source.deb

RUN --mount=type=bind,target=/ws/src/hpe_vlm_ros \
    /ws/src/hpe_vlm_ros/docker/install.sh requirements.txt

# ONNX Runtime for the GPU, from the pip index with NVIDIA's wheels for JetPack 6 and CUDA 12.6.
# Empty: ONNX Runtime on the CPU, as the embedded model's export to 8 bits needs it.
ARG GPU_INDEX=
RUN if [ -n "$GPU_INDEX" ]; then \
        /opt/venv/bin/pip uninstall -y onnxruntime \
        && /opt/venv/bin/pip install --no-cache-dir --no-deps --index-url "$GPU_INDEX" "onnxruntime-gpu>=1.23,<2"; \
    fi

COPY docker/entrypoint.sh /
# So that any --user can write ROS's logs.
ENV HOME=/tmp
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "hpe_vlm_ros", "perception.launch.py"]
