"""Builds optimiser and schedule from plain settings, by names that a checkpoint can hold."""

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

UNTIMED = ("none", "plateau")  # all other schedules need the number of steps
_NUMBERS = {
    "cosine": ("warmup_epochs", "min_lr_factor"),
    "onecycle": ("warmup",),
    "plateau": ("factor", "patience", "warmup_epochs"),
}
ENDLESS = 2**62  # number of steps of a training without limit


def parameter_groups(
    net: nn.Module, *, weight_decay: float, sigma_lr: float, lr: float = 0.0, layer_decay: float | None = None
) -> list[dict[str, Any]]:
    """Groups the network's parameters, with the bandpass sigmas in a group of their own.

    The sigmas are two numbers in pixels: they hardly move at a learning rate made for weights, and weight decay would
    pull them towards an arbitrary filter. They get their own learning rate and no decay.

    Args:
        net: A network with `sigma_parameters()` if it has a bandpass layer, and with `stages()` for `layer_decay`.
        weight_decay: Weight decay of everything but the sigmas.
        sigma_lr: Learning rate of the sigmas.
        lr: Learning rate of the head, if `layer_decay` is set.
        layer_decay: Factor on the learning rate from each stage to the one before it; None uses one rate for all.

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
    """Yields name, parameters and learning rate of each group; no rate if all groups share one."""
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
        net: A network with `sigma_parameters()` if it has a bandpass layer.
        settings: `name` (any in timm's registry), `lr`, `weight_decay`, `sigma_lr`, `layer_decay`; `sam_rho` is for
            `SharpnessAware`; further keys are passed to the optimiser.

    Raises:
        UserError: The name is unknown, or the optimiser doesn't accept a key.
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
        raise UserError(f"optimizer {name} rejects its settings {dict(settings)}: {error}") from error
    return optimizer


def build_schedulers(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int
) -> list[dict[str, Any]]:
    """Builds schedules in Lightning's form; an empty list for a constant learning rate.

    Args:
        optimizer: The optimiser; the ratios between the learning rates of its groups are kept.
        settings: `name` of a schedule and its keys; see `configs/scheduler/`.
        total_steps: Optimiser steps of the whole training.
        steps_per_epoch: Optimiser steps of one epoch.

    Raises:
        UserError: The name or the length of the training is unknown, or a setting is missing or rejected.
    """
    name = settings["name"]
    maker = maker_of("schedule", name)
    for key in _NUMBERS.get(name, ()):
        if key not in settings:
            raise UserError(f"scheduler.name={name} needs scheduler.{key}; use scheduler={name}, which sets all keys")
        require_number(f"scheduler.{key}", settings[key])
        if settings[key] < 0:
            raise UserError(f"scheduler.{key}={settings[key]} must be at least 0")
    if name not in UNTIMED and not 1 <= total_steps < ENDLESS:
        raise UserError(
            f"scheduler {name} needs the length of the training: set trainer.max_epochs or trainer.max_steps"
        )
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
        cycle_momentum=False,  # only the learning rate is scheduled
    )
    return [{"scheduler": schedule, "interval": "step"}]


def _cosine(
    optimizer: Optimizer, settings: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int
) -> list[dict[str, Any]]:
    cycle = settings.get("cycle_epochs")
    require_number("scheduler.cycle_epochs", cycle, optional=True)
    if cycle is not None and not 0 < cycle < math.inf:
        raise UserError(
            f"scheduler.cycle_epochs={cycle} must be a number above 0; with null the learning rate falls only once"
        )
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
        raise UserError(f"scheduler plateau rejects its settings {dict(settings)}: {error}") from error


def _plateau(optimizer: Optimizer, settings: Mapping[str, Any], *, steps_per_epoch: int) -> list[dict[str, Any]]:
    """An optional linear warm-up by steps, and reductions on a plateau; each multiplies the current learning rate.

    Lightning 2.6.6 would step the latter after the checkpoint of the epoch is written, so that a resumed run would
    miss that epoch's metric; `step_plateau` steps it instead.
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
    """Updates a plateau schedule, if there is one, with the metrics of a validation.

    Raises:
        UserError: The metric that it monitors isn't among them.
    """
    for config in trainer.lr_scheduler_configs:
        if not isinstance(config.scheduler, ReduceLROnPlateau):
            continue
        if config.monitor is None or config.monitor not in metrics:
            raise UserError(
                f"scheduler.monitor={config.monitor} is not a validation metric; use one of: {', '.join(metrics)}"
            )
        config.scheduler.step(metrics[config.monitor])


class _Cosine:
    """Factor on the learning rate at a step; an object, so that torch keeps its plain values in a checkpoint.

    With `cycle`, the schedule restarts after every `cycle` steps, warm-up included (warm restarts, Loshchilov and
    Hutter 2017, arXiv 1608.03983).
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
# includes the schedules that other packages register: see addnet.registry
SCHEDULERS = declared("schedule", _OWN)


def check_length(trainer: pl.Trainer) -> None:
    """Checks that a schedule from a checkpoint was made for as many steps as this training has.

    Raises:
        UserError: The numbers differ: the learning rate would jump, or the schedule end before the training.
    """
    now = int(min(trainer.estimated_stepping_batches, ENDLESS))
    for config in trainer.lr_scheduler_configs:
        schedule = config.scheduler
        of_cosine = [part for part in getattr(schedule, "lr_lambdas", []) if isinstance(part, _Cosine)]
        planned = (of_cosine[0] if of_cosine else schedule).__dict__.get("total_steps", now)
        if planned != now:
            raise UserError(
                f"the checkpoint restores a schedule of {count(planned, 'step')}, but this training has {now}: "
                "resume with the same number of processes, data.batch_size, trainer.accumulate_grad_batches, "
                "trainer.limit_train_batches and training data, or start a new run from its backbone with "
                f"model.weights={trainer.ckpt_path} and without ckpt_path."
            )
