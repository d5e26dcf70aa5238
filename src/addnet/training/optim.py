"""Optimiser and schedule from plain settings, by names that a checkpoint may carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from addnet.errors import UserError, require_choice

SCHEDULERS = ("none", "cosine", "onecycle", "plateau")


def parameter_groups(net: nn.Module, *, weight_decay: float, sigma_lr: float) -> list[dict[str, Any]]:
    """The network's parameters, the bandpass sigmas apart.

    Two numbers that are worth pixels hardly move at a learning rate made for weights, and decay would pull them
    towards a filter that nobody chose: they get a rate of their own and no decay.
    """
    of_sigmas: Callable[[], Iterable[nn.Parameter]] = getattr(net, "sigma_parameters", tuple)
    sigmas = list(of_sigmas())
    apart = {id(parameter) for parameter in sigmas}
    weights = [p for p in net.parameters() if p.requires_grad and id(p) not in apart]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": weight_decay, "name": "weights"}]
    sigmas = [parameter for parameter in sigmas if parameter.requires_grad]
    if sigmas:
        groups.append({"params": sigmas, "weight_decay": 0.0, "lr": sigma_lr, "name": "sigmas"})
    return groups


def build_optimizer(net: nn.Module, settings: Mapping[str, Any]) -> Optimizer:
    """Builds an optimiser.

    Args:
        net: With `sigma_parameters()` if it has a bandpass layer.
        settings: `name` (any in timm's registry), `lr`, `weight_decay`, `sigma_lr`; further keys go to the
            optimiser.

    Raises:
        UserError: The name is unknown or a key does not belong to it.
    """
    options = dict(settings)
    name, lr, weight_decay = options.pop("name"), options.pop("lr"), options.pop("weight_decay", 0.0)
    groups = parameter_groups(net, weight_decay=weight_decay, sigma_lr=options.pop("sigma_lr", lr))
    require_choice("optimizer.name", name, map(str, list_optimizers()))
    try:
        optimizer: Optimizer = create_optimizer_v2(groups, opt=name, lr=lr, weight_decay=weight_decay, **options)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer {name} refuses its settings {dict(settings)}: {error}") from error
    return optimizer


def build_scheduler(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int
) -> dict[str, Any] | None:
    """Builds a schedule as Lightning takes it; None for a constant rate.

    Args:
        optimizer: Its groups keep their ratio of rates.
        settings: `name` in `SCHEDULERS` and its keys; see `configs/scheduler/`.
        total_steps: Optimiser steps of the whole training.
        steps_per_epoch: Optimiser steps of one epoch.

    Raises:
        UserError: The name is unknown, or the length of the training is.
    """
    name = require_choice("scheduler.name", settings["name"], SCHEDULERS)
    if name == "none":
        return None
    if name == "plateau":
        plateau = ReduceLROnPlateau(
            optimizer, mode=settings["mode"], factor=settings["factor"], patience=settings["patience"]
        )
        return {"scheduler": plateau, "interval": "epoch", "monitor": settings["monitor"]}
    if total_steps < 1 or not math.isfinite(total_steps):
        raise UserError(f"scheduler {name} needs to know the end: set trainer.max_epochs or trainer.max_steps")
    return {
        "scheduler": _by_steps(optimizer, settings, total_steps=total_steps, steps_per_epoch=steps_per_epoch),
        "interval": "step",
    }


def _by_steps(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int
) -> LRScheduler:
    if settings["name"] == "onecycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        # momentum stays: cycling it too is a second experiment
        return OneCycleLR(
            optimizer,
            max_lr=rates,
            total_steps=total_steps,
            pct_start=settings["warmup"],
            cycle_momentum=False,
        )
    warmup = min(round(settings["warmup_epochs"] * steps_per_epoch), total_steps - 1)
    floor = settings["min_lr_factor"]

    def factor(step: int) -> float:
        if step < warmup:
            return float((step + 1) / (warmup + 1))
        progress = (step - warmup) / max(1, total_steps - warmup)
        return float(floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))

    return LambdaLR(optimizer, factor)
