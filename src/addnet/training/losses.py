"""The loss of a batch in which some rows may not count: cross-entropy or focal, averaged over rows or classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from addnet.errors import UserError, require_choice

LOSSES = ("cross_entropy", "focal")
AVERAGES = ("rows", "classes")
IGNORED = -100  # label of rows that do not count
_TINY = torch.finfo(torch.float32).tiny


class RowLoss:
    """Loss over the rows that count; 0 with a gradient of 0 where none does.

    Focal loss weights the cross-entropy of a row by (1 − p)^gamma, p being the probability of its true class,
    so that rows that are right already count less (Lin et al. 2017, arXiv 1708.02002, equation 4).

    Args:
        name: `cross_entropy` or `focal`.
        gamma: Of the focal loss, at least 0; 0 is cross-entropy.
        label_smoothing: Of the cross-entropy, in [0, 1).
        average: `rows`, or `classes`: real and fake apart, then the mean over those that the batch holds.

    Raises:
        UserError: An option lies outside these values, or two of them exclude each other.

    Example:
        >>> logits, labels = torch.zeros(3, 2), torch.tensor([0, 1, 1])
        >>> round(RowLoss("focal")(logits, labels, torch.ones(3, dtype=torch.bool)).item(), 4)  # ln 2 / 4
        0.1733
    """

    def __init__(
        self,
        name: str = "cross_entropy",
        *,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        average: str = "rows",
    ) -> None:
        self.name = require_choice("loss.name", name, LOSSES)
        self.average = require_choice("loss.average", average, AVERAGES)
        self.gamma, self.label_smoothing = gamma, label_smoothing
        if not 0 <= label_smoothing < 1:
            raise UserError(f"loss.label_smoothing={label_smoothing} must lie in [0, 1)")
        if not 0 <= gamma < float("inf"):
            raise UserError(f"loss.gamma={gamma} must be a number of at least 0; 2 is usual")
        if name == "focal" and label_smoothing:
            raise UserError(
                f"loss.label_smoothing={label_smoothing} does not go with loss.name=focal, which needs one true "
                "class a row; use loss.label_smoothing=0 or loss.name=cross_entropy"
            )

    def check_balance(self, balance: str) -> None:
        """Compares with `data.balance`.

        Raises:
            UserError: Both would weight the classes, and the weights would cancel out.
        """
        if self.average == "classes" and balance == "loss_weight":
            raise UserError(
                "loss.average=classes makes both classes count alike already, and data.balance=loss_weight would "
                "have no effect; use one of them"
            )

    def __call__(self, logits: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, K), any float dtype; computed in float32.
            labels: (B,) int64 in [0, K); anything where `valid` is False.
            valid: (B,) bool; rows that are False count nowhere.
            weights: (K,) weight of each class, or None. Not with `average="classes"`.

        Returns:
            A scalar, float32.
        """
        rows = self._rows(logits.float(), torch.where(valid, labels, IGNORED), weights)
        if self.average == "classes":
            return _mean_over_classes(rows, labels, valid, classes=logits.shape[1])
        counted = valid.float() if weights is None else valid * weights[labels]
        # the mean by hand: torch's own is 0/0 where no row counts, and its gradient would reach the weights
        return rows.sum() / counted.sum().clamp(min=_TINY)

    def _rows(self, logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """(B,) losses, 0 where the target is `IGNORED`."""
        if self.name == "cross_entropy":
            return functional.cross_entropy(
                logits,
                targets,
                weight=weights,
                ignore_index=IGNORED,
                label_smoothing=self.label_smoothing,
                reduction="none",
            )
        rows = functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
        # 1 − p; never 0, where the slope of a power below 1 is infinite
        rows = rows * (-torch.expm1(-rows)).clamp(min=_TINY) ** self.gamma
        return rows if weights is None else rows * weights[targets.clamp(min=0)]


def _mean_over_classes(rows: Tensor, labels: Tensor, valid: Tensor, *, classes: int) -> Tensor:
    members = functional.one_hot(labels.clamp(0, classes - 1), classes) * valid[:, None]
    counts = members.sum(dim=0)
    means = (rows[:, None] * members).sum(dim=0) / counts.clamp(min=1)
    return means.sum() / (counts > 0).sum().clamp(min=1)
