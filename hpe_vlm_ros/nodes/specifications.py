# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the perception node: name, default, description and limits."""

from __future__ import annotations

from dataclasses import dataclass

TRANSPORTS = ("raw", "compressed")


@dataclass(frozen=True)
class Specification:
    """One parameter. `limits` are inclusive, whole numbers go in steps of `step`; one that is not
    `live` is read in configure only.

    A list's default is [""], which stands for an empty one: ROS cannot tell the type of [].
    """

    name: str
    default: str | bool | int | float | tuple[str, ...]
    description: str
    limits: tuple[float, float] | None = None
    live: bool = True
    step: int = 1


_S = Specification
SPECIFICATIONS = (
    _S(
        "model",
        "",
        "Folder with the model's weights (config.json, model.safetensors, tokenizer), name of a "
        "model on the hub (org/name or org/name@revision), or address of a server "
        "(http://gpu.local:23333/v1#name). Empty: the embedded default of the package.",
        live=False,
    ),
    _S(
        "download",
        False,
        "Whether a model that is named as org/name may be downloaded if the cache lacks it.",
        live=False,
    ),
    _S(
        "adapter",
        "",
        "Folder of a LoRA adapter to the model, as training writes it for Qwen3-VL, Qwen3.5 and "
        "SmolVLM2. Empty: none.",
        live=False,
    ),
    _S(
        "detector",
        "",
        "Second model, which finds the heads whose poses the model then reads: embedded, a folder "
        "or a name. Faster where the model is large. Empty: the model does both.",
        live=False,
    ),
    _S(
        "device",
        "",
        "Where the model runs: cpu, cuda, cuda:1, mps. Empty: the CPU for a model exported for "
        "ONNX Runtime, such as the embedded one; otherwise the best device there is.",
        live=False,
    ),
    _S(
        "backend",
        "auto",
        "Runtime of the model. onnx: ONNX Runtime, for exported models (on a GPU: "
        "onnxruntime-gpu). torch: PyTorch. auto: on the CPU ONNX Runtime if the model is "
        "exported, else PyTorch.",
        live=False,
    ),
    _S(
        "threads",
        0,
        "Threads for computation. 0: one per core.",
        (0, 256),
        live=False,
    ),
    _S(
        "quantization",
        "none",
        "int8 or int4: quantizes the weights of a model in PyTorch. The 17B model then fits into "
        "24 or 16 GB.",
        live=False,
    ),
    _S(
        "image_topic",
        "image_raw",
        "Topic of the camera's images, without the /compressed of the compressed transport.",
        live=False,
    ),
    _S(
        "image_transport",
        "raw",
        "raw: sensor_msgs/Image on image_topic. "
        "compressed: sensor_msgs/CompressedImage on image_topic/compressed.",
        live=False,
    ),
    _S(
        "camera_info_topic",
        "",
        "Topic of the camera's calibration, which positions need. Empty: camera_info beside "
        "image_topic.",
        live=False,
    ),
    _S(
        "rectified",
        "auto",
        "Whether images are rectified, so that P of camera_info describes them; else K and the "
        "lens distortion do. auto: if their topic is called image_rect... true, false.",
        live=False,
    ),
    _S(
        "rotate",
        0,
        "Clockwise rotation in degrees that makes the images upright, for cameras mounted "
        "sideways or upside down: 0, 90, 180, 270. Boxes and poses stay in the frame of the "
        "camera as mounted.",
        (0, 270),
        live=False,
        step=90,
    ),
    _S(
        "depth_topic",
        "",
        "Topic of depth images registered to the camera's (16UC1 in millimetres or 32FC1 in "
        "metres). Empty: distances come from the size of heads.",
        live=False,
    ),
    _S(
        "cameras",
        ("",),
        "Names of several cameras that share the model; each stands before the three topics above "
        "(front/image_raw) and before the outputs (~/front/head_poses). Empty: one camera.",
        live=False,
    ),
    _S(
        "max_rate",
        10.0,
        "Most images answered per second, all cameras together; images between are dropped. "
        "0: as many as possible.",
        (0.0, 1000.0),
    ),
    _S(
        "max_age",
        1.0,
        "Oldest image that is still answered, in seconds from its stamp to now; no older answer is "
        "published. 0: any age.",
        (0.0, 3600.0),
    ),
    _S(
        "max_heads",
        20,
        "Most heads reported per image; each one costs a little time.",
        (1, 100),
    ),
    _S(
        "tiles",
        0,
        "Passes over parts of each image, which find small heads. 0 and 1: none, but for models "
        "without a refiner 0 is one, only where the model's own map tells that small heads are "
        "likely, in up to twice the time. Above 1: over tiles x tiles overlapping parts; 2 takes "
        "up to five times as long, 3 up to ten.",
        (0, 4),
    ),
    _S(
        "mirror",
        "auto",
        "Test-time flip: the model also processes the mirrored image, and the two answers are "
        "merged. Poses get better and false detections fewer, in up to twice the time. always, "
        "never, or auto: as the model's config.json says (the embedded one: never). true and "
        "false mean always and never.",
        live=False,
    ),
    _S(
        "refine",
        True,
        "A closer look at each head and each place where one is likely, by the refiner of models "
        "that have one (the embedded one has): more heads, better boxes, scores and poses. false: "
        "what the language model says.",
        live=False,
    ),
    _S(
        "detect_every",
        1,
        "Detect heads from scratch in every n-th image. In between, the boxes of the previous "
        "image are verified, which is faster with many heads. 1: in every image.",
        (1, 1000),
    ),
    _S(
        "draft_slack",
        0,
        "How far a verified box may be off, in thousandths of the image's side, before detection "
        "is repeated. 0: the result equals that of detection from scratch.",
        (0, 100),
    ),
    _S(
        "inference_timeout",
        30.0,
        "Seconds the model may take for one image. After that the node gives it up and goes to "
        "inactive. 0: no limit.",
        (0.0, 3600.0),
    ),
    _S(
        "depth_slop",
        0.02,
        "Most seconds between the stamps of an image and of the depth image used with it.",
        (0.0, 1.0),
    ),
    _S(
        "tracking",
        True,
        "Whether heads get ids and filtered poses. false: each image stands for itself.",
    ),
    _S(
        "birth_frames",
        3,
        "Answered images in which a head must be found before it gets an id.",
        (1, 100),
    ),
    _S(
        "birth_score",
        0.6,
        "Score from which a detection is sure. A head gets an id only after a sure detection; "
        "unsure detections only continue existing tracks.",
        (0.0, 1.0),
    ),
    _S(
        "lost_timeout",
        2.0,
        "Seconds for which a head that is not found is predicted before its id is given up.",
        (0.1, 60.0),
    ),
    _S(
        "stale_after",
        0.3,
        "Seconds after which a predicted head is marked STATUS_STALE instead of STATUS_PREDICTED.",
        (0.0, 60.0),
    ),
    _S(
        "rotation_noise",
        8.0,
        "Noise of the model's answers from image to image: standard deviation about each axis, "
        "in degrees. Larger: smoother and slower.",
        (0.1, 90.0),
    ),
    _S(
        "rotation_bias",
        15.0,
        "Error of the model that stays the same from image to image, about each axis, in "
        "degrees. It is added to the covariance.",
        (0.0, 90.0),
    ),
    _S(
        "turn_speed",
        60.0,
        "How fast heads typically turn about each axis, in degrees per second. Larger: faster "
        "and less smooth.",
        (1.0, 1000.0),
    ),
    _S(
        "pose_weight",
        0.2,
        "Weight of the pose, relative to the box, when heads are matched from image to image.",
        (0.0, 1.0),
    ),
    _S(
        "colour_weight",
        1.0,
        "Weight of the colours of heads and clothes when heads are matched. Colours stay in "
        "memory while a head is tracked. 0: colours are not used.",
        (0.0, 10.0),
    ),
    _S(
        "id_prefix",
        "auto",
        "Prefix of ids, and so of TF frames and REP-155 topics: with r1, r1_h0001. auto: the "
        "last part of the node's namespace; no prefix without a namespace.",
        live=False,
    ),
    _S(
        "robot_frame",
        "",
        "TF frame whose origin people look at when they look at the robot. Empty: the camera's.",
    ),
    _S(
        "gaze_targets",
        ("",),
        "TF frames for which ~/gaze_targets reports who looks at them.",
    ),
    _S(
        "looking_angle",
        15.0,
        "Angle to a target, in degrees, within which a head begins to look at it.",
        (0.0, 180.0),
    ),
    _S(
        "looking_hysteresis",
        5.0,
        "Degrees beyond looking_angle at which a head stops looking at a target.",
        (0.0, 90.0),
    ),
    _S(
        "gestures",
        False,
        "Whether ~/head_gestures reports nods, shakes, turns, tilts and looks up or down. Takes "
        "tracking, and keeps two seconds of each head's poses, numbers without pixels, in memory.",
        live=False,
    ),
    _S(
        "gesture_min_rate",
        6.0,
        "Images a second of which a head must be found in at least so many before anything is "
        "said about its gestures. Below 6, fast nods and shakes are missed or look like others.",
        (2.0, 60.0),
    ),
    _S(
        "skeletons",
        "none",
        "Whose keypoints ~/skeletons reports: nearest (the person with the tallest head), all, or "
        "none. Takes a model that has learnt them. Each body is looked at closer, one after the "
        "other, when the heads of its image have been published; the next image waits for that.",
        live=False,
    ),
    _S(
        "skeleton_rate",
        5.0,
        "Most images per second and camera whose bodies are looked at. 0: all that are answered.",
        (0.0, 60.0),
    ),
    _S(
        "publish_tf",
        True,
        "Whether to publish the frames face_<id> and gaze_<id> of each head on /tf.",
    ),
    _S(
        "publish_hri",
        True,
        "Whether to publish the REP-155 topics /humans/faces/... and, with skeletons, "
        "/humans/bodies/..., where hri_msgs is installed.",
    ),
    _S(
        "publish_image",
        True,
        "Whether to draw ~/image_annotated, which shows people, while somebody subscribes to it.",
        live=False,
    ),
    _S(
        "publish_crops",
        False,
        "Whether to publish /humans/faces/<id>/cropped, which shows faces, to those who subscribe; "
        "with skeletons also /humans/bodies/<id>/cropped.",
    ),
    _S(
        "autostart",
        False,
        "Whether the node configures and activates itself when it starts. The launch file sets it "
        "to its own argument of this name, which is true by default.",
    ),
)
