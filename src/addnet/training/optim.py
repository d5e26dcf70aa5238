"""Optimiser and schedule from plain settings, by names that a checkpoint may carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from addnet.errors import UserError, require_choice
from addnet.signatures import require_number
from addnet.wording import count

SCHEDULERS = ("none", "cosine", "onecycle", "plateau")
TIMED = ("cosine", "onecycle")  # those that are made for a number of steps
_NUMBERS = {
    "none": (),
    "cosine": ("warmup_epochs", "min_lr_factor"),
    "onecycle": ("warmup",),
    "plateau": ("factor", "patience", "warmup_epochs"),
}
ENDLESS = 2**62  # steps of a training without an end


def parameter_groups(
    net: nn.Module, *, weight_decay: float, sigma_lr: float, lr: float = 0.0, layer_decay: float | None = None
) -> list[dict[str, Any]]:
    """The network's parameters, the bandpass sigmas apart.

    Two numbers that are worth pixels hardly move at a learning rate made for weights, and decay would pull them
    towards a filter that nobody chose: they get a rate of their own and no decay.

    Args:
        net: With `sigma_parameters()` if it has a bandpass layer, and with `stages()` for `layer_decay`.
        weight_decay: Of everything but the sigmas.
        sigma_lr: Rate of the sigmas.
        lr: Rate of the head, where there is a `layer_decay`.
        layer_decay: Factor on the rate from one stage to the one before it; None: one rate for all.

    Returns:
        One group `weights`, or one `weights.<stage>` for each stage, the head first; then `sigmas`.
    """
    of_sigmas: Callable[[], Iterable[nn.Parameter]] = getattr(net, "sigma_parameters", tuple)
    sigmas = list(of_sigmas())
    apart = {id(parameter) for parameter in sigmas}
    groups: list[dict[str, Any]] = []
    for name, parameters, rate in _weights(net, lr, layer_decay):
        weights = [p for p in parameters if p.requires_grad and id(p) not in apart]
        if weights:
            groups.append({"params": weights, "weight_decay": weight_decay, "name": name} | rate)
    sigmas = [parameter for parameter in sigmas if parameter.requires_grad]
    if sigmas:
        groups.append({"params": sigmas, "weight_decay": 0.0, "lr": sigma_lr, "name": "sigmas"})
    return groups


def _weights(
    net: nn.Module, lr: float, layer_decay: float | None
) -> Iterator[tuple[str, Iterable[nn.Parameter], dict[str, float]]]:
    """Name, parameters and rate of each group; no rate where there is one for all."""
    if layer_decay is None:
        yield "weights", net.parameters(), {}
        return
    if not 0 < layer_decay <= 1:
        raise UserError(f"optimizer.layer_decay={layer_decay} must lie in (0, 1]; 0.75 is usual, null switches it off")
    for depth, (stage, _, parameters) in enumerate(reversed(list(net.stages()))):  # type: ignore[operator]
        yield f"weights.{stage}", parameters, {"lr": lr * layer_decay**depth}


def build_optimizer(net: nn.Module, settings: Mapping[str, Any]) -> Optimizer:
    """Builds an optimiser.

    Args:
        net: With `sigma_parameters()` if it has a bandpass layer.
        settings: `name` (any in timm's registry), `lr`, `weight_decay`, `sigma_lr`, `layer_decay`; further
            keys go to the optimiser.

    Raises:
        UserError: The name is unknown or a key does not belong to it.
    """
    options = dict(settings)
    for key in ("lr", "weight_decay", "sigma_lr"):
        require_number(f"optimizer.{key}", options.get(key, 0.0))
    require_number("optimizer.layer_decay", options.get("layer_decay"), optional=True)
    name, lr, weight_decay = options.pop("name"), options.pop("lr"), options.pop("weight_decay", 0.0)
    groups = parameter_groups(
        net,
        weight_decay=weight_decay,
        sigma_lr=options.pop("sigma_lr", lr),
        lr=lr,
        layer_decay=options.pop("layer_decay", None),
    )
    require_choice("optimizer.name", name, map(str, list_optimizers()))
    try:
        optimizer: Optimizer = create_optimizer_v2(groups, opt=name, lr=lr, weight_decay=weight_decay, **options)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer {name} refuses its settings {dict(settings)}: {error}") from error
    return optimizer


def build_schedulers(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int
) -> list[dict[str, Any]]:
    """Builds schedules as Lightning takes them; none for a constant rate.

    Args:
        optimizer: Its groups keep their ratio of rates.
        settings: `name` in `SCHEDULERS` and its keys; see `configs/scheduler/`.
        total_steps: Optimiser steps of the whole training.
        steps_per_epoch: Optimiser steps of one epoch.

    Raises:
        UserError: The name or the length of the training is unknown, or a setting is missing or refused.
    """
    name = require_choice("scheduler.name", settings["name"], SCHEDULERS)
    for key in _NUMBERS[name]:
        if key not in settings:
            raise UserError(f"scheduler.name={name} needs scheduler.{key}; scheduler={name} brings all that it needs")
        require_number(f"scheduler.{key}", settings[key])
        if settings[key] < 0:
            raise UserError(f"scheduler.{key}={settings[key]} must be at least 0")
    if name == "none":
        return []
    if name == "plateau":
        try:
            return _plateau(optimizer, settings, steps_per_epoch=steps_per_epoch)
        except (KeyError, ValueError) as error:
            raise UserError(f"scheduler plateau refuses its settings {dict(settings)}: {error}") from error
    if not 1 <= total_steps < ENDLESS:
        raise UserError(f"scheduler {name} needs to know the end: set trainer.max_epochs or trainer.max_steps")
    if name == "onecycle" and settings["warmup"] > 1:
        raise UserError(f"scheduler.warmup={settings['warmup']} of onecycle is a share of the training, in [0, 1]")
    schedule = _by_steps(optimizer, settings, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    return [{"scheduler": schedule, "interval": "step"}]


def _plateau(optimizer: Optimizer, settings: Mapping[str, Any], *, steps_per_epoch: int) -> list[dict[str, Any]]:
    """A linear warm-up by steps, if there is one, and reductions; either multiplies the rate that it finds.

    Lightning 2.6.6 would step the second after the checkpoint of the epoch was written, and a resumed run would
    never know of that epoch's figure: it is left to `step_plateau`.
    """
    schedules: list[dict[str, Any]] = []
    if warmup := round(settings["warmup_epochs"] * steps_per_epoch):
        rising = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        schedules.append({"scheduler": rising, "interval": "step"})
    reducing = ReduceLROnPlateau(
        optimizer, mode=settings["mode"], factor=settings["factor"], patience=settings["patience"]
    )
    never = {"interval": "epoch", "frequency": ENDLESS}
    return [*schedules, {"scheduler": reducing, "monitor": settings["monitor"]} | never]


def step_plateau(trainer: pl.Trainer, figures: Mapping[str, float]) -> None:
    """Tells a plateau schedule, if there is one, the figures of a validation.

    Raises:
        UserError: The figure that it watches is not among them.
    """
    for config in trainer.lr_scheduler_configs:
        if not isinstance(config.scheduler, ReduceLROnPlateau):
            continue
        if config.monitor is None or config.monitor not in figures:
            raise UserError(
                f"scheduler.monitor={config.monitor} is no figure of validation; there are: {', '.join(figures)}"
            )
        config.scheduler.step(figures[config.monitor])


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
    return LambdaLR(optimizer, _Cosine(warmup, total_steps, settings["min_lr_factor"]))


class _Cosine:
    """Factor on the rate at a step; an object, so that torch keeps its plain values in a checkpoint."""

    def __init__(self, warmup: int, total_steps: int, floor: float) -> None:
        self.warmup, self.total_steps, self.floor = warmup, total_steps, floor

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return float((step + 1) / (self.warmup + 1))
        progress = (step - self.warmup) / max(1, self.total_steps - self.warmup)
        return float(self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def check_length(trainer: pl.Trainer) -> None:
    """Compares the steps that a schedule was made for, in the checkpoint it came from, with those of this training.

    Raises:
        UserError: They differ: the rate would jump, or the schedule end before the training.
    """
    now = int(min(trainer.estimated_stepping_batches, ENDLESS))
    for config in trainer.lr_scheduler_configs:
        schedule = config.scheduler
        of_cosine = [part for part in getattr(schedule, "lr_lambdas", []) if isinstance(part, _Cosine)]
        planned = (of_cosine[0] if of_cosine else schedule).__dict__.get("total_steps", now)
        if planned != now:
            raise UserError(
                f"the checkpoint brings back a schedule of {count(planned, 'step')}, and this training has {now}: "
                "resume with the same number of processes, data.batch_size, trainer.accumulate_grad_batches, "
                "trainer.limit_train_batches and training data, or start anew from its backbone with "
                f"model.weights={trainer.ckpt_path} and without ckpt_path."
            )
