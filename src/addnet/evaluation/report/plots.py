"""Plots of the report, each of one panel or two, so that it can be read on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.special import ndtri

from addnet.colours import FAKE, REAL, SERIES
from addnet.evaluation.calibration import calibrated, reliability
from addnet.evaluation.plots import draw_confusion
from addnet.evaluation.ranking import curve
from addnet.evaluation.report.wording import legend
from addnet.evaluation.scored import ScoredSet
from addnet.plotting import legend_below

_CLASSES = ("real", "fake")
_STYLES = {"images": "-", "videos": "--"}
_SIZE = (5.0, 3.9)
_BINS = 25
_BANDS = 2  # more checkpoints would hide each other

Levels = Mapping[str, ScoredSet]  # "images" and "videos" → scores
Points = Sequence[tuple[str, Mapping[str, float | None]]]  # label of a step → value, low, high


def roc_plot(checkpoints: Mapping[str, Levels], *, title: str) -> Figure:
    """ROC curves: a colour a checkpoint, images drawn through and videos dashed."""
    figure, axis = _panel(title, "false positive rate", "true positive rate")
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for label, colour, style, scored in _lines(checkpoints):
        reals, fakes = _called(scored)
        if reals[-1] and fakes[-1]:
            x, y = reals / reals[-1], fakes / fakes[-1]
            told = f"{label}, AUROC {np.trapezoid(y, x):.4f}"
            axis.plot(x, y, color=colour, linestyle=style, label=told)
    return _square(figure, axis)


def precision_recall_plot(checkpoints: Mapping[str, Levels], *, title: str) -> Figure:
    """Precision against recall, as steps: what average precision sums up."""
    figure, axis = _panel(title, "recall (fakes found)", "precision (of those called fake)")
    for label, colour, style, scored in _lines(checkpoints):
        reals, fakes = _called(scored)
        if reals[-1] and fakes[-1]:
            precision = fakes[1:] / (fakes[1:] + reals[1:])
            recall = fakes / fakes[-1]
            axis.step(recall, [precision[0], *precision], where="pre", color=colour, linestyle=style, label=label)
            if style == "-":
                axis.axhline(fakes[-1] / (fakes[-1] + reals[-1]), color="0.8", linewidth=1)
    return _square(figure, axis)


def scores_plot(levels: Levels, thresholds: Mapping[str, float | None], *, title: str) -> Figure:
    """Histograms of both classes, images above videos, with the threshold of each that has one."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    for axis, (level, scored) in zip(np.atleast_1d(figure.subplots(len(levels), 1)), levels.items(), strict=True):
        ends = [0.0, 1.0] if scored.is_probability else [*map(float, np.quantile(scored.probabilities, (0, 1)))]
        bins = np.linspace(ends[0], ends[1], _BINS + 1).tolist() if ends[0] < ends[1] else _BINS
        for label, colour in enumerate((REAL, FAKE)):
            shown = scored.probabilities[scored.labels == label]
            style: dict[str, Any] = {"histtype": "stepfilled", "alpha": 0.45, "edgecolor": colour, "facecolor": colour}
            axis.hist(shown, bins=bins, label=_CLASSES[label], linewidth=1.2, **style)
        if (threshold := thresholds[level]) is not None:
            axis.axvline(threshold, color="0.2", linestyle=":", label=f"threshold {threshold:.3f}")
        axis.set(ylabel=level)
        if scored.is_probability:
            axis.set(xlim=ends)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        _plain(axis)
    axis.set_xlabel("probability of fake" if scored.is_probability else "score")
    figure.suptitle(title, fontsize="medium")
    return figure


def reliability_plot(scored: ScoredSet, level: Mapping[str, Any], *, title: str) -> Figure:
    """Share of fakes against what was said, before and after calibration; a larger dot holds more.

    Args:
        scored: Images or videos.
        level: Of `levels.level_numbers`, for "temperature" and "limits".
        title: Of the plot.
    """
    figure, axis = _panel(title, "probability of fake, mean of a bin", "share of fakes in it")
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    _draw_reliability(axis, scored.probabilities, scored.labels, colour=SERIES[0], label="as it is")
    temperature = level["temperature"]
    if temperature is not None:
        said = np.clip(calibrated(scored.probabilities, temperature), *level["limits"])
        label = f"calibrated, T = {temperature:.2f}"
        _draw_reliability(axis, said, scored.labels, colour=SERIES[1], label=label)
    return _square(figure, axis)


def undecided_plot(levels: Mapping[str, Mapping[str, Any]], *, title: str) -> Figure:
    """Wrong verdicts among those that are given, surest first; a dot stands where the checkpoint's thresholds lie.

    Args:
        levels: "images" and "videos" → "undecided" of `levels.level_numbers`.
        title: Of the plot.
    """
    figure, axis = _panel(title, "share that has a verdict", "wrong among these")
    for (level, found), colour in zip(levels.items(), SERIES, strict=False):
        shares, errors = ([point[key] for point in found["curve"]] for key in ("share", "errors"))
        axis.plot(shares, errors, color=colour, linestyle=_STYLES[level], marker=".", label=level)
        if (own := found["decided"])["errors"] is not None:
            axis.plot([own["share"]], [own["errors"]], color=colour, marker="o", markersize=9, linestyle="none")
    axis.set(xlim=(0, 1.02), ylim=(0, None))
    legend_below(axis)
    return figure


def tippett_plot(levels: Mapping[str, Mapping[str, Any]], *, title: str) -> Figure:
    """Share of each class whose likelihood ratio is larger: fakes should lie right of 0, real ones left.

    Args:
        levels: "images" and "videos" → numbers of `likelihood.CalibratedRatios`.
        title: Of the plot.
    """
    figure, axis = _panel(title, "log10 likelihood ratio", "share above it")
    axis.axvline(0, color="0.8", linewidth=1)
    for level, found in levels.items():
        for name, colour in zip(_CLASSES, (REAL, FAKE), strict=True):
            ratios = found["quantiles"][name]
            above = np.linspace(1, 0, len(ratios))
            label = f"{name}, {level}" if len(levels) > 1 else name
            axis.plot(ratios, above, color=colour, linestyle=_STYLES[level], label=label)
    axis.set_ylim(-0.02, 1.02)
    legend_below(axis)
    return figure


def det_plot(levels: Levels, *, title: str) -> Figure:
    """Both error rates at each threshold, on normal scales (Martin et al. 1997): straight where scores are normal."""
    figure, axis = _panel(title, "real called fake", "fake called real")
    ticks = np.array([0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95])
    for (level, scored), colour in zip(levels.items(), SERIES, strict=False):
        reals, fakes = _called(scored)
        rates = np.stack([reals / reals[-1], 1 - fakes / fakes[-1]])
        axis.plot(*ndtri(np.clip(rates, ticks[0], ticks[-1])), color=colour, linestyle=_STYLES[level], label=level)
    places = ndtri(ticks)
    for set_ticks in (axis.set_xticks, axis.set_yticks):
        set_ticks(places, [f"{100 * tick:g} %" for tick in ticks], fontsize="small")
    axis.set(xlim=places[[0, -1]], ylim=places[[0, -1]])
    legend_below(axis)
    return figure


def confusion_plot(matrices: Mapping[str, Sequence[Sequence[int]]], *, title: str) -> Figure:
    """Matrices side by side, one a level."""
    figure = Figure(figsize=(_SIZE[0], 3.0), layout="constrained")
    for axis, (name, matrix) in zip(np.atleast_1d(figure.subplots(1, len(matrices))), matrices.items(), strict=True):
        draw_confusion(axis, matrix, _CLASSES, title=name)
        axis.title.set_fontsize("small")
        axis.label_outer()
    figure.suptitle(title, fontsize="medium")
    return figure


def robustness_plot(curves: Mapping[str, Mapping[str, Points]], *, title: str, metric: str, lowest: float) -> Figure:
    """Checkpoint → "images" or "videos" → steps: how a metric falls as images get worse."""
    figure, axis = _panel(title, "", metric)
    for (checkpoint, levels), colour in zip(curves.items(), cycle(SERIES), strict=False):
        for level, points in levels.items():
            low, value, high = (
                np.array([_or_nan(found.get(key)) for _, found in points]) for key in ("low", "value", "high")
            )
            axis.plot(value, color=colour, linestyle=_STYLES[level], marker="o", markersize=4)
            axis.lines[-1].set_label(f"{legend(checkpoint)}, {level}" if len(curves) > 1 else level)
            if len(curves) <= _BANDS:
                axis.fill_between(range(len(points)), low, high, color=colour, alpha=0.12, linewidth=0)
            axis.set_xticks(range(len(points)), [legend(label) for label, _ in points], fontsize="small")
    axis.set_ylim(lowest, 1.01)
    legend_below(axis)
    return figure


def _panel(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axis = figure.subplots()
    axis.set_title(title, fontsize="medium")
    axis.set(xlabel=x, ylabel=y)
    _plain(axis)
    return figure, axis


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="0.93", linewidth=0.8)
    axis.set_axisbelow(True)


def _square(figure: Figure, axis: Axes) -> Figure:
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    legend_below(axis)
    return figure


def _lines(checkpoints: Mapping[str, Levels]) -> list[tuple[str, str, str, ScoredSet]]:
    several = len(checkpoints) > 1
    return [
        (f"{legend(name)}, {level}" if several else level, colour, _STYLES[level], scored)
        for (name, levels), colour in zip(checkpoints.items(), cycle(SERIES), strict=False)
        for level, scored in levels.items()
    ]


def _called(scored: ScoredSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reals and fakes called fake at each threshold, from above all scores to below all."""
    found = curve(scored.probabilities, scored.labels)
    return found.reals[0], found.fakes[0]


def _draw_reliability(
    axis: Axes, probabilities: NDArray[np.float64], labels: NDArray[np.int64], *, colour: str, label: str
) -> None:
    bins = reliability(probabilities, labels)
    filled = bins.counts > 0
    sizes = 12 + 90 * bins.counts[filled] / max(bins.counts.max(), 1)
    axis.plot(bins.said[filled], bins.true[filled], color=colour, linewidth=1, alpha=0.7)
    axis.scatter(bins.said[filled], bins.true[filled], s=sizes, color=colour, alpha=0.8, label=label, clip_on=False)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
