"""Images of training and validation, as the network sees them → the domain of a detector."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from addnet.data.dataset import DeepfakeDataset
from addnet.data.usable import UsableRecords
from addnet.faces.domain import Domain, FaceMeasures, measure
from addnet.faces.framing import box_of
from addnet.faces.views import landmarks_in_view

_MEASURED = 400  # images of each
Served: TypeAlias = tuple[DeepfakeDataset, UsableRecords]


def domain_of(training: Served, validation: Served) -> Domain | None:
    """Measures some images of each, evenly spaced.

    Args:
        training: Images with the random changes of the first epoch; without blends.
        validation: Images without.

    Returns:
        None where faces are known in none of either.
    """
    return Domain.of(_measured(*training), _measured(*validation))


def _measured(dataset: DeepfakeDataset, part: UsableRecords) -> list[FaceMeasures]:
    known = np.flatnonzero(part.with_landmarks)
    places = np.unique(np.linspace(0, len(known) - 1, min(_MEASURED, len(known))).round().astype(int))
    found = []
    for row in known[places].tolist():
        drawn, (height, width), landmarks = dataset.draw(row), part.shapes[row].tolist(), part.landmarks[row]
        seen = landmarks_in_view((height, width), landmarks, dataset.geometry)
        if drawn.valid and landmarks is not None and seen is not None:
            found.append(measure(drawn.image, seen, size=box_of(landmarks)[1]))
    return found
