# ROS 2 Jazzy on x86_64; in the repository's root:
#     docker build -f docker/jazzy.Dockerfile -t hpe_vlm_ros:jazzy .
# No test builds this image: the machines that run the tests have no Docker.
FROM ros:jazzy-ros-base

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv ros-jazzy-vision-msgs \
    && rm -rf /var/lib/apt/lists/*

# More requirements files. --build-arg EXTRA=requirements-torch.txt: GPUs, models without an export.
ARG EXTRA=
RUN --mount=type=bind,target=/ws/src/hpe_vlm_ros \
    /ws/src/hpe_vlm_ros/docker/install.sh requirements.txt $EXTRA

COPY docker/entrypoint.sh /
# So that any --user can write ROS's logs.
ENV HOME=/tmp
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "hpe_vlm_ros", "perception.launch.py"]
