"""The overview plot of a preparation: landmarker steps, image sizes, brightness, and images per video."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from addnet import wording
from addnet.colours import FAKE, GREEN, REAL, UNLABELLED
from addnet.preparation.census import CLASSES, classes_in, count, frames_per_video, shorter_sides, steps_in

COLOURS = {0: REAL, 1: FAKE, -1: UNLABELLED}
COLOUR_NAMES = {0: "blue", 1: "orange", -1: "grey"}


def overview(rows: pa.Table, brightness: tuple[NDArray[Any], NDArray[Any]]) -> Figure:
    """Plots four panels about the usable images.

    Args:
        rows: Usable rows, normalised.
        brightness: (M,) mean luma and (M,) labels of all or a sample of these images.
    """
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    panels = figure.subplots(2, 2).flat
    _steps(panels[0], rows)
    _histogram(panels[1], shorter_sides(rows), "shorter side", "pixels", "images")
    _brightness(panels[2], *brightness)
    _histogram(panels[3], frames_per_video(rows), "images per video", "images", "videos")
    for axis in panels:
        axis.spines[["top", "right"]].set_visible(False)
    present = classes_in(rows)
    if len(present) > 1:
        handles = [_patch(label) for label in present]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False)
    return figure


def _patch(label: int) -> Patch:
    return Patch(color=COLOURS[label], label=CLASSES[label])


def _steps(axis: Axes, rows: pa.Table) -> None:
    """One bar per landmarker step, stacked by class and labelled with its share of all images."""
    names = steps_in(rows)
    counts = count(rows, ["step", "label"])
    left = np.zeros(len(names))
    for label in classes_in(rows):
        widths = np.array([counts.get((name, label), 0) for name in names])
        axis.barh(names, widths, left=left, color=COLOURS[label], height=0.7)
        left += widths
    for place, total in enumerate(left):
        axis.text(total, place, f" {total / left.sum():.1%}", va="center", fontsize="small")
    axis.invert_yaxis()
    axis.margins(x=0.16)
    axis.set(title="faces by landmarker step", xlabel="images")
    _count_along(axis.xaxis)
    _say_if_empty(axis, len(rows))


def _count_along(axis: Axis) -> None:
    """Sets integer ticks, large ones with a k or an M: without it, there would be 500m videos (half a video)."""
    axis.set_major_locator(MaxNLocator(integer=True))
    axis.set_major_formatter(EngFormatter(sep=""))


def _histogram(axis: Axes, values: NDArray[np.int64], title: str, unit: str, counted: str) -> None:
    """Plots integers in bins of integer width; values above the 99th percentile are in the last bin."""
    axis.set(title=title, xlabel=unit, ylabel=counted)
    _say_if_empty(axis, len(values))
    if not len(values):
        return
    low, high = int(values.min()), int(np.ceil(np.quantile(values, 0.99)))
    width = max(1, int(np.ceil((high - low + 1) / 40)))
    edges = np.arange(low, high + width + 1, width) - 0.5
    axis.hist(np.minimum(values, edges[-1]), bins=edges.tolist(), color=GREEN, rwidth=0.9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(edges) < 6:  # one bar across the whole axis would look like a range of values
        axis.set_xlim(edges[0] - 2, edges[-1] + 2)
        axis.set_xticks(range(low, int(edges[-1]) + 1))
    _count_along(axis.yaxis)
    if values.max() > edges[-1]:
        axis.set_xlabel(f"{unit} (the last bar: up to {values.max():,})")


def _brightness(axis: Axes, values: NDArray[Any], labels: NDArray[Any]) -> None:
    """Plots shares of each class, so that classes of different sizes can be compared."""
    axis.set(
        title=f"brightness of {wording.count(len(values), 'image')}", xlabel="mean luma", ylabel="share of the class"
    )
    _say_if_empty(axis, len(values))
    bins = np.linspace(0, 255, 52)
    for label, colour in COLOURS.items():
        if (mine := values[labels == label]).size:
            weights = np.full(mine.size, 1 / mine.size)
            axis.hist(mine, bins=bins.tolist(), weights=weights, color=colour, histtype="stepfilled", alpha=0.35)
            axis.hist(mine, bins=bins.tolist(), weights=weights, color=colour, histtype="step", linewidth=1.5)


def _say_if_empty(axis: Axes, size: int) -> None:
    if not size:
        axis.text(0.5, 0.5, "nothing to show", transform=axis.transAxes, ha="center", va="center", color="0.5")
        axis.set(xticks=[], yticks=[])
