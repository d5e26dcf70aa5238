"""Plots of an audit: histograms, and pairs of images side by side."""

from __future__ import annotations

import math
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from addnet.colours import FAKE, REAL, SERIES
from addnet.data.audit.actors import STRICT, Actors
from addnet.data.audit.confounds import Confound
from addnet.data.audit.near import nearest
from addnet.data.audit.overlap import rows_of, split_pairs
from addnet.data.audit.scan import ImageSignals, Read, read_or_reason
from addnet.errors import UserError
from addnet.faces.descriptors import SAME_PERSON
from addnet.faces.images import check_bytes
from addnet.index.records import CLASS_NAMES, Records
from addnet.plotting import legend_below

_COLOURS = (REAL, FAKE)
_SAMPLE, _GALLERY = 1000, 50_000

Rows = NDArray[np.int64]


def confound_plot(records: Records, signals: ImageSignals, found: list[Confound], *, rows: int = 4) -> Figure | None:
    """Histograms of the strongest numeric signals by class, one column per split; None if there are none."""
    shown = [c for c in found if c.scores and not c.signal.categories][:rows]
    splits = list(dict.fromkeys(split for confound in shown for split in confound.scores))
    if not shown:
        return None
    figure = Figure(figsize=(4.2 * len(splits), 2.6 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), len(splits), squeeze=False)
    for line, confound in zip(axes, shown, strict=True):
        values = confound.values[signals.readable & np.isfinite(confound.values)]
        low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
        bins = np.linspace(low, high if high > low else low + 1, 41)
        for axis, split in zip(line, splits, strict=True):
            part = rows_of(records, split)
            for label, name in enumerate(CLASS_NAMES):
                chosen = part[(records.labels[part] == label) & signals.readable[part]]
                axis.hist(
                    confound.values[chosen], bins=bins, density=True, alpha=0.55, label=name, color=_COLOURS[label]
                )
            score = confound.scores.get(split)
            auroc = f", AUROC {score.auroc:.3f}" if score else ""
            axis.set(title=f"{confound.signal.name}, {split}{auroc}", yticks=[])
    if handles := axes[0, 0].get_legend_handles_labels()[0]:
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False)
    return figure


def hash_plot(
    records: Records, signals: ImageSignals, *, distance: int, seed: int
) -> tuple[Figure | None, dict[str, list[int]]]:
    """Plots how near the perceptually nearest image of another group is, across splits and within the first.

    Returns:
        The plot (None with one split) and the counts by bits, of samples of at most 1,000 images.
    """
    counts: dict[str, list[int]] = {}
    for one, other in split_pairs(records):
        gallery = _sample(records, signals, one, _GALLERY, seed)
        for split, name in ((other, f"{other} to {one}"), (one, f"{one} to other groups of {one}")):
            rows = _sample(records, signals, split, _SAMPLE, seed)
            groups, hashes = records.numbers("group_id"), signals["phash"]
            bits = nearest(hashes[rows], hashes[gallery], left_groups=groups[rows], right_groups=groups[gallery])
            counts.setdefault(name, np.bincount(bits, minlength=33).tolist())
    if not counts:
        return None, counts
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axis = figure.subplots()
    for (name, values), colour in zip(counts.items(), cycle(SERIES), strict=False):
        shares = np.asarray(values[:33]) / max(1, sum(values))
        shares = shares[0::2] + np.append(shares[1::2], 0)  # (17,) bins of two bits: 0 and 1, 2 and 3, …
        axis.plot(np.arange(0, 33, 2), shares, marker="o", markersize=3, color=colour, label=name)
    axis.axvline(distance, color="0.6", linestyle="--", label=f"nearly the same (≤ {distance})")
    axis.set(xlabel="bits between an image and the nearest of another group", ylabel="share of images")
    legend_below(axis)
    return figure, counts


def _sample(records: Records, signals: ImageSignals, split: str, most: int, seed: int) -> Rows:
    rows = rows_of(records, split)
    rows = rows[signals.readable[rows] & ~signals["flat"][rows]]
    return np.sort(np.random.default_rng((seed, 5)).permutation(rows)[:most])


def faces_plot(found: list[Actors]) -> Figure | None:
    """Distances to the nearest face across splits and within the first one; None without faces."""
    found = [pair for pair in found if len(pair.across)]
    if not found:
        return None
    figure = Figure(figsize=(6.4, 3.4 * len(found)), layout="constrained")
    bins = np.linspace(0, 0.8, 41)
    for axis, pair in zip(figure.subplots(len(found), 1, squeeze=False)[:, 0], found, strict=True):
        one, other = pair.between
        named = ((pair.across, f"{other} to {one}"), (pair.within, f"{one} to other groups of {one}"))
        for (values, name), colour in zip(named, SERIES, strict=False):
            if len(values):
                axis.hist(values, bins=bins, density=True, histtype="step", color=colour, label=name)
        for limit, style in ((STRICT, ":"), (SAME_PERSON, "--")):
            axis.axvline(limit, color="0.6", linestyle=style, label=f"within {limit:g}")
        axis.set(xlabel="distance to the nearest face of another group", yticks=[])
        legend_below(axis, ncols=2)
    return figure


def pairs_plot(
    records: Records, pairs: Rows, captions: list[str], read: Read, *, between: tuple[str, str], title: str
) -> Figure:
    """Plots pairs of images side by side, three pairs per row.

    Args:
        records: The images.
        pairs: (P, 2) positions.
        captions: One for each pair.
        read: Returns the bytes of an image.
        between: Splits of the first and of the second image of each pair.
        title: Title of the sheet.
    """
    lines = math.ceil(len(pairs) / 3)
    figure = Figure(figsize=(11, 2.2 * lines + 0.5), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(lines, 6, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, (pair, caption) in enumerate(zip(pairs, captions, strict=True)):
        for side, row in enumerate(pair):
            record = records[int(row)]
            axis = axes[number // 3, 2 * (number % 3) + side]
            _show(axis, read_or_reason(read, record))
            label = CLASS_NAMES[record.label] if record.label >= 0 else "?"
            axis.set_title(f"{between[side]} {label}" + (f", {caption}" if side == 0 else ""), fontsize=7)
    return figure


def _show(axis: object, data: bytes | str) -> None:
    try:
        image = None if isinstance(data, str) else check_bytes(data)
    except UserError:
        image = None
    if image is not None:
        axis.imshow(image)  # type: ignore[attr-defined]
