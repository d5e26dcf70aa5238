"""Plots of scores and of the metrics of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from addnet.colours import BLACK, FAKE, ORANGE, PINK, REAL, SKY, TRAIN, VAL
from addnet.evaluation.ranking import curve
from addnet.evaluation.table import auroc
from addnet.plotting import legend_below, whole_numbers_along

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DARK = 0.75  # share above which the cell is too dark for black text


def confusion_plot(matrix: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> Figure:
    """Plots a confusion matrix: counts, and their share of the row as colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    draw_confusion(figure.subplots(), matrix, names, title=title)
    return figure


def draw_confusion(axis: Axes, matrix: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> None:
    """Draws a confusion matrix on existing axes."""
    counts = np.asarray(matrix)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axis.imshow(shares, cmap="Greys", vmin=0, vmax=1.3)  # grey: both classes are rows
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="called", ylabel="truth", title=title)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > _DARK else "black"
        share = f"{shares[row, column]:.1%}" if totals[row] else "–"
        axis.text(column, row, f"{count}\n{share}", ha="center", va="center", color=colour)


def roc_plot(levels: Mapping[str, tuple[Tensor, Tensor]], *, title: str) -> Figure:
    """Plots the ROC curves of all levels in one panel, next to histograms of both classes for each level.

    Args:
        levels: Name, such as "images" and "videos" → (N,) probabilities of fake and (N,) labels of both classes.
        title: Title above all panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(4.2 * (1 + len(levels)), 4.2), layout="constrained")
    roc, *histograms = figure.subplots(1, 1 + len(levels))
    roc.plot([0, 1], [0, 1], color="0.8", linestyle=":")
    for (name, (probabilities, labels)), style in zip(levels.items(), ("-", "--"), strict=False):
        steps = curve(probabilities.double().numpy(), labels.numpy())
        label_of_curve = f"{name}, AUROC {auroc(steps)[0]:.4f}"
        fpr, tpr = (weights[0] / weights[0, -1] for weights in (steps.reals, steps.fakes))
        roc.plot(fpr, tpr, color=BLACK, linestyle=style, label=label_of_curve)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    bins = np.linspace(0, 1, 31).tolist()
    for axis, (name, (probabilities, labels)) in zip(histograms, levels.items(), strict=True):
        for label, (kind, colour) in enumerate((("real", REAL), ("fake", FAKE))):
            axis.hist(probabilities[labels == label].numpy(), bins=bins, alpha=0.6, label=kind, color=colour)
        axis.set(xlabel="probability of fake", ylabel=name, title=f"scores of {name}")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (roc, *histograms):
        legend_below(axis)
    figure.suptitle(title)
    return figure


def curves_plot(curves: Mapping[str, Sequence[tuple[int, float]]], *, title: str) -> Figure:
    """Plots metrics over epochs: one panel per metric, with the same colours for training and validation in all.

    Args:
        curves: Name, such as `train/frame/loss` or `bandpass/sigma_low` → (epoch from 0, value) in order.
        title: Title above all panels.
    """
    from matplotlib.figure import Figure

    panels: dict[str, list[str]] = {}
    for name in curves:
        panels.setdefault(_panel_of(name), []).append(name)
    figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
    for axis, (panel, names) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        numbers: list[int] = []
        for name in names:
            epochs, values = zip(*curves[name], strict=True)
            numbers = [epoch + 1 for epoch in epochs]
            axis.plot(numbers, values, marker="o", markersize=3, **_line_of(name, names.index(name)))
        axis.set(xlabel="epoch", ylabel=panel)
        whole_numbers_along(axis, numbers)
        legend_below(axis)
    figure.suptitle(title)
    return figure


def _panel_of(name: str) -> str:
    return "sigma in pixels" if name.startswith("bandpass/") else name.rsplit("/", maxsplit=1)[-1]


def _line_of(name: str, at: int) -> dict[str, Any]:
    """Colour by split, dashes for videos; sigmas have colours of their own."""
    if name.startswith("bandpass/"):
        colour, style = ((PINK, "-"), (ORANGE, "--"), (SKY, "-"))[at % 3]  # delta may coincide with sigma_low
        return {"color": colour, "linestyle": style, "label": name.removeprefix("bandpass/")}
    split, level, _ = name.split("/")
    style = "--" if level == "video" else "-"
    label = {"train": "training", "val": "validation"}[split] + (", videos" if level == "video" else "")
    return {"color": TRAIN if split == "train" else VAL, "linestyle": style, "label": label}
