# SPDX-License-Identifier: Apache-2.0
"""A bank of undressed resting bodies made with the parametric body model of PyPI's `anny`.

The bank is computed once in a process of its own (torch stays out of the rendering processes) and
kept as memory-mapped files; posing needs only the rig saved beside it. The vertices are the 19,158
of the MakeHuman base mesh, so that MakeHuman clothes and hair fit.
"""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import Array, Integers
from ..splits import number_of

VERSION = 1
FACE_PREFIXES = (
    "forehead",
    "head-",
    "nose",
    "mouth",
    "chin",
    "neck",
    "eyebrows",
    "l-eye",
    "l-cheek",
    "l-ear",
)
# These turn or move the skull against its bone, which would falsify the label, or look like injury.
EXCLUDED = ("head-angle", "head-trans", "neck-trans", "-trans-out", "head-age")


@dataclass(frozen=True)
class Rig:
    """Skeleton and skinning weights shared by all bodies."""

    labels: tuple[str, ...]
    parents: Integers  # (J,)
    bones: Integers  # (V, 4)
    weights: Array  # (V, 4)
    template: Array  # (V, 3)


@dataclass(frozen=True)
class BodyBank:
    """`rest` (K, V, 3) and `joints` (K, J, 3) in metres; `traits` (K, 3): gender, age, african."""

    rig: Rig
    rest: Array
    joints: Array
    traits: Array


def load_bank(folder: Path, split: str, seed: int, count: int) -> BodyBank:
    """Open the bank of `count` bodies for a split and seed, computing it first when missing."""
    stem = folder / f"bodies_v{VERSION}_{split}_{seed}_{count}"
    wanted = [Path(f"{stem}_{name}.npy") for name in ("rest", "joints", "traits")]
    rig_path = folder / f"rig_v{VERSION}.npz"
    if not all(path.exists() for path in [*wanted, rig_path]):
        folder.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_compute, args=(stem, rig_path, split, seed, count))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(
                "computing the bank of bodies failed (message above); "
                "it needs `pip install anny torch`"
            )
    rest, joints, traits = (np.load(path, mmap_mode="r") for path in wanted)
    return BodyBank(_load_rig(rig_path), rest, joints, traits)


def _load_rig(path: Path) -> Rig:
    with np.load(path) as data:
        return Rig(
            tuple(str(x) for x in data["labels"]),
            data["parents"],
            data["bones"],
            data["weights"],
            data["template"],
        )


def _compute(stem: Path, rig_path: Path, split: str, seed: int, count: int) -> None:
    import torch

    torch.set_num_threads(min(2, os.cpu_count() or 1))
    import anny

    model = anny.Anny(
        topology="makehuman", phenotypes="all", local_changes="default", facial_actions="all"
    ).to(torch.float32)
    _save_rig(model, rig_path)
    rest, joints, traits = [], [], []
    with torch.no_grad():
        for start in tqdm(range(0, count, 16), f"bodies for {split} {seed}, once"):
            ids = range(start, min(start + 16, count))
            traits_, arrays = zip(*(_sample(model, split, seed, i) for i in ids), strict=True)
            inputs = [
                torch.as_tensor(np.stack(column), dtype=torch.float32)
                for column in zip(*arrays, strict=True)
            ]
            coefficients = model._get_phenotype_blendshape_coefficients(*inputs)
            out = model.get_rest_model(coefficients)
            rest.append(out["rest_vertices"].numpy())
            joints.append(out["rest_bone_poses"][:, :, :3, 3].numpy())
            traits.append(np.array(traits_))
    for name, parts in (("rest", rest), ("joints", joints), ("traits", traits)):
        path = Path(f"{stem}_{name}.npy")
        temporary = path.with_suffix(f".{os.getpid()}.npy")
        np.save(temporary, np.concatenate(parts).astype(np.float32))
        temporary.replace(path)


def _save_rig(model: Any, path: Path) -> None:
    bones = model.vertex_bone_indices.numpy()
    weights = model.vertex_bone_weights.numpy()
    top = np.argsort(-weights, axis=1)[:, :4]
    value = np.take_along_axis(weights, top, 1)
    value = value / np.maximum(value.sum(1, keepdims=True), 1e-9)
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(
        temporary,
        labels=np.array(model.bone_labels),
        parents=np.array(model.bone_parents),
        bones=np.take_along_axis(bones, top, 1).astype(np.int16),
        weights=value.astype(np.float32),
        template=model.template_vertices.numpy().astype(np.float32),
    )
    temporary.replace(path)


def _sample(
    model: Any, split: str, seed: int, index: int
) -> tuple[list[float], tuple[Array, Array, Array]]:
    """Random phenotype, local changes and facial expression of body `index`."""
    rng = np.random.default_rng([seed, number_of(split), 71, index])
    kinds = rng.random()
    if kinds < 0.78:
        age = rng.uniform(0.6, 1.0)
    elif kinds < 0.95:
        age = rng.uniform(0.33, 0.6)
    else:
        age = rng.uniform(0.12, 0.33)
    races = rng.dirichlet([0.6, 0.6, 0.6])
    values = {
        "gender": float(np.clip(rng.integers(2) + rng.normal(0, 0.12), 0, 1)),
        "age": age,
        "muscle": rng.beta(3, 3),
        "weight": rng.beta(2.2, 2.2),
        "height": rng.beta(3, 3),
        "proportions": rng.beta(3, 3),
        "cupsize": rng.random(),
        "firmness": rng.random(),
        "african": races[0],
        "asian": races[1],
        "caucasian": races[2],
    }
    phenotype = np.array([values[label] for label in model.phenotype_labels])
    changes = _local_changes(list(model.local_change_labels), rng)
    face = _expression(list(model.facial_action_labels), rng)
    return [values["gender"], age, races[0]], (phenotype, changes, face)


def _local_changes(labels: list[str], rng: np.random.Generator) -> Array:
    out = np.zeros(len(labels), np.float32)
    strength = rng.choice([0.1, 0.22, 0.4], p=[0.3, 0.5, 0.2])
    for i, label in enumerate(labels):
        if label.startswith(FACE_PREFIXES) and not any(word in label for word in EXCLUDED):
            out[i] = np.clip(rng.normal(0, strength), -0.9, 0.9)
    for i, label in enumerate(labels):
        if label.startswith("r-") and f"l-{label[2:]}" in labels:
            out[i] = out[labels.index(f"l-{label[2:]}")] + rng.normal(0, 0.04)
    return out


def _expression(labels: list[str], rng: np.random.Generator) -> Array:
    out = np.zeros(len(labels), np.float32)
    if rng.random() < 0.35:
        return out
    allowed = [
        i
        for i, label in enumerate(labels)
        if not label.endswith("Right")
        and not label.startswith(("eyeLook", "tongue", "mouthRoll"))
        and label not in ("jawLeft", "jawForward", "mouthLeft", "eyeBlinkLeft")
    ]
    for i in rng.choice(allowed, rng.integers(1, 6), replace=False):
        out[i] = rng.beta(1.3, 2.5)
    if rng.random() < 0.45:
        out[labels.index("mouthSmileLeft")] = rng.uniform(0.2, 0.9)
    if rng.random() < 0.1:
        out[labels.index("eyeBlinkLeft")] = rng.uniform(0.5, 1.0)
    for i, label in enumerate(labels):
        if label.endswith("Right") and f"{label[:-5]}Left" in labels:
            out[i] = out[labels.index(f"{label[:-5]}Left")] * rng.uniform(0.85, 1.0)
    return out
