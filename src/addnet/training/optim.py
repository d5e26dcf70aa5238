"""Optimiser and schedule from plain settings, by names that a checkpoint may carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR, OneCycleLR, ReduceLROnPlateau

from addnet.errors import UserError, require_choice
from addnet.registry import check_options, declared, maker_of
from addnet.signatures import require_number
from addnet.wording import count

if TYPE_CHECKING:
    import pytorch_lightning as pl

UNTIMED = ("none", "plateau")  # the others are made for a number of steps
_NUMBERS = {
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
        settings: `name` (any in timm's registry), `lr`, `weight_decay`, `sigma_lr`, `layer_decay`; `sam_rho` is for
            `SharpnessAware`; further keys go to the optimiser.

    Raises:
        UserError: The name is unknown or a key does not belong to it.
    """
    options = {key: value for key, value in settings.items() if key != "sam_rho"}
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
        settings: `name` of a schedule and its keys; see `configs/scheduler/`.
        total_steps: Optimiser steps of the whole training.
        steps_per_epoch: Optimiser steps of one epoch.

    Raises:
        UserError: The name or the length of the training is unknown, or a setting is missing or refused.
    """
    name = settings["name"]
    maker = maker_of("schedule", name)
    for key in _NUMBERS.get(name, ()):
        if key not in settings:
            raise UserError(f"scheduler.name={name} needs scheduler.{key}; scheduler={name} brings all that it needs")
        require_number(f"scheduler.{key}", settings[key])
        if settings[key] < 0:
            raise UserError(f"scheduler.{key}={settings[key]} must be at least 0")
    if name not in UNTIMED and not 1 <= total_steps < ENDLESS:
        raise UserError(f"scheduler {name} needs to know the end: set trainer.max_epochs or trainer.max_steps")
    length = {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
    if maker in _OWN.values():
        return list(maker(optimizer, settings, **length))
    options = {key: value for key, value in settings.items() if key != "name"}
    check_options("schedule", name, options, given=("optimizer", *length))
    return [{"scheduler": maker(optimizer=optimizer, **length, **options), "interval": "step"}]


def _constant(optimizer: Optimizer, settings: Mapping[str, Any], **length: int) -> list[dict[str, Any]]:
    return []


def _onecycle(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, **length: int
) -> list[dict[str, Any]]:
    if settings["warmup"] > 1:
        raise UserError(f"scheduler.warmup={settings['warmup']} of onecycle is a share of the training, in [0, 1]")
    schedule = OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=settings["warmup"],
        cycle_momentum=False,  # cycling it too is a second experiment
    )
    return [{"scheduler": schedule, "interval": "step"}]


def _cosine(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int
) -> list[dict[str, Any]]:
    cycle = settings.get("cycle_epochs")
    require_number("scheduler.cycle_epochs", cycle, optional=True)
    if cycle is not None and not 0 < cycle < math.inf:
        raise UserError(f"scheduler.cycle_epochs={cycle} must be a number above 0; null: the rate falls once")
    length = total_steps if cycle is None else max(1, round(cycle * steps_per_epoch))
    warmup = min(round(settings["warmup_epochs"] * steps_per_epoch), length - 1)
    factor = _Cosine(warmup, total_steps, settings["min_lr_factor"], None if cycle is None else length)
    return [{"scheduler": LambdaLR(optimizer, factor), "interval": "step"}]


def _reduced(
    optimizer: Optimizer, settings: Mapping[str, Any], *, steps_per_epoch: int, **length: int
) -> list[dict[str, Any]]:
    try:
        return _plateau(optimizer, settings, steps_per_epoch=steps_per_epoch)
    except (KeyError, ValueError) as error:
        raise UserError(f"scheduler plateau refuses its settings {dict(settings)}: {error}") from error


def _plateau(optimizer: Optimizer, settings: Mapping[str, Any], *, steps_per_epoch: int) -> list[dict[str, Any]]:
    """A linear warm-up by steps, if there is one, and reductions; either multiplies the rate that it finds.

    Lightning 2.6.6 would step the second after the checkpoint of the epoch was written, and a resumed run would
    never know of that epoch's metric: it is left to `step_plateau`.
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


def step_plateau(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """Tells a plateau schedule, if there is one, the metrics of a validation.

    Raises:
        UserError: The metric that it watches is not among them.
    """
    for config in trainer.lr_scheduler_configs:
        if not isinstance(config.scheduler, ReduceLROnPlateau):
            continue
        if config.monitor is None or config.monitor not in metrics:
            raise UserError(
                f"scheduler.monitor={config.monitor} is no metric of validation; there are: {', '.join(metrics)}"
            )
        config.scheduler.step(metrics[config.monitor])


class _Cosine:
    """Factor on the rate at a step; an object, so that torch keeps its plain values in a checkpoint.

    With a `cycle` of so many steps it begins anew after each, warm-up included (warm restarts, Loshchilov and Hutter
    2017, arXiv 1608.03983).
    """

    def __init__(self, warmup: int, total_steps: int, floor: float, cycle: int | None = None) -> None:
        self.warmup, self.total_steps, self.floor, self.cycle = warmup, total_steps, floor, cycle

    def __call__(self, step: int) -> float:
        length = self.cycle or self.total_steps
        step = step % length if self.cycle else step
        if step < self.warmup:
            return float((step + 1) / (self.warmup + 1))
        progress = (step - self.warmup) / max(1, length - self.warmup)
        return float(self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


_OWN: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "none": _constant,
    "cosine": _cosine,
    "onecycle": _onecycle,
    "plateau": _reduced,
}
# with those that other packages register: see addnet.registry
SCHEDULERS = declared("schedule", _OWN)


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
