"""Example images for each landmarker step, with the landmarks that were found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray
from addnet.preparation.census import ReadImage, readable, sample, steps_in
from addnet.preparation.plots import COLOURS
from addnet.untrusted.texts import in_plot

_SHOWN_SIDE = 224  # pixels; larger images are scaled down to it

LandmarksOf = Callable[[dict[str, Any]], Landmarks | None]


def landmarks_in_row(row: dict[str, Any]) -> Landmarks | None:
    """The 68 landmarks in a row's column `points` (136 values); None if it is absent, null or has NaN."""
    values = row.get("points")
    if values is None:
        return None
    landmarks = np.asarray(values, dtype=np.float32).reshape(68, 2)
    return None if np.isnan(landmarks).any() else landmarks


def examples_sheet(
    rows: pa.Table,
    read_image: ReadImage,
    *,
    landmarks: LandmarksOf = landmarks_in_row,
    examples: int = 8,
    seed: int = 0,
) -> Figure | None:
    """Plots a row of sampled images for each landmarker step, framed in the colour of their class.

    Args:
        rows: Usable rows with `step`, `label`, `path`.
        read_image: Row → (H, W, 3) uint8, RGB; an unreadable image leaves a gap.
        landmarks: Row → (68, 2) in image pixels, or None.
        examples: Number of images per step.
        seed: Seed of the sample.

    Returns:
        The plot; None if there are no rows.
    """
    steps = steps_in(rows)
    if not steps:
        return None
    width, height = 1.5 * examples + 0.5, 1.8 * len(steps) + 0.1
    figure = Figure(figsize=(width, height))  # margins set by hand: a layout engine takes seconds for fifty axes
    margins = {"left": 0.5 / width, "right": 0.99, "top": 1 - 0.05 / height, "bottom": 0.3 / height}
    grid = figure.subplots(len(steps), examples, squeeze=False, gridspec_kw=margins | {"wspace": 0.08, "hspace": 0.2})
    for line, step in zip(grid, steps, strict=True):
        mine = rows.filter(pc.equal(rows["step"], step))
        line[0].set_ylabel(f"{step}\n{len(mine):,}", fontsize=9)
        chosen = sample(mine, examples, seed=seed).to_pylist()
        for axis, row in zip(line, [*chosen, *[None] * (examples - len(chosen))], strict=True):
            _tile(axis, row, read_image, landmarks)
    return figure


def _tile(axis: Axes, row: dict[str, Any] | None, read_image: ReadImage, landmarks: LandmarksOf) -> None:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    image = readable(row, read_image) if row else None
    if row is None or image is None:
        return
    small, scale = _shrunk(image)
    axis.imshow(small)
    if (found := landmarks(row)) is not None:
        _draw_landmarks(axis, (found + 0.5) * scale - 0.5, small.shape)
    axis.spines[:].set(visible=True, color=COLOURS.get(row["label"], COLOURS[-1]), linewidth=2)
    name = str(row["path"])
    axis.set_xlabel(in_plot(name if len(name) <= 22 else f"…{name[-21:]}"), fontsize=6)


def _shrunk(image: ImageArray) -> tuple[ImageArray, float]:
    height, width = image.shape[:2]
    scale = min(1.0, _SHOWN_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale < 1:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image, scale


def _draw_landmarks(axis: Axes, landmarks: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Draws dots with a dark rim, visible on any skin; extends the axes to include those outside the image."""
    axis.scatter(landmarks[:, 0], landmarks[:, 1], s=3.5, color="#00e5ff", edgecolors="#003040", linewidths=0.3)
    low = np.minimum(landmarks.min(axis=0), 0) - 0.5
    high = np.maximum(landmarks.max(axis=0), (shape[1] - 1, shape[0] - 1)) + 0.5
    axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
