# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of docs/conventions.md from the package's own geometry.

    python docs/figures/draw.py

Everything is seen without perspective, from the camera where nothing else is said.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from hpe_vlm_ros.answers import grid_box
from hpe_vlm_ros.geometry import face_rotation, gaze_rotation, rotation_from_angles

HERE = Path(__file__).parent
RED, GREEN, BLUE = "#e04040", "#2fa84a", "#2d82ff"
SKIN, HAIR, EYE, MOUTH = (0.96, 0.82, 0.70), (0.36, 0.25, 0.18), (0.1, 0.1, 0.15), (0.8, 0.4, 0.38)


def head_mesh() -> tuple[np.ndarray, np.ndarray]:
    """Quads (N, 4, 3) of a simple head in head axes, about one unit tall, and colours (N, 3)."""
    polar, round_ = np.meshgrid(np.linspace(0, np.pi, 101), np.linspace(0, 2 * np.pi, 141))
    # The poles of the grid are the nose and the back of the head, where detail is wanted.
    way = np.stack(
        [np.sin(polar) * np.cos(round_), np.sin(polar) * np.sin(round_), -np.cos(polar)], axis=-1
    )

    def near(*direction: float) -> np.ndarray:
        unit = np.array(direction) / np.linalg.norm(direction)
        return np.arccos(np.clip(way @ unit, -1, 1))

    radius = 1 + 0.30 * np.exp(-((near(0, 0.12, -1) / 0.16) ** 2))
    for side in (-1, 1):
        radius += 0.22 * np.exp(-((near(side, 0.05, 0.1) / 0.16) ** 2))
    points = way * radius[..., None] * (0.76, 1.0, 0.86)
    colour = np.broadcast_to(SKIN, way.shape).copy()
    ear = np.minimum(near(1, 0.05, 0.1), near(-1, 0.05, 0.1)) < 0.25
    hair = (way[..., 1] < -0.55) | ((way[..., 2] > 0.05) & (way[..., 1] < 0.6))
    colour[hair & ~ear] = HAIR
    for side in (-1, 1):
        colour[near(0.36 * side, -0.18, -1) < 0.10] = EYE
    colour[
        (np.abs(way[..., 1] - 0.52) < 0.045) & (np.abs(way[..., 0]) < 0.26) & (way[..., 2] < 0)
    ] = MOUTH
    corners = [points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]]
    return np.stack(corners, axis=2).reshape(-1, 4, 3), colour[:-1, :-1].reshape(-1, 3)


QUADS, COLOURS = head_mesh()


def draw_head(ax: Axes, rotation: np.ndarray, at: tuple[float, float] = (0, 0)) -> None:
    """Paint the head turned by `rotation`, far faces first."""
    quads = QUADS @ rotation.T
    normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    normal *= np.sign(np.einsum("ij,ij->i", normal, quads.mean(axis=1)))[:, None]
    light = 0.55 + 0.45 * np.clip(normal @ (np.array([-0.4, -0.6, -0.7]) / 1.005), 0, 1)
    order = np.argsort(-quads[:, :, 2].mean(axis=1))
    order = order[normal[order, 2] < 0.05]
    shaded = (COLOURS * light[:, None])[order]
    faces = quads[order][:, :, :2] + at
    ax.add_collection(PolyCollection(faces, facecolors=shaded, edgecolors=shaded, linewidths=0.3))


def draw_axes(
    ax: Axes,
    columns: np.ndarray,
    names: tuple[str, ...],
    at: tuple[float, float] = (0, 0),
    reach: float = 1.6,
) -> None:
    """Arrows along three columns (3, 3), the far ones first."""
    parts = zip(columns.T, names, (RED, GREEN, BLUE), strict=True)
    for way, name, colour in sorted(parts, key=lambda part: -part[0][2]):
        tip = np.array(at) + reach * way[:2]
        arrow = {"arrowstyle": "-|>,head_width=0.3,head_length=0.6", "color": colour, "lw": 2.6}
        ax.annotate("", tip, at, arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
        place = tip + 0.12 * np.sign(way[:2]) + 0.1 * way[:2]
        side = "center" if abs(way[0]) < 0.1 else "left" if way[0] > 0 else "right"
        ax.text(*place, name, color=colour, ha=side, va="center", weight="bold", size=10)


def panel(ax: Axes, title: str, limit: float = 1.8) -> None:
    ax.set(xlim=(-limit, limit), ylim=(limit, -limit), aspect="equal")
    ax.axis("off")
    ax.set_title(title, size=10)


def signs() -> None:
    """Heads as the camera sees them, with the sign of each angle."""
    rows = [
        [(0, 0, 0), (45, 0, 0), (90, 0, 0), (135, 0, 0), (180, 0, 0)],
        [(-45, 0, 0), (-90, 0, 0), (-135, 0, 0), (60, 20, 10), (150, 20, 10)],
        [(0, 30, 0), (0, -30, 0), (0, 0, 30), (180, 30, 0), (180, 0, 30)],
    ]
    notes = {
        (0, 30, 0): "looks up", (0, -30, 0): "looks down", (0, 0, 30): "clockwise",
        (180, 30, 0): "looks down", (180, 0, 30): "anticlockwise", (45, 0, 0): "nose to image left",
        (-45, 0, 0): "nose to image right", (180, 0, 0): "back of the head",
    }  # fmt: skip
    figure, axes = plt.subplots(3, 5, figsize=(10.5, 7.4))
    for line, angles in zip(axes, rows, strict=True):
        for ax, (yaw, pitch, roll) in zip(line, angles, strict=True):
            rotation = rotation_from_angles(yaw, pitch, roll)
            note = notes.get((yaw, pitch, roll), "")
            panel(ax, f"yaw {yaw}  pitch {pitch}  roll {roll}\n{note}", limit=1.5)
            draw_head(ax, rotation)
            nose = 1.45 * (rotation @ [0, 0.1, -1.0])[:2]
            if np.hypot(*nose) > 0.2 and rotation[2, 2] > -0.2:
                start = 0.6 * nose
                style = {
                    "arrowstyle": "-|>,head_width=0.35,head_length=0.7",
                    "color": BLUE,
                    "lw": 3,
                }
                ax.annotate("", nose, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})
    figure.tight_layout()
    figure.savefig(HERE / "signs.png", dpi=100)
    plt.close(figure)


def frames() -> None:
    """The frames of camera, head, face and gaze, from the side of a camera and a frontal head."""
    view = rotation_from_angles(0, -24, 0) @ rotation_from_angles(-38, 0, 0)
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.4))
    panel(axes[0], "camera: optical frame", 2.2)
    draw_camera(axes[0], view)
    draw_axes(axes[0], view, ("x right", "y down", "z forward"))
    kinds = [
        ("head axes (`rotation`)", np.eye(3), ("x to the\nown left", "y chin", "z back")),
        ("face_<index> (REP-155)", face_rotation(np.eye(3)), ("x forward", "y left", "z up")),
        ("gaze_<index> (REP-155)", gaze_rotation(np.eye(3)), ("x right", "y down", "z forward")),
    ]
    for ax, (title, columns, names) in zip(axes[1:], kinds, strict=True):
        panel(ax, title, 2.2)
        draw_head(ax, view)
        draw_axes(ax, view @ columns, names)
    figure.tight_layout()
    figure.savefig(HERE / "frames.png", dpi=100)
    plt.close(figure)


def draw_camera(ax: Axes, view: np.ndarray) -> None:
    near, far = 0.25, 0.9
    ring = np.array([(-1, -0.75), (1, -0.75), (1, 0.75), (-1, 0.75), (-1, -0.75)])
    for size, depth in ((near, 0.0), (far, 1.1)):
        corner = np.column_stack([size * ring, np.full(5, depth)]) @ view.T
        ax.fill(corner[:, 0], corner[:, 1], color="#9aa4b2", alpha=0.35)
        ax.plot(corner[:, 0], corner[:, 1], color="#4a5260", lw=1.2)
    for x, y in ring[:4]:
        edge = np.array([(near * x, near * y, 0.0), (far * x, far * y, 1.1)]) @ view.T
        ax.plot(edge[:, 0], edge[:, 1], color="#4a5260", lw=0.8)


def boxes() -> None:
    """The grid of the answers on an image, and the sphere that gives the distance."""
    figure, (ax, side) = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=(1, 1.3))
    width, height, box = 640, 480, (250.0, 110.0, 390.0, 290.0)
    ax.set(xlim=(-10, width + 10), ylim=(height + 10, -10), aspect="equal")
    ax.set_xticks([0, 320, 640], ["000", "500", "999"])
    ax.set_yticks([0, 240, 480], ["000", "500", "999"])
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.add_patch(plt.Rectangle((0, 0), width, height, fc="#eef1f5", ec="#4a5260"))
    ax.add_patch(plt.Rectangle(box[:2], 140, 180, fc="none", ec="#222222", lw=2))
    head = QUADS @ rotation_from_angles(20, 5, 5).T * (85, 85, 85) + (320, 200, 0)
    order = np.argsort(-head[:, :, 2].mean(axis=1))
    paint = COLOURS[order]
    ax.add_collection(PolyCollection(head[order][:, :, :2], fc=paint, ec=paint, lw=0.3))
    text = ",".join(f"{v:03d}" for v in grid_box(box, width, height))
    ax.text(320, 340, f"[[{text}]]", ha="center", size=12, family="monospace")
    ax.text(320, 378, "x0, y0: top left    x1, y1: bottom right", ha="center", size=9)
    distance(side)
    figure.tight_layout()
    figure.savefig(HERE / "boxes.png", dpi=100)
    plt.close(figure)


def distance(ax: Axes) -> None:
    centre, radius, plane = np.array([2.2, -0.35]), 0.38, 0.7
    ax.set(xlim=(-0.2, 3.0), ylim=(0.75, -1.05), aspect="equal")
    ax.axis("off")
    ax.add_patch(plt.Circle(centre, radius, fc="#f3d9c4", ec="#8a6a52", lw=1.5))
    middle = np.arctan2(centre[1], centre[0])
    half = np.arcsin(radius / np.hypot(*centre))
    for angle in (middle - half, middle + half):
        ax.plot([0, 2.9], [0, 2.9 * np.tan(angle)], color="#4a5260", lw=1)
    ax.plot([0, centre[0]], [0, centre[1]], color="#4a5260", lw=1, ls="--")
    ax.plot([plane] * 2, [-0.45, 0.45], color="#9aa4b2", lw=2)
    ends = plane * np.tan([middle - half, middle + half])
    ax.plot([plane] * 2, ends, color="#222222", lw=5, solid_capstyle="butt")
    ax.text(plane, 0.56, "image, fy pixels away", ha="center", size=9)
    ax.text(plane + 0.05, 0.14, "box height", size=9)
    sellion = centre + (-0.3, -0.08)
    arrow = {"arrowstyle": "-|>", "color": BLUE, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", sellion, centre, arrowprops=arrow)
    ax.text(*(sellion + (-0.02, -0.06)), "sellion", color=BLUE, size=9, ha="center")
    ax.text(centre[0] + 0.03, centre[1] + 0.12, "offset", color=BLUE, size=9, ha="center")
    ax.plot(
        [2.68, 2.68], [centre[1] - radius, centre[1] + radius], color="#8a6a52", lw=1, marker="_"
    )
    ax.text(2.72, centre[1], "diameter", color="#8a6a52", size=9, va="center")
    axes = ((0.45, 0, "z forward", BLUE), (0, 0.45, "y down", GREEN))
    for x, y, name, colour in axes:
        ax.annotate("", (x, y), (0, 0), arrowprops={**arrow, "color": colour})
        ax.text(x / 2 + 0.05, y + 0.11, name, color=colour, size=9, ha="center")
    ax.plot(0, 0, "o", color="#222222")


if __name__ == "__main__":
    signs()
    frames()
    boxes()
