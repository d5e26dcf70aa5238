"""The loss of a batch in which some rows may not count: cross-entropy or focal, averaged over rows or classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from addnet.errors import UserError, require_choice
from addnet.signatures import require_number

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
        require_number("loss.gamma", gamma)
        require_number("loss.label_smoothing", label_smoothing)
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
        """The loss of a batch: the mean of its `rows`. What is reported of many batches is `scores.LossMean`.

        Args:
            logits: (B, 2), any float dtype; computed in float32.
            labels: (B,) int64, 0 or 1; anything where `valid` is False.
            valid: (B,) bool; rows that are False count nowhere.
            weights: (2,) weight of each class, or None. Not with `average="classes"`.

        Returns:
            A scalar, float32.
        """
        return self.mean(self.rows(logits, labels, valid, weights=weights), labels, valid, weights=weights)

    def mean(self, rows: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch from the losses of its `rows`; arguments as there."""
        totals, counted = by_class(rows, labels, valid, weights=weights)
        # the mean by hand: torch's own is 0/0 where no row counts, and its gradient would reach the weights
        if self.average == "rows":
            return totals.sum() / counted.sum().clamp(min=_TINY)
        return (totals / counted.clamp(min=1)).sum() / (counted > 0).sum().clamp(min=1)

    def rows(self, logits: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> Tensor:
        """(B,) float32 losses times the weight of their class, 0 where a row doesn't count; arguments as above."""
        logits, targets = logits.float(), torch.where(valid, labels, IGNORED)
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


def by_class(rows: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The sums that means are made of, so that those of several batches can be added up.

    Args:
        rows: (B,) losses of `RowLoss.rows`.
        labels: (B,) 0 or 1; anything where `valid` is False.
        valid: (B,) bool.
        weights: (2,) weight of each class, or None: 1.

    Returns:
        (2,) the sum of the losses of each class, and (2,) the sum of the weights of its rows.
    """
    members = (labels[:, None] == torch.arange(2, device=labels.device)) & valid[:, None]
    counted = members.sum(dim=0).to(rows.dtype)
    return (rows[:, None] * members).sum(dim=0), counted if weights is None else counted * weights
