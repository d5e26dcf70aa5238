"""One image with its landmarks, aligned face and masks, on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from addnet.faces.geometry import Geometry
from addnet.faces.images import ImageArray
from addnet.faces.landmarks import Face
from addnet.faces.masks import AttentionMask, Mask
from addnet.faces.views import view


def overlay(image: ImageArray, mask: Mask) -> ImageArray:
    """Dims an image where its mask is low: (S, S, 3) uint8."""
    return np.asarray(image * (0.15 + 0.85 * mask[..., None]), dtype=np.uint8)


def face_sheet(image: ImageArray, face: Face, mask: AttentionMask, *, size: int = 299) -> Figure:
    """Draws six panels: image with landmarks and box, aligned image, face mask, organ mask, final mask, overlay.

    Args:
        image: (H, W, 3) uint8, RGB.
        face: The face that the landmarker found in it.
        mask: Draws the masks.
        size: Side of the aligned image.
    """
    level, landmarks = view(image, face.landmarks, Geometry(size=size))
    final = mask.draw(landmarks, size)
    blank = np.zeros((size, size), dtype=np.float32)
    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 3).flat
    _found(axes[0], image, face)
    panels: list[tuple[str, NDArray[Any]]] = [
        ("aligned", level),
        ("face mask", blank if landmarks is None else mask.face(landmarks, size)),
        ("organ mask", blank if landmarks is None else mask.organs(landmarks, size)),
        (f"attention mask [{final.min():.2f}, {final.max():.2f}]", final),
        ("overlay", overlay(level, final)),
    ]
    for axis, (title, panel) in zip(axes[1:], panels, strict=True):
        axis.imshow(panel, cmap="gray", vmin=0, vmax=1 if panel.ndim == 2 else 255)
        axis.set_title(title)
    for axis in axes:
        axis.axis("off")
    return figure


def _found(axis: Axes, image: ImageArray, face: Face) -> None:
    axis.imshow(image)
    axis.set_title(f"found by: {face.step}")
    if face.landmarks is not None and face.box is not None:
        left, top, right, bottom = face.box
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color="#ffb000"))
        axis.scatter(face.landmarks[:, 0], face.landmarks[:, 1], s=6, color="#00c0ff")


def save_sheet(figure: Figure, path: Path) -> Path:
    """Writes a sheet as PNG, creating its folder if needed; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    return path
