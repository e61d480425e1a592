# SPDX-License-Identifier: Apache-2.0
"""Metadata for pip installs of the part that needs no ROS; colcon builds with CMakeLists.txt."""

from pathlib import Path

from setuptools import find_packages, setup

TORCH = ["pillow>=11", "safetensors>=0.4", "torch>=2.6", "transformers>=5.23,<6"]
MODEL = Path("models") / "embedded"  # found there by vlm.model_folder.default_folder
REFINER = MODEL / "experts" / "refiner"
LEFT_OUT = [MODEL / "model.safetensors", MODEL / "read_outs.safetensors"]
REPLAY = ["jinja2>=3.1", "matplotlib>=3.8", "mcap>=1.2", "rosbags>=0.11", "tqdm>=4.60"]

setup(
    name="hpe_vlm_ros",
    version="0.1.0",
    description="Head poses of every person in a camera image by a vision-language model",
    license="Apache-2.0",
    packages=find_packages(include=["hpe_vlm_ros", "hpe_vlm_ros.*"]),
    package_data={"hpe_vlm_ros.evaluation.report": ["*.j2"]},
    # Where an install with colcon puts them too; the replay's result bags hold their definitions.
    data_files=[
        ("share/hpe_vlm_ros/msg", sorted(map(str, Path("msg").glob("*.msg")))),
        *(
            (
                f"share/hpe_vlm_ros/{folder}",
                # weights for PyTorch and for training stay in the source checkout
                sorted(str(p) for p in folder.iterdir() if p.is_file() and p not in LEFT_OUT),
            )
            for folder in (MODEL, MODEL / "onnx" / "int8", MODEL / "experts" / "signals", REFINER)
            if folder.is_dir()
        ),
    ],
    entry_points={"console_scripts": ["hpe-replay = hpe_vlm_ros.replay.__main__:main"]},
    extras_require={
        "replay": REPLAY,
        "parquet": [*REPLAY, "pyarrow>=16"],
        "cluster": [*REPLAY, "ray>=2.40"],
        # the page of `python -m hpe_vlm_ros demo-web`
        "web": ["gradio>=6.10,<7"],
        # recordings for the Rerun viewer, heads for supervision, models by name
        "rerun": ["rerun-sdk>=0.26"],
        "supervision": ["supervision>=0.26"],
        "hub": ["huggingface_hub>=0.34"],
        # models that are not exported, and GPUs
        "torch": TORCH,
        # making exports for ONNX Runtime
        "export": [*TORCH, "onnx>=1.19,<2", "onnxscript>=0.5,<1"],
        # LoRA adapters to models of other families
        "adapter": [*TORCH, "peft>=0.21,<0.22"],
        # the 17B model: weights in 8 or 4 bits, and its SentencePiece tokenizer
        "full": [
            *TORCH,
            "accelerate>=1.10,<2",
            "bitsandbytes>=0.49,<0.51",
            "protobuf>=4.25",
            "sentencepiece>=0.2,<0.3",
        ],
    },
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.26",
        "lapx>=0.9,<0.13",
        "onnxruntime>=1.23",
        "opencv-python-headless>=4.8,<5",
        "tokenizers>=0.21,<1",
    ],
)
