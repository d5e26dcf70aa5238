"""What a config has wrong in how it trains, found by trying it without data, weights or a server."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl

from addnet.errors import UserError, suggestion
from addnet.evaluation.table import LOGGED
from addnet.training.module import DeepfakeDetector
from addnet.training.optim import ENDLESS, build_optimizer, build_schedulers
from addnet.training.trained_part import check_trained_only

_STEPS = 100  # of a training whose length is known once its data are
_NEEDED = {  # packages, of which one is needed, and how to get it
    "CometLogger": (("comet_ml",), "comet_ml"),
    "TensorBoardLogger": (("tensorboard", "tensorboardX"), "'addnet[tensorboard]'"),
    "WandbLogger": (("wandb",), "'addnet[wandb]'"),
    "MLFlowLogger": (("mlflow",), "'addnet[mlflow]'"),
}


def check_rates(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Builds optimiser and schedule once, for nothing but their errors.

    Raises:
        UserError: One of them refuses its settings, or the length of the training isn't set where it matters.
    """
    optimizer = build_optimizer(module.net, module.optimizer_settings)
    endless = trainer.max_epochs in (-1, None) and trainer.max_steps == -1
    steps = ENDLESS if endless else _STEPS
    build_schedulers(optimizer, module.scheduler_settings, total_steps=steps, steps_per_epoch=1)


def check_average(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Looks whether the epochs that are averaged are known.

    Raises:
        UserError: They aren't.
    """
    if module.average:
        module.average.check_trainer(trainer)


def check_monitors(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Looks whether the metrics of validation that are watched exist; it would be noticed after the first epoch.

    Raises:
        UserError: One doesn't.
    """
    known = ["val/frame/loss", *(f"val/{level}/{name}" for level in ("frame", "video") for name in LOGGED)]
    watched = {"scheduler.monitor": module.scheduler_settings.get("monitor")}
    watched |= {f"{type(c).__name__}.monitor": getattr(c, "monitor", None) for c in trainer.callbacks}  # type: ignore[attr-defined]
    for option, name in watched.items():
        if str(name).startswith("val/") and name not in known:
            raise UserError(
                f"{option}={name} is no metric of validation; choose one of: {', '.join(known)}."
                f"{suggestion(name, known)}"
            )


def check_checkpoints(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Looks whether checkpoints can hold the trained part alone, where that is asked for.

    Raises:
        UserError: One can't.
    """
    for callback in trainer.checkpoint_callbacks:
        if getattr(callback, "trained_only", False):
            name = getattr(callback, "filename", None)
            check_trained_only(f"callbacks.{name}.trained_only", module, str(trainer.precision))


def check_loggers(nodes: Mapping[str, Any] | None) -> None:
    """Looks whether the packages of the loggers are there, without starting any.

    Args:
        nodes: The config group `logger`.

    Raises:
        UserError: One is not.
    """
    for name, node in (nodes or {}).items():
        packages, remedy = _NEEDED.get(str(node["_target_"]).rpartition(".")[2], ((), ""))
        if packages and not any(find_spec(package) for package in packages):
            raise UserError(
                f"logger={name} needs a package that is not installed: pip install {remedy}, or take another logger, "
                "such as logger=csv"
            )
