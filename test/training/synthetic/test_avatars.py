# SPDX-License-Identifier: Apache-2.0
"""Rigged people from glTF files: read as the format's text has it, posed and labelled exactly.

The files are written here byte by byte: a skull with a nose, a neck, eyes, clothes and a wig.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from training.synthetic import render
from training.synthetic.clothes.glasses import fit_of, spectacles
from training.synthetic.clothes.shells import SHELLS
from training.synthetic.clothes.wardrobe import Garment, Wardrobe
from training.synthetic.drawing.compose import Canvas
from training.synthetic.drawing.textures import TextureStore
from training.synthetic.people.avatars import dress_avatar, read_avatars
from training.synthetic.people.dressing import CHIN, FACE, SELLION
from training.synthetic.people.gltf import read_rigged
from training.synthetic.people.posing import NECK
from training.synthetic.scene import sampling
from training.synthetic.scene.clutter import ball, column

EYES = np.array([0.0, -0.07, 1.664])
ROW = np.pi / 13  # between the ball's rows of points
NOSE_BRIDGE = [0.0, -0.03 - 0.1 * np.sin(7 * ROW), 1.68 + 0.12 * np.cos(7 * ROW)]
CHIN_POINT = [0.0, -0.03 - 0.1 * np.sin(10 * ROW), 1.68 + 0.12 * np.cos(10 * ROW)]

JOINTS = {  # parent, place in our axes: x left, y back, z up
    "Hips": (None, (0, 0, 1.0)),
    "Spine": ("Hips", (0, 0, 1.05)),
    "Spine1": ("Spine", (0, 0, 1.2)),
    "Spine2": ("Spine1", (0, 0, 1.35)),
    "Neck": ("Spine2", (0, 0, 1.5)),
    "Head": ("Neck", (0, -0.01, 1.59)),
}
for side, sign in (("Left", 1), ("Right", -1)):
    JOINTS[f"{side}Eye"] = ("Head", (0.03 * sign, EYES[1], EYES[2]))
    JOINTS[f"{side}Arm"] = ("Spine2", (0.16 * sign, 0, 1.45))
    JOINTS[f"{side}ForeArm"] = (f"{side}Arm", (0.42 * sign, 0, 1.45))
    JOINTS[f"{side}Hand"] = (f"{side}ForeArm", (0.65 * sign, 0, 1.45))
    JOINTS[f"{side}Thumb"] = (f"{side}Hand", (0.7 * sign, 0, 1.45))
    JOINTS[f"{side}UpLeg"] = ("Hips", (0.1 * sign, 0, 0.95))
    JOINTS[f"{side}Leg"] = (f"{side}UpLeg", (0.1 * sign, 0, 0.5))
    JOINTS[f"{side}Foot"] = (f"{side}Leg", (0.1 * sign, 0, 0.1))
NAMES = list(JOINTS)
TO_GLTF = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
TURNED = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # the left arm's axes at rest


def shape(make, size, place, joint):
    points, uv, triangles = make()
    return points * np.array(size) + np.array(place), uv, triangles, joint


def together(*shapes):
    start, points, uv, triangles, joints = 0, [], [], [], []
    for each, coordinates, faces, joint in shapes:
        points.append(each)
        uv.append(coordinates)
        triangles.append(faces + start)
        joints += [NAMES.index(joint)] * len(each)
        start += len(each)
    return np.concatenate(points), np.concatenate(uv), np.concatenate(triangles), joints


MESHES = {
    "head": together(
        shape(ball, (0.08, 0.1, 0.12), (0, -0.03, 1.68), "Head"),
        shape(ball, (0.02, 0.03, 0.02), (0.01, -0.12, 1.63), "Head"),
        shape(column, (0.05, 0.05, 0.06), (0, 0, 1.53), "Neck"),
    ),
    "limbs": together(
        shape(ball, (0.25, 0.05, 0.05), (0.42, 0, 1.45), "LeftArm"),
        shape(ball, (0.25, 0.05, 0.05), (-0.42, 0, 1.45), "RightArm"),
        shape(ball, (0.03, 0.02, 0.02), (0.7, 0, 1.45), "LeftThumb"),
    ),
    "eyes": together(shape(ball, (0.012,) * 3, (0.03, *EYES[1:]), "LeftEye")),
    "clothes_torso": together(shape(column, (0.2, 0.12, 0.7), (0, 0, 0.75), "Spine1")),
    "hair": together(shape(ball, (0.1, 0.1, 0.22), (0, 0.01, 1.6), "Head")),
}


def glb(path, meshes=MESHES, names=NAMES, skin=True, extension=None):
    """Write a .glb with places ten times too large, which the bind matrices undo."""
    blob, views, accessors = b"", [], []

    def view(data):
        nonlocal blob
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)})
        blob += data + b"\0" * (-len(data) % 4)
        return len(views) - 1

    def accessor(values, kind, code, dtype):
        data = np.ascontiguousarray(values, dtype).tobytes()
        entry = {"bufferView": view(data), "componentType": code, "type": kind}
        accessors.append(entry | {"count": len(values)})
        return len(accessors) - 1

    world = {name: np.eye(4) for name in names}
    for name in names:
        world[name][:3, 3] = TO_GLTF @ JOINTS[name][1]
        if name == "LeftArm":
            world[name][:3, :3] = TURNED
    nodes = []
    for name in names:
        parent = JOINTS[name][0]
        local = world[name] if parent is None else np.linalg.inv(world[parent]) @ world[name]
        node = {"name": name, "translation": local[:3, 3].tolist()}
        if not np.allclose(local[:3, :3], np.eye(3)):
            vector = cv2.Rodrigues(local[:3, :3])[0].ravel()
            half = np.linalg.norm(vector) / 2
            turn = vector / np.linalg.norm(vector) * np.sin(half)
            node["rotation"] = [*turn.tolist(), float(np.cos(half))]
        children = [names.index(n) for n in names if JOINTS[n][0] == name]
        nodes.append(node | ({"children": children} if children else {}))
    image = cv2.imencode(".png", np.full((8, 8, 3), (40, 90, 180), np.uint8))[1].tobytes()
    pictures = [{"bufferView": view(image), "mimeType": "image/png"}]
    shrink = np.diag([0.1, 0.1, 0.1, 1])
    bind = [(np.linalg.inv(world[name]) @ shrink).T.ravel() for name in names]
    skins = [
        {
            "joints": list(range(len(names))),
            "inverseBindMatrices": accessor(bind, "MAT4", 5126, "<f4"),
        }
    ]
    made = []
    for number, (points, uv, triangles, joints) in enumerate(meshes.values()):
        places = points @ TO_GLTF.T
        normals = places - places.mean(0)
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        four = np.zeros((len(points), 4))
        four[:, 0] = joints
        weights = np.tile([255, 0, 0, 0], (len(points), 1))
        attributes = {
            "POSITION": accessor(places * 10, "VEC3", 5126, "<f4"),
            "NORMAL": accessor(normals, "VEC3", 5126, "<f4"),
            "TEXCOORD_0": accessor(uv, "VEC2", 5126, "<f4"),
            "JOINTS_0": accessor(four, "VEC4", 5121, "u1"),
            "WEIGHTS_0": accessor(weights, "VEC4", 5121, "u1"),
        }
        accessors[-1]["normalized"] = True
        indices = accessor(triangles.ravel(), "SCALAR", 5123, "<u2")
        made.append(
            {"primitives": [{"attributes": attributes, "indices": indices, "material": number}]}
        )
        nodes.append({"mesh": number} | ({"skin": 0} if skin else {}))
    surface = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    file = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(blob)}],
        "bufferViews": views,
        "accessors": accessors,
        "images": pictures,
        "textures": [{"source": 0}],
        "materials": [{"name": name} | surface for name in meshes],
        "meshes": made,
        "nodes": nodes,
    }
    file |= {"skins": skins} if skin else {}
    file |= {"extensionsRequired": [extension]} if extension else {}
    text = json.dumps(file).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(blob), b"BIN\0") + blob
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("avatars")
    bare = {name: mesh for name, mesh in MESHES.items() if name != "hair"}
    for name, meshes in (("a_wig", MESHES), ("b_wig", MESHES), ("c", bare), ("d", bare)):
        glb(place / f"{name}.glb", meshes)
    return place


@pytest.fixture(scope="module")
def body_rig(rig):
    """The toy's bones with a template whose head has MakeHuman's places."""
    skull, _, _ = ball()
    copies = max(FACE) // len(skull) + 1
    template = np.concatenate([skull * [0.078, 0.11, 0.125] + [0, -0.04, 0.745]] * copies)
    template[SELLION], template[CHIN] = (0, -0.15, 0.735), (0, -0.14, 0.616)
    template[FACE] = (0, -0.168, 0.69), (0.079, -0.046, 0.705), (-0.079, -0.046, 0.705)
    bones = np.full((len(template), 4), rig.labels.index("head"), np.int16)
    weights = np.tile(np.array([1, 0, 0, 0], np.float32), (len(template), 1))
    return replace(rig, template=template.astype(np.float32), bones=bones, weights=weights)


@pytest.fixture(scope="module")
def avatars(folder, body_rig):
    store = TextureStore()
    return {
        split: read_avatars(folder, split, body_rig, store) for split in ("train", "task")
    }, store


def wardrobe(store, *garments):
    empty = np.zeros((0, 3))
    nothing = Garment("skin", "body", empty, empty, empty, empty, empty, 0, 0, 0.0)
    out = Wardrobe(store, nothing, nothing)
    for kind, garment in garments:
        out.garments.setdefault(kind, []).append(replace(nothing, **garment))
    return out


@pytest.fixture(scope="module")
def dressed(avatars, body_rig):
    """Identity i of the training split, with hats and glasses at hand."""
    by_split, store = avatars
    shell = next(s for s in SHELLS if s.name == "beanie")
    hood = next(s for s in SHELLS if s.name == "hood")
    points, uv, triangles = spectacles("round")
    glasses = {
        "name": "round",
        "kind": "glasses",
        "uv": uv,
        "triangles": triangles,
        "corners": np.arange(len(points)),
        "bones": np.full((len(points), 4), body_rig.labels.index("head")),
        "weights": np.tile(np.array([1, 0, 0, 0], np.float32), (len(points), 1)),
        "fit": replace(
            fit_of(np.zeros((0, 3)), np.zeros((20000, 3)) + [[0, 0, 0]]), offsets=points
        ),
    }
    things = wardrobe(
        store,
        ("cover", {"name": "beanie", "shell": shell}),
        ("cover", {"name": "hood", "shell": hood}),
        ("glasses", glasses),
    )
    return lambda i: dress_avatar(by_split["train"], things, "train", 3, i)


@pytest.fixture(scope="module")
def people(dressed):
    return [dressed(i) for i in range(80)]


def test_a_file_is_read_in_its_rest_pose_and_our_axes(folder):
    read = read_rigged(folder / "a_wig.glb")
    places = dict(zip(read.names, read.joints, strict=True))
    for name, (parent, place) in JOINTS.items():
        np.testing.assert_allclose(places[name], place, atol=1e-6)
        above = read.parents[read.names.index(name)]
        assert (read.names[above] if above >= 0 else None) == parent
    for part in read.parts:
        points, uv, triangles, joints = MESHES[part.material]
        np.testing.assert_allclose(part.points, points, atol=1e-5)
        np.testing.assert_array_equal(part.triangles, triangles)
        np.testing.assert_array_equal(part.joints[:, 0], joints)
        np.testing.assert_allclose(part.weights[:, 0], 1)
        np.testing.assert_allclose(part.uv, np.stack([uv[:, 0], 1 - uv[:, 1]], 1), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1, atol=1e-5)
        centre = points.mean(0)
        assert np.einsum("ni,ni->n", part.normals, part.points - centre).min() > 0
    assert read.images[0].shape == (8, 8, 3) and tuple(read.images[0][0, 0]) == (180, 90, 40)


def test_files_that_will_not_do_are_named(tmp_path, body_rig):
    def reading(match, **given):
        for name in ("bad", "other"):
            glb(tmp_path / f"{name}.glb", **given)
        with pytest.raises(ValueError, match=match):
            read_avatars(tmp_path, "train", body_rig, TextureStore())

    head = {"head": MESHES["head"]}
    reading("bad.glb.*no skin", skin=False)
    reading("bad.glb.*EXT_meshopt_compression", extension="EXT_meshopt_compression")
    reading("bad.glb.*no joints RightFoot", names=NAMES[:-1], meshes=head)
    reading("bad.glb.*materials shoes", meshes=head | {"shoes": MESHES["eyes"]})
    reading("bad.glb.*no material head", meshes={"hair": MESHES["hair"]})
    points, *rest = MESHES["head"]
    reading("bad.glb.*no face", meshes={"head": (points * [1, -1, 1], *rest)})
    for name in ("bad", "other"):
        (tmp_path / f"{name}.glb").write_bytes(b"glTF")
    with pytest.raises(ValueError, match="bad.glb.*not a readable"):
        read_avatars(tmp_path, "train", body_rig, TextureStore())
    (tmp_path / "other.glb").unlink()
    with pytest.raises(ValueError, match="1 .glb files"):
        read_avatars(tmp_path, "task", body_rig, TextureStore())


@pytest.mark.parametrize("split", ["test", "panoptic"])
def test_sets_to_test_on_have_none(folder, body_rig, split):
    with pytest.raises(ValueError, match="train, task"):
        read_avatars(folder, split, body_rig, TextureStore())


def test_a_run_with_avatars_that_will_not_do_ends_before_it_starts(
    folder, body_rig, tmp_path, monkeypatch
):
    monkeypatch.setattr(render, "load_bank", lambda *given: SimpleNamespace(rig=body_rig))
    started = []
    monkeypatch.setattr(render, "_start", started.append)
    monkeypatch.setattr(render, "_render_shard", lambda task: 1)
    command = ["--scenes", "1", "--seed", "1", "--workers", "1", "--avatars", str(folder)]
    with pytest.raises(ValueError, match="train, task"):
        render.main([str(tmp_path), "--split", "test", *command])
    assert not started
    render.main([str(tmp_path), "--split", "task", *command])
    assert len(started) == 1


def test_learnt_sets_share_no_avatar(avatars):
    by_split, _ = avatars
    names = {split: {a.name for a in some} for split, some in by_split.items()}
    assert names == {"train": {"a_wig", "c"}, "task": {"b_wig", "d"}}


def test_landmarks_are_found_on_the_surface(avatars, body_rig):
    for avatar in avatars[0]["train"]:
        np.testing.assert_allclose(avatar.body.sellion, NOSE_BRIDGE, atol=1e-5)
        np.testing.assert_allclose(avatar.body.chin, CHIN_POINT, atol=1e-5)
        landmarks = np.stack([avatar.body.sellion, avatar.body.chin])
        on_template = avatar.form.template(landmarks)
        np.testing.assert_allclose(on_template[0], body_rig.template[SELLION], atol=1e-6)
        assert on_template[1, 2] == pytest.approx(body_rig.template[CHIN, 2], abs=1e-6)
        some = np.random.default_rng(0).normal(avatar.body.sellion, 0.1, (50, 3))
        np.testing.assert_allclose(avatar.form.own(avatar.form.template(some)), some, atol=1e-9)


def test_limbs_follow_the_bones_of_their_side(people, body_rig):
    sides = {True: set(), False: set()}
    for person in people:
        for side in "LR":
            bone = body_rig.labels.index(f"upperarm01.{side}")
            arm = person.rest[(person.bones[:, 0] == bone) & (person.weights[:, 0] > 0.9)]
            outwards = 1 if side == "L" else -1
            assert (arm[:, 0] * outwards > 0).all()
            assert person.joints[bone, 0] * outwards > 0.1
        nose = person.rest[person.bald_points]
        lopsided = nose[nose[:, 1].argmin(), 0] > 0.005
        wrist = body_rig.labels.index("wrist.L" if lopsided else "wrist.R")
        assert (person.bones[:, 0] == wrist).any()  # the one thumb moves with the arm above it
        sides[bool(lopsided)].add(len(person.rest))
    assert sides[True] and sides[False]  # half are mirrored


def test_a_neck_bends_along_its_length(people, body_rig):
    person = people[0]
    neck = [body_rig.labels.index(name) for name in NECK[:-1]]
    share = (person.weights[:, :, None] * (person.bones[:, :, None] == neck)).sum(1)
    low, high = share[share.sum(1) > 0.9][[-1, 0]]
    np.testing.assert_allclose(share[share.sum(1) > 0.9].sum(1), 1, atol=1e-6)
    assert low.argmax() != high.argmax()


def test_boxes_enclose_hair_above_the_chin(people):
    seen = set()
    for person in people:
        spanned, bald = person.rest[person.box_points], person.rest[person.bald_points]
        chin = bald[:, 2].min()
        assert spanned[:, 2].min() >= chin - 1e-6
        wig = "hair" in person.kinds
        wide = np.ptp(spanned[:, 0]) > np.ptp(bald[:, 0]) * 1.05
        assert wide or not wig
        material = person.kinds.index("hair") if wig else -1
        of_hair = person.of_head[person.materials == material]
        assert not wig or 0 < of_hair.mean() < 1  # the part below the chin is none of the head
        covered = [n for n, k in zip(person.names, person.kinds, strict=True) if k == "cover"]
        assert not (wig and "hood" in covered)
        if "beanie" in covered:
            assert spanned[:, 2].max() > bald[:, 2].max() + 0.005
        seen |= {(wig, *covered), *person.kinds}
    assert {(True,), (False,), (True, "beanie"), (False, "hood"), "glasses"} <= seen


def test_identities_depend_on_seed_and_number_alone(dressed, people):
    np.testing.assert_array_equal(dressed(4).rest, people[4].rest)
    heights = {round(float(p.rest[:, 2].max()), 4) for p in people[:10]}
    assert len(heights) > 5


def test_spectacles_sit_on_the_nose(people):
    for person in people:
        if "glasses" in person.kinds:
            worn = person.materials == person.kinds.index("glasses")
            points = person.rest[np.unique(person.triangles[worn])]
            front = points[points[:, 1] < points[:, 1].min() + 0.01]
            assert np.abs(front[:, 2].mean() - person.sellion[2]) < 0.02
            assert np.abs(points[:, 0].mean()) < 0.01


def test_heads_are_labelled_exactly(avatars, people, body_rig, toy_world, monkeypatch):
    """Against a pose from points in the picture and their resting places alone."""
    store = avatars[1]
    world = replace(
        toy_world,
        rig=body_rig,
        person=people.__getitem__,
        identities=12,
        split="train",
        texture_means=store.means,
    )
    canvas, kept = Canvas(96, 72, 2, *store.arrays()), []
    label = sampling.head_label
    monkeypatch.setattr(
        sampling,
        "head_label",
        lambda *a: kept.append((label(*a), a[2], a[3])) or kept[-1][0],
    )
    for index in range(12):
        sampling.render_scene(world, canvas, index)
    kept = [each for each in kept if each[0] is not None]
    assert len(kept) > 15 and max(each[0]["visible"] for each in kept) > 0.9
    for found, camera, drawn in kept:
        chosen = drawn.person.bald_points[drawn.screen[drawn.person.bald_points, 2] > 0]
        away = drawn.person.rest[chosen] - drawn.person.sellion
        ours = np.stack([away[:, 0], -away[:, 2], away[:, 1]], 1).astype(np.float64)
        matrix = np.array([[camera.focal, 0, 48], [0, camera.focal, 36], [0, 0, 1]])
        image = drawn.screen[chosen, :2].astype(np.float64)
        _, vector, position = cv2.solvePnP(ours, image, matrix, None, flags=cv2.SOLVEPNP_SQPNP)
        rotation = cv2.Rodrigues(vector)[0]
        cosine = (np.trace(rotation.T @ np.array(found["rotation"])) - 1) / 2
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 0.2
        np.testing.assert_allclose(position.ravel(), found["position"], atol=3e-3)
