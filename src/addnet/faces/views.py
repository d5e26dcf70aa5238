"""A picture → what the network sees of it: one way for training, use and sheets, so that they can't drift apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from addnet.faces.geometry import Geometry, Jitter, Points, map_points, warp_picture
from addnet.faces.pictures import Picture


class View(NamedTuple):
    """What a network sees of a picture; the attention mask is drawn from its points.

    Attributes:
        picture: (S, S, 3) uint8, RGB.
        points: (68, 2) float32 in its pixels; they may lie outside. None without a face.
    """

    picture: Picture
    points: Points | None


def view(
    picture: Picture,
    points: Points | None,
    geometry: Geometry,
    *,
    jitter: Jitter | None = None,
    light: Callable[..., object] | None = None,
    out: Picture | None = None,
) -> View:
    """Warps a picture once and maps its points by the same matrix.

    Args:
        picture: (H, W, 3) uint8, RGB.
        points: (68, 2) in its pixels; None: no face, the whole picture, unturned.
        geometry: What part of it is seen, and how it is turned.
        jitter: Movement on top, drawn by augmentation.
        light: Changes the pixels of the view in place: called as `light(seen, out=seen)`.
        out: (S, S, 3) uint8 that takes the picture.

    Example:
        >>> seen = view(np.zeros((90, 60, 3), np.uint8), None, Geometry(size=64))
        >>> seen.picture.shape, seen.points
        ((64, 64, 3), None)
    """
    matrix = geometry.matrix(picture.shape, points, jitter)
    seen = warp_picture(np.ascontiguousarray(picture), matrix, geometry.size, out=out)
    if light:
        light(seen, out=seen)
    return View(seen, None if points is None else map_points(points, matrix))


def points_in_view(
    shape: tuple[int, ...], points: Points | None, geometry: Geometry, *, jitter: Jitter | None = None
) -> Points | None:
    """The points of `view` without its picture, as for a mask that another picture gets.

    Args:
        shape: (H, W, ...) of the picture.
        points: (68, 2) in its pixels, or None.
        geometry: What part of it is seen.
        jitter: Movement on top.
    """
    return None if points is None else map_points(points, geometry.matrix(shape, points, jitter))
