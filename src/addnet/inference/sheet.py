"""An explanation as a plot: the face, its mask, the bandpass output, the Grad-CAM map, the effect of each organ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.colours import BLACK, FAKE, REAL
from addnet.faces.images import ImageArray
from addnet.faces.sheet import overlay
from addnet.inference.explaining import Explanation
from addnet.plotting import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def explanation_plot(explanation: Explanation, *, title: str) -> Figure:
    """Plots the aligned face with landmarks, the mask, Grad-CAM and organs; with a bandpass layer, band and response.

    Args:
        explanation: The explanation of one face.
        title: Title of the plot, such as the file and its verdict.
    """
    from matplotlib.figure import Figure

    columns = 4 if explanation.band is None else 6
    figure = Figure(figsize=(3 * columns, 3.5), layout="constrained")
    axes = iter(figure.subplots(1, columns))
    _images(axes, explanation)
    if explanation.band is not None and explanation.response is not None:
        _show(next(axes), stretched(explanation.band), "band the network sees")
        axis = next(axes)
        axis.plot(*explanation.response, color=BLACK)
        axis.set_title("frequency response", fontsize="small")
        axis.set(xlabel="cycles per pixel", ylabel="gain", ylim=(0, None))
    _organs(next(axes), explanation)
    heading(figure, title)
    return figure


def _images(axes: object, explanation: Explanation) -> None:
    face, landmarks = next(axes), explanation.seen.landmarks  # type: ignore[call-overload]
    image = explanation.seen.image
    _show(face, image, f"as the network sees it; found by: {explanation.seen.face.step}")
    if landmarks is not None:
        face.scatter(landmarks[:, 0], landmarks[:, 1], s=4, color="#00c0ff")
        face.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    _show(next(axes), overlay(image, explanation.mask), "attention mask")  # type: ignore[call-overload]
    named = f"speaks for fake (Grad-CAM, {explanation.block})"
    _show(next(axes), heated(image, explanation.heat), named)  # type: ignore[call-overload]


def _show(axis: Axes, image: ImageArray | NDArray[np.float32], title: str) -> None:
    axis.imshow(image)
    axis.set_title(title, fontsize="small")
    axis.axis("off")


def _organs(axis: Axes, explanation: Explanation) -> None:
    axis.set_title("log odds of fake lost without", fontsize="small")
    if not explanation.without:
        axis.text(0.5, 0.5, "no face was found", ha="center", va="center")
        axis.axis("off")
        return
    names, losses = list(explanation.without), list(explanation.without.values())
    axis.barh(names, losses, color=[FAKE if loss > 0 else REAL for loss in losses])
    axis.axvline(0, color="0.3", linewidth=0.8)
    axis.invert_yaxis()
    axis.locator_params(axis="x", nbins=4)


def heated(image: ImageArray, heat: NDArray[np.float32]) -> ImageArray:
    """Overlays an image with a heat map.

    Args:
        image: (S, S, 3) uint8, RGB.
        heat: (S, S) float32 in [0, 1].

    Returns:
        (S, S, 3) uint8.
    """
    colours = cv2.applyColorMap(np.asarray(heat * 255, dtype=np.uint8), cv2.COLORMAP_VIRIDIS)
    colours = cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)
    share = 0.6 * heat[..., None]
    return np.asarray(image * (1 - share) + colours * share, dtype=np.uint8)


def stretched(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales a band to an image, (S, S, 3) in [0, 1]: 0 becomes grey, ±3 standard deviations black and white."""
    spread = 6 * float(band.std()) or 1.0
    return np.asarray(np.clip(band / spread + 0.5, 0, 1), dtype=np.float32)
