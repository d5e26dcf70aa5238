"""Figures about a set of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torchmetrics.functional.classification import binary_roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def confusion_figure(matrix: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> Figure:
    """A confusion matrix: counts, and their share of the row as colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    draw_confusion(figure.subplots(), matrix, names, title=title)
    return figure


def draw_confusion(axis: Axes, matrix: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> None:
    """The same onto axes that are there."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="called", ylabel="truth", title=title)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, f"{count}\n{shares[row, column]:.1%}", ha="center", va="center", color=colour)


def roc_figure(probabilities: Tensor, labels: Tensor, *, title: str) -> Figure:
    """ROC curve beside the histogram of the scores of each class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    roc, histogram = figure.subplots(1, 2)
    fpr, tpr, _ = binary_roc(probabilities, labels)
    roc.plot(fpr.numpy(), tpr.numpy())
    roc.plot([0, 1], [0, 1], color="0.8", linestyle="--")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title=title)
    bins = np.linspace(0, 1, 31).tolist()
    for label, name in enumerate(("real", "fake")):
        histogram.hist(probabilities[labels == label].numpy(), bins=bins, alpha=0.6, label=name)
    histogram.set(xlabel="probability of fake", ylabel="pictures", title="scores")
    histogram.legend()
    return figure


def curves_figure(curves: dict[str, list[tuple[int, float]]], *, title: str) -> Figure:
    """Named curves over epochs, losses and other figures apart."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, points in curves.items():
        axis = left if "loss" in name else right
        axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    for axis, label in ((left, "loss"), (right, "score")):
        axis.set(xlabel="epoch", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axis.lines:
            axis.legend(fontsize="small")
    figure.suptitle(title)
    return figure
