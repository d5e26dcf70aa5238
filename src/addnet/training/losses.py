"""The loss of a batch with some invalid rows: a loss for each row, averaged over rows or classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from addnet.errors import UserError, require_choice
from addnet.registry import check_options, declared
from addnet.signatures import require_number
from addnet.training.terms import TERMS, FeatureLoss

AVERAGES = ("rows", "classes")
_TINY = torch.finfo(torch.float32).tiny

# logits (B, 2) float32, labels (B,) 0 or 1, weight of each class (2,) or None → (B,) losses times the weight of their
# class; invalid rows have logits of 0 and get no gradient
RowFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class CrossEntropy:
    """Cross-entropy of each row.

    Args:
        label_smoothing: Label smoothing in [0, 1).
        gamma: Has no effect; configs of earlier versions set it for either loss.

    Raises:
        UserError: An option is out of its range.
    """

    def __init__(self, *, label_smoothing: float = 0.0, gamma: float = 2.0) -> None:
        _check_gamma(gamma)
        _check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """The loss of each row, as a `RowFunction`."""
        return functional.cross_entropy(
            logits, labels, weight=weights, label_smoothing=self.label_smoothing, reduction="none"
        )


class FocalLoss:
    """Cross-entropy of each row times (1 − p)^gamma, where p is the probability of its true class.

    Rows that are already classified well count less (Lin et al. 2017, arXiv 1708.02002, equation 4).

    Args:
        gamma: Exponent, at least 0; 0 is cross-entropy.
        label_smoothing: Must be 0, since the formula needs one true class per row.

    Raises:
        UserError: An option is out of its range.
    """

    def __init__(self, *, gamma: float = 2.0, label_smoothing: float = 0.0) -> None:
        _check_gamma(gamma)
        _check_smoothing(label_smoothing)
        if label_smoothing:
            raise UserError(
                f"loss.label_smoothing={label_smoothing} can't be combined with loss.name=focal, which needs one true "
                "class per row; use loss.label_smoothing=0 or loss.name=cross_entropy"
            )
        self.gamma = gamma

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """The loss of each row, as a `RowFunction`."""
        rows = functional.cross_entropy(logits, labels, reduction="none")
        # 1 − p, clamped above 0: there the gradient is infinite if gamma is below 1
        rows = rows * (-torch.expm1(-rows)).clamp(min=_TINY) ** self.gamma
        return rows if weights is None else rows * weights[labels]


# includes the losses that other packages register: see addnet.registry
LOSSES = declared("loss", {"cross_entropy": CrossEntropy, "focal": FocalLoss})


class RowLoss:
    """Loss over the valid rows of a batch; 0 with a gradient of 0 if there are none.

    Args:
        name: `cross_entropy`, `focal`, or a name that another package registered.
        average: `rows` averages over rows; `classes` averages over the rows of each class, then over the classes that
            the batch has.
        options: Options of the loss of that name: see `CrossEntropy` and `FocalLoss`.

    Raises:
        UserError: An option is unknown or out of its range, or two of them exclude each other.

    Example:
        >>> logits, labels = torch.zeros(3, 2), torch.tensor([0, 1, 1])
        >>> round(RowLoss("focal")(logits, labels, torch.ones(3, dtype=torch.bool)).item(), 4)  # ln 2 / 4
        0.1733
    """

    def __init__(self, name: str = "cross_entropy", *, average: str = "rows", **options: Any) -> None:
        self.name = name
        self.average = require_choice("loss.average", average, AVERAGES)
        self.of_rows: RowFunction = check_options("loss", name, options)(**options)
        self._try()

    def _try(self) -> None:
        """Calls the loss once: one from another package that returns a mean would be silently wrong."""
        result = self.of_rows(torch.zeros(3, 2), torch.tensor([0, 1, 1]), torch.ones(2))
        if not isinstance(result, Tensor) or result.shape != (3,):
            shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise UserError(
                f"loss.name={self.name} returned {shape} for 3 rows; it must return the loss of each row, shape (3,)"
            )

    def check_balance(self, balance: str) -> None:
        """Checks that the average doesn't cancel out `data.balance`.

        Raises:
            UserError: Both would weight the classes, and the weights would cancel out.
        """
        if self.average == "classes" and balance == "loss_weight":
            raise UserError(
                "loss.average=classes already gives both classes the same weight, so data.balance=loss_weight would "
                "have no effect; use one of them"
            )

    def __call__(self, logits: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch: the mean of its `rows`. The reported loss of many batches is `scores.LossMean`.

        Args:
            logits: (B, 2), any float dtype; computed in float32.
            labels: (B,) int64, 0 or 1; any value where `valid` is False.
            valid: (B,) bool; rows that are False don't count.
            weights: (2,) weight of each class, or None; not with `average="classes"`.

        Returns:
            A scalar, float32.
        """
        return self.mean(self.rows(logits, labels, valid, weights=weights), labels, valid, weights=weights)

    def mean(self, rows: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            rows: (B,) losses from `rows`.
            labels: (B,) int64, 0 or 1; any value where `valid` is False.
            valid: (B,) bool; rows that are False don't count.
            weights: (2,) weight of each class, or None, as passed to `rows`.

        Returns:
            A scalar, float32.
        """
        totals, counted = by_class(rows, labels, valid, weights=weights)
        # torch's own mean is 0/0 if no row counts, and the gradient of that would reach the weights
        if self.average == "rows":
            return totals.sum() / counted.sum().clamp(min=_TINY)
        return (totals / counted.clamp(min=1)).sum() / (counted > 0).sum().clamp(min=1)

    def rows(self, logits: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> Tensor:
        """The loss of each row of a batch.

        Args:
            logits: (B, 2), any float dtype; computed in float32.
            labels: (B,) int64, 0 or 1; any value where `valid` is False.
            valid: (B,) bool; rows that are False don't count.
            weights: (2,) weight of each class, or None.

        Returns:
            (B,) float32 losses times the weight of their class; 0 where `valid` is False.
        """
        zero = torch.zeros((), device=logits.device)
        # masked before the loss and after it, so that NaN in an invalid row has a gradient of 0
        logits = torch.where(valid[:, None], logits.float(), zero)
        rows = self.of_rows(logits, torch.where(valid, labels, 0), weights)
        return torch.where(valid, rows, zero)


def build_losses(settings: Mapping[str, Any]) -> tuple[RowLoss, FeatureLoss]:
    """Builds the loss of the rows and the loss terms on features that are added to it.

    Args:
        settings: Arguments of `RowLoss` and `FeatureLoss`.

    Raises:
        UserError: One of them rejects its arguments.
    """
    added = {key: settings[key] for key in TERMS if key in settings}
    return RowLoss(**{key: value for key, value in settings.items() if key not in added}), FeatureLoss(**added)


def by_class(rows: Tensor, labels: Tensor, valid: Tensor, *, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The sums that a mean is computed from, so that those of several batches can be added up.

    Args:
        rows: (B,) losses from `RowLoss.rows`.
        labels: (B,) 0 or 1; any value where `valid` is False.
        valid: (B,) bool.
        weights: (2,) weight of each class, or None: 1.

    Returns:
        (2,) the sum of the losses of each class, and (2,) the sum of the weights of its rows.
    """
    # (B, 2) bool: whether a row is valid and of the class
    members = (labels[:, None] == torch.arange(2, device=labels.device)) & valid[:, None]
    counted = members.sum(dim=0).to(rows.dtype)
    return (rows[:, None] * members).sum(dim=0), counted if weights is None else counted * weights


def _check_gamma(gamma: float) -> None:
    require_number("loss.gamma", gamma)
    if not 0 <= gamma < float("inf"):
        raise UserError(f"loss.gamma={gamma} must be a number of at least 0; 2 is usual")


def _check_smoothing(label_smoothing: float) -> None:
    require_number("loss.label_smoothing", label_smoothing)
    if not 0 <= label_smoothing < 1:
        raise UserError(f"loss.label_smoothing={label_smoothing} must lie in [0, 1)")
