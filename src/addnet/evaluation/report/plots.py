"""Plots of the report, each with one or two panels, so that it is legible on a phone."""

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
_BANDS = 2  # checkpoints up to which intervals are drawn as bands; more would hide each other

Levels = Mapping[str, ScoredSet]  # "images" and "videos" → scores
StepValues = Sequence[tuple[str, Mapping[str, float | None]]]  # label of a step → value, low, high


def roc_plot(checkpoints: Mapping[str, Levels], *, title: str) -> Figure:
    """Plots ROC curves: one colour per checkpoint, images solid and videos dashed."""
    figure, axis = _panel(title, "false positive rate", "true positive rate")
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for label, colour, style, scored in _lines(checkpoints):
        reals, fakes = _called(scored)
        if reals[-1] and fakes[-1]:
            x, y = reals / reals[-1], fakes / fakes[-1]
            axis.plot(x, y, color=colour, linestyle=style, label=f"{label}, AUROC {np.trapezoid(y, x):.4f}")
    return _square(figure, axis)


def precision_recall_plot(checkpoints: Mapping[str, Levels], *, title: str) -> Figure:
    """Plots precision against recall in steps, whose area is the average precision."""
    figure, axis = _panel(title, "recall (fakes detected)", "precision (of those called fake)")
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
    """Plots histograms of both classes, images above videos, with their thresholds, if there are any."""
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
    """Plots the share of fakes against the predicted probability, before and after calibration; dots grow with counts.

    Args:
        scored: Scores of images or videos.
        level: Result of `levels.level_numbers`, of which "temperature" and "limits" are used.
        title: Title of the plot.
    """
    figure, axis = _panel(title, "mean probability of fake in a bin", "share of fakes in the bin")
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    _draw_reliability(axis, scored.probabilities, scored.labels, colour=SERIES[0], label="not calibrated")
    temperature = level["temperature"]
    if temperature is not None:
        after = np.clip(calibrated(scored.probabilities, temperature), *level["limits"])
        label = f"calibrated, T = {temperature:.2f}"
        _draw_reliability(axis, after, scored.labels, colour=SERIES[1], label=label)
    return _square(figure, axis)


def undecided_plot(levels: Mapping[str, Mapping[str, Any]], *, title: str) -> Figure:
    """Plots the share of wrong verdicts against the share of verdicts given, most confident first.

    A large dot marks the thresholds of the checkpoint.

    Args:
        levels: "images" and "videos" → "undecided" of `levels.level_numbers`.
        title: Title of the plot.
    """
    figure, axis = _panel(title, "share with a verdict", "share of wrong verdicts")
    for (level, numbers), colour in zip(levels.items(), SERIES, strict=False):
        shares, errors = ([step[key] for step in numbers["curve"]] for key in ("share", "errors"))
        axis.plot(shares, errors, color=colour, linestyle=_STYLES[level], marker=".", label=level)
        if (own := numbers["decided"])["errors"] is not None:
            axis.plot([own["share"]], [own["errors"]], color=colour, marker="o", markersize=9, linestyle="none")
    axis.set(xlim=(0, 1.02), ylim=(0, None))
    legend_below(axis)
    return figure


def tippett_plot(levels: Mapping[str, Mapping[str, Any]], *, title: str) -> Figure:
    """Plots the share of each class above each likelihood ratio: fakes should be right of 0, real ones left of it.

    Args:
        levels: "images" and "videos" → numbers of `likelihood.CalibratedRatios`.
        title: Title of the plot.
    """
    figure, axis = _panel(title, "log10 likelihood ratio", "share above this ratio")
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
    """Plots both error rates at each threshold on normal scales (Martin et al. 1997): straight for normal scores."""
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
    """Plots confusion matrices side by side, one per level."""
    figure = Figure(figsize=(_SIZE[0], 3.0), layout="constrained")
    for axis, (name, matrix) in zip(np.atleast_1d(figure.subplots(1, len(matrices))), matrices.items(), strict=True):
        draw_confusion(axis, matrix, _CLASSES, title=name)
        axis.title.set_fontsize("small")
        axis.label_outer()
    figure.suptitle(title, fontsize="medium")
    return figure


def robustness_plot(
    curves: Mapping[str, Mapping[str, StepValues]], *, title: str, metric: str, lowest: float
) -> Figure:
    """Plots how a metric falls as images get worse.

    Args:
        curves: Checkpoint → "images" or "videos" → the steps of one kind of damage.
        title: Title of the plot.
        metric: Name of the metric on the axis.
        lowest: Lower end of the axis.
    """
    figure, axis = _panel(title, "", metric)
    for (checkpoint, levels), colour in zip(curves.items(), cycle(SERIES), strict=False):
        for level, steps in levels.items():
            low, value, high = (
                np.array([_or_nan(values.get(key)) for _, values in steps]) for key in ("low", "value", "high")
            )
            axis.plot(value, color=colour, linestyle=_STYLES[level], marker="o", markersize=4)
            axis.lines[-1].set_label(f"{legend(checkpoint)}, {level}" if len(curves) > 1 else level)
            if len(curves) <= _BANDS:
                axis.fill_between(range(len(steps)), low, high, color=colour, alpha=0.12, linewidth=0)
            axis.set_xticks(range(len(steps)), [legend(label) for label, _ in steps], fontsize="small")
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
    """(T,) reals and (T,) fakes called fake at each threshold, from above all scores downwards."""
    steps = curve(scored.probabilities, scored.labels)
    return steps.reals[0], steps.fakes[0]


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
