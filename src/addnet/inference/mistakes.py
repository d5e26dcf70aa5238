"""The worst mistakes of a detector, with explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from addnet.data import DeepfakeDataModule
from addnet.errors import UserError
from addnet.evaluation.scored import ScoredSet
from addnet.faces.landmarks import Face
from addnet.inference.detector import Detector
from addnet.inference.explaining import explain
from addnet.inference.sheet import explanation_plot


class Mistake(NamedTuple):
    """An image on the wrong side of the threshold.

    Attributes:
        dataset: Name of its data set.
        path: Its path in the record.
        label: 0 real, 1 fake.
        probability: The network's probability of fake.
    """

    dataset: str
    path: str
    label: int
    probability: float


def farthest_wrong(scored: Mapping[str, ScoredSet], *, threshold: float, most: int) -> list[Mistake]:
    """Returns the mistakes farthest from the threshold, alternating real and fake as long as there are both.

    Args:
        scored: Data sets by name.
        threshold: A score above it is called fake.
        most: Largest number of mistakes; at most one per video.
    """
    found: dict[int, list[tuple[float, Mistake]]] = {0: [], 1: []}
    for name, rows in scored.items():
        # (N,) distance beyond the threshold, positive where an image is called wrongly
        distance = np.where(rows.labels == 1, threshold - rows.probabilities, rows.probabilities - threshold)
        wrong = np.flatnonzero((rows.probabilities > threshold) != (rows.labels == 1))
        seen: set[int] = set()
        for row in wrong[np.argsort(-distance[wrong], kind="stable")].tolist():
            if (video := int(rows.videos[row])) not in seen:
                seen.add(video)
                mistake = Mistake(name, rows.paths[row], int(rows.labels[row]), float(rows.probabilities[row]))
                found[mistake.label].append((float(distance[row]), mistake))
    real, fake = (sorted(part, key=lambda pair: -pair[0]) for part in (found[0], found[1]))
    turns = sorted([*enumerate(real), *enumerate(fake)], key=lambda pair: (pair[0], -pair[1][0]))
    return [mistake for _, (_, mistake) in turns[:most]]


def explained(detector: Detector, module: DeepfakeDataModule, mistake: Mistake, *, block: str | None) -> dict[str, Any]:
    """Returns a mistake with its explanation as an image, for the report.

    Args:
        detector: The detector that made it.
        module: The data module with the image.
        mistake: From `farthest_wrong`.
        block: Stage or module for Grad-CAM; None: the network's default.

    Returns:
        `path`, `set`, `label`, `probability` and `image`, (H, W, 3) uint8.
    """
    part, dataset = module.splits["test"], module.dataset("test")
    row = pc.index(part.records.paths, pa.scalar(mistake.path, pa.large_string())).as_py()
    known = {"path": mistake.path, "set": mistake.dataset, "label": mistake.label, "probability": mistake.probability}
    try:
        image = dataset.read(row)
    except UserError:  # removed since it was scored
        return known | {"image": np.full((16, 16, 3), 128, dtype=np.uint8)}
    face = Face(part.found_by[row].as_py(), part.landmarks[row])
    figure = explanation_plot(
        explain(detector, detector.preprocessing.whole(image, face), block=block), title=mistake.path
    )
    return known | {"image": _pixels(figure)}


def _pixels(figure: Any) -> Any:
    """Renders a plot to (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()
