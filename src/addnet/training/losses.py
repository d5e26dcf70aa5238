"""The loss of a batch in which some rows may not count: any loss by row, averaged over rows or classes."""

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
# class; rows that don't count come with logits of 0 and get no gradient
RowFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class CrossEntropy:
    """Cross-entropy of each row.

    Args:
        label_smoothing: In [0, 1).
        gamma: Has no effect; configs of earlier versions name it with either loss.

    Raises:
        UserError: An option lies outside these values.
    """

    def __init__(self, *, label_smoothing: float = 0.0, gamma: float = 2.0) -> None:
        _check_gamma(gamma)
        _check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """Takes and gives what a `RowFunction` does."""
        return functional.cross_entropy(
            logits, labels, weight=weights, label_smoothing=self.label_smoothing, reduction="none"
        )


class FocalLoss:
    """Cross-entropy of each row times (1 − p)^gamma, p being the probability of its true class.

    Rows that are right already count less (Lin et al. 2017, arXiv 1708.02002, equation 4).

    Args:
        gamma: At least 0; 0 is cross-entropy.
        label_smoothing: 0, for the formula needs one true class a row.

    Raises:
        UserError: An option lies outside these values.
    """

    def __init__(self, *, gamma: float = 2.0, label_smoothing: float = 0.0) -> None:
        _check_gamma(gamma)
        _check_smoothing(label_smoothing)
        if label_smoothing:
            raise UserError(
                f"loss.label_smoothing={label_smoothing} does not go with loss.name=focal, which needs one true "
                "class a row; use loss.label_smoothing=0 or loss.name=cross_entropy"
            )
        self.gamma = gamma

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """Takes and gives what a `RowFunction` does."""
        rows = functional.cross_entropy(logits, labels, reduction="none")
        # 1 − p; never 0, where the slope of a power below 1 is infinite
        rows = rows * (-torch.expm1(-rows)).clamp(min=_TINY) ** self.gamma
        return rows if weights is None else rows * weights[labels]


# with those that other packages register: see addnet.registry
LOSSES = declared("loss", {"cross_entropy": CrossEntropy, "focal": FocalLoss})


class RowLoss:
    """Loss over the rows that count; 0 with a gradient of 0 where none does.

    Args:
        name: `cross_entropy`, `focal`, or what another package registered.
        average: `rows`, or `classes`: real and fake apart, then the mean over those that the batch holds.
        options: Of the loss of that name: see `CrossEntropy` and `FocalLoss`.

    Raises:
        UserError: An option is unknown or lies outside its values, or two of them exclude each other.

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
        """Asks once, for losses of other packages: a mean instead of rows would be wrong in silence."""
        given = self.of_rows(torch.zeros(3, 2), torch.tensor([0, 1, 1]), torch.ones(2))
        if not isinstance(given, Tensor) or given.shape != (3,):
            shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise UserError(f"loss.name={self.name} gave {shape} for 3 rows; it has to give the loss of each, (3,)")

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
        zero = torch.zeros((), device=logits.device)
        logits = torch.where(valid[:, None], logits.float(), zero)  # before and behind: gradients of 0 also of nan
        rows = self.of_rows(logits, torch.where(valid, labels, 0), weights)
        return torch.where(valid, rows, zero)


def build_losses(settings: Mapping[str, Any]) -> tuple[RowLoss, FeatureLoss]:
    """The loss of rows and what is added to it about features.

    Args:
        settings: Arguments of `RowLoss` and `FeatureLoss`.

    Raises:
        UserError: One of them refuses its arguments.
    """
    added = {key: settings[key] for key in TERMS if key in settings}
    return RowLoss(**{key: value for key, value in settings.items() if key not in added}), FeatureLoss(**added)


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


def _check_gamma(gamma: float) -> None:
    require_number("loss.gamma", gamma)
    if not 0 <= gamma < float("inf"):
        raise UserError(f"loss.gamma={gamma} must be a number of at least 0; 2 is usual")


def _check_smoothing(label_smoothing: float) -> None:
    require_number("loss.label_smoothing", label_smoothing)
    if not 0 <= label_smoothing < 1:
        raise UserError(f"loss.label_smoothing={label_smoothing} must lie in [0, 1)")
