"""Measures training and validation images, as the network sees them, to describe the domain of a detector."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from addnet.data.dataset import DeepfakeDataset
from addnet.data.usable import UsableRecords
from addnet.faces.domain import Domain, FaceMeasures, measure
from addnet.faces.framing import box_of
from addnet.faces.views import landmarks_in_view

_MEASURED = 400  # images of each split
Served: TypeAlias = tuple[DeepfakeDataset, UsableRecords]


def domain_of(training: Served, validation: Served) -> Domain | None:
    """Measures a sample of images of each split, evenly spaced.

    Args:
        training: Training images, with the augmentation of the first epoch, without blends.
        validation: Validation images, without augmentation.

    Returns:
        The domain; None if no landmarks are known in one of the splits.
    """
    return Domain.of(_measured(*training), _measured(*validation))


def _measured(dataset: DeepfakeDataset, part: UsableRecords) -> list[FaceMeasures]:
    known = np.flatnonzero(part.with_landmarks)
    places = np.unique(np.linspace(0, len(known) - 1, min(_MEASURED, len(known))).round().astype(int))
    measures = []
    for row in known[places].tolist():
        sample, (height, width), landmarks = dataset.draw(row), part.shapes[row].tolist(), part.landmarks[row]
        in_view = landmarks_in_view((height, width), landmarks, dataset.geometry)
        if sample.valid and landmarks is not None and in_view is not None:
            measures.append(measure(sample.image, in_view, size=box_of(landmarks)[1]))
    return measures
