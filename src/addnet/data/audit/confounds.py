"""Does something that has nothing to do with a face tell the class? Each signal is scored alone, like a detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.issues import INFO, WARNING, Issue
from addnet.data.audit.overlap import rows_of
from addnet.data.audit.scan import ImageSignals
from addnet.data.audit.scores import Score, score_categories, score_numbers
from addnet.data.audit.signals import FORMATS, SUBSAMPLINGS
from addnet.index.records import FAKE, REAL, Records

SPLITS = ("train", "val", "test")
_FILE = (
    "A network learns this instead of forgeries. Make both classes in the same way, with the same crop, size, encoder "
    "and quality; or save all images again with the same settings, and repeat the audit."
)
_BYTES = (
    "If JPEG tables or image size also tell the class, make both classes in the same way (the same crop, size, encoder "
    "and quality). If they do not, the bytes follow the sharpness of the images; saving them again changes nothing."
)
_CONTENT = (
    "This may be a trace of the forgery itself (swaps are often smoother) or of how the images were taken. Report its "
    "AUROC as the baseline of every metric, and test on data where it does not tell the class."
)
_SOURCE = "Use both classes of each data set, or leave out the data sets that have only one."

Values = Callable[[ImageSignals], NDArray[Any]]


@dataclass(frozen=True)
class Signal:
    """Something measured in each image that may tell the class.

    Attributes:
        name: Name as printed in the report.
        values: From the signals of all images: (N,) numbers, or codes if `categories`.
        remedy: What to do if it tells the class.
        categories: Whether the values are categories, without an order.
    """

    name: str
    values: Values
    remedy: str
    categories: bool = False


@dataclass(frozen=True)
class Confound:
    """How well a signal alone tells the class, by split.

    Attributes:
        signal: The signal.
        scores: By split; splits with one class or no images are left out.
        values: (N,) values of all images, for plots.
        shares: For categories: name, share of the real and of the fake images (all splits), most frequent first.
    """

    signal: Signal
    scores: dict[str, Score]
    values: NDArray[Any]
    shares: list[tuple[str, float, float]]

    @property
    def strongest(self) -> float:
        """The highest AUROC of any split; 0.5 if there is none."""
        return max([0.5, *(score.auroc for score in self.scores.values())])


def _column(name: str) -> Values:
    return lambda signals: np.asarray(signals[name], dtype=np.float64)


def _area(signals: ImageSignals) -> NDArray[Any]:
    return np.asarray(signals["width"].astype(np.float64) * signals["height"])


def _shape(signals: ImageSignals) -> NDArray[Any]:
    return np.asarray(signals["width"].astype(np.int64) * (1 << 32) + signals["height"])


SIGNALS = (
    Signal("file size", _column("size"), _BYTES),
    Signal("bytes per pixel", lambda s: s["size"] / np.maximum(1, _area(s)), _BYTES),
    Signal("width", _column("width"), _FILE),
    Signal("height", _column("height"), _FILE),
    Signal("area", _area, _FILE),
    Signal("aspect", lambda s: s["width"] / np.maximum(1, s["height"]), _FILE),
    Signal("JPEG quality", _column("quality"), _FILE),
    Signal("brightness", _column("brightness"), _CONTENT),
    Signal("contrast", _column("contrast"), _CONTENT),
    Signal("saturation", _column("saturation"), _CONTENT),
    Signal("sharpness", _column("sharpness"), _CONTENT),
    Signal("image size", _shape, _FILE, categories=True),
    Signal("JPEG tables", lambda s: s["tables"], _FILE, categories=True),
    Signal("chroma subsampling", lambda s: s["subsampling"], _FILE, categories=True),
    Signal("format", lambda s: s["format"], _FILE, categories=True),
)


def confounds(records: Records, signals: ImageSignals, *, resamples: int, seed: int) -> list[Confound]:
    """Scores every signal in every split that has both classes, the strongest first.

    Bytes per pixel are left out if all images have the same size: they then say the same as the file size.

    Args:
        records: The images.
        signals: Signals of the images; unreadable images are left out.
        resamples: How often groups are resampled for the confidence interval; 0 for none.
        seed: Seed of the resampling and the folds.
    """
    numbers = records.numbers("dataset")
    data_set = Signal("data set", lambda _: numbers, _SOURCE, categories=True)
    areas = _area(signals)[signals.readable]
    chosen = [signal for signal in (*SIGNALS, data_set) if signal.name != "bytes per pixel" or np.ptp(areas) > 0]
    found = [_confound(records, signals, signal, resamples, seed) for signal in chosen]
    return sorted(found, key=lambda confound: -confound.strongest)


def _confound(records: Records, signals: ImageSignals, signal: Signal, resamples: int, seed: int) -> Confound:
    values = signal.values(signals)
    labels, groups = records.labels.astype(np.int64), records.numbers("group_id")
    usable = signals.readable & (labels != -1)
    codes = np.unique(values, return_inverse=True)[1] if signal.categories else values
    scores = {}
    for split in SPLITS:
        rows = rows_of(records, split)
        rows = rows[usable[rows]]
        if {REAL, FAKE} <= set(np.unique(labels[rows]).tolist()):
            score = score_categories if signal.categories else score_numbers
            scores[split] = score(codes[rows], labels[rows], groups[rows], resamples=resamples, seed=seed)
    shares = _shares(records, signals, signal, values, usable) if signal.categories else []
    return Confound(signal, scores, values, shares)


def _shares(
    records: Records, signals: ImageSignals, signal: Signal, values: NDArray[Any], usable: NDArray[np.bool_]
) -> list[tuple[str, float, float]]:
    # (categories,) values and the position of an example of each; (images,) category of each usable image
    kinds, first, codes = np.unique(values[usable], return_index=True, return_inverse=True)
    labels = records.labels[usable]
    counts = [np.bincount(codes[labels == label], minlength=len(kinds)) for label in (REAL, FAKE)]
    order = np.argsort(-(counts[0] + counts[1]), kind="stable")[:6]
    rows = np.flatnonzero(usable)[first]
    shares = [count / max(1, count.sum()) for count in counts]
    return [
        (_category(records, signals, signal, int(rows[kind])), float(shares[0][kind]), float(shares[1][kind]))
        for kind in order
    ]


def _category(records: Records, signals: ImageSignals, signal: Signal, row: int) -> str:
    """Name of the category of this image."""
    image = signals.rows[row]
    tables = f"{int(image['tables']):016x}"[:8]
    names = {
        "image size": f"{image['width']}×{image['height']}",
        "JPEG tables": f"{tables} (quality {image['quality']:g})" if image["tables"] else "none",
        "chroma subsampling": SUBSAMPLINGS[image["subsampling"]] if image["subsampling"] >= 0 else "none",
        "format": FORMATS[image["format"]],
        "data set": records[row].dataset,
    }
    return names[signal.name]


def confound_issues(found: list[Confound], *, warn_auroc: float) -> list[Issue]:
    """A warning for each signal that tells the class in a split; an info where it may be chance."""
    issues = []
    for confound in found:
        high = {split: score for split, score in confound.scores.items() if score.auroc > warn_auroc}
        if not high:
            continue
        sure = any(not score.low <= 0.5 for score in high.values())
        text = f"{confound.signal.name} alone tells the class: AUROC " + ", ".join(
            _score_text(split, score) for split, score in confound.scores.items()
        )
        text += "" if sure else "; with so few groups, this may be chance"
        examples = [f"{name}: {real:.1%} of real, {fake:.1%} of fake" for name, real, fake in confound.shares]
        images = max(score.images for score in high.values())
        kind = "confound_" + confound.signal.name.lower().replace(" ", "_")
        issues.append(Issue(kind, WARNING if sure else INFO, text, images, confound.signal.remedy, examples))
    return issues


def _score_text(split: str, score: Score) -> str:
    direction = f", larger in {score.larger_in}" if score.larger_in else ""
    return f"{score.auroc:.3f} in {split} [{score.low:.3f}, {score.high:.3f}]{direction}"
