"""Finds errors in the training settings of a config by trying them without data, weights or a server."""

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

_STEPS = 100  # stands in for the length of the training, which depends on its data
_NEEDED = {  # packages of which one is needed, and the argument of pip install
    "CometLogger": (("comet_ml",), "comet_ml"),
    "TensorBoardLogger": (("tensorboard", "tensorboardX"), "'addnet[tensorboard]'"),
    "WandbLogger": (("wandb",), "'addnet[wandb]'"),
    "MLFlowLogger": (("mlflow",), "'addnet[mlflow]'"),
}


def check_rates(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Builds the optimiser and the schedule once, only to find errors.

    Raises:
        UserError: One of them rejects its settings, or the schedule needs the length of the training and it isn't set.
    """
    optimizer = build_optimizer(module.net, module.optimizer_settings)
    endless = trainer.max_epochs in (-1, None) and trainer.max_steps == -1
    steps = ENDLESS if endless else _STEPS
    build_schedulers(optimizer, module.scheduler_settings, total_steps=steps, steps_per_epoch=1)


def check_average(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Checks that it is known in advance which epochs are averaged.

    Raises:
        UserError: It isn't known.
    """
    if module.average:
        module.average.check_trainer(trainer)


def check_monitors(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Checks that the monitored validation metrics exist; otherwise the error would come after the first epoch.

    Raises:
        UserError: A monitored metric doesn't exist.
    """
    known = ["val/frame/loss", *(f"val/{level}/{name}" for level in ("frame", "video") for name in LOGGED)]
    watched = {"scheduler.monitor": module.scheduler_settings.get("monitor")}
    watched |= {f"{type(c).__name__}.monitor": getattr(c, "monitor", None) for c in trainer.callbacks}  # type: ignore[attr-defined]
    for option, name in watched.items():
        if str(name).startswith("val/") and name not in known:
            raise UserError(
                f"{option}={name} is not a validation metric; choose one of: {', '.join(known)}."
                f"{suggestion(name, known)}"
            )


def check_checkpoints(module: DeepfakeDetector, trainer: pl.Trainer) -> None:
    """Checks that checkpoints with `trained_only` can hold the trained part alone.

    Raises:
        UserError: A checkpoint can't hold it alone.
    """
    for callback in trainer.checkpoint_callbacks:
        if getattr(callback, "trained_only", False):
            name = getattr(callback, "filename", None)
            check_trained_only(f"callbacks.{name}.trained_only", module, str(trainer.precision))


def check_loggers(nodes: Mapping[str, Any] | None) -> None:
    """Checks that the packages of the loggers are installed, without starting a logger.

    Args:
        nodes: The config group `logger`.

    Raises:
        UserError: A package isn't installed.
    """
    for name, node in (nodes or {}).items():
        packages, remedy = _NEEDED.get(str(node["_target_"]).rpartition(".")[2], ((), ""))
        if packages and not any(find_spec(package) for package in packages):
            raise UserError(
                f"logger={name} needs a package that isn't installed: run pip install {remedy}, or use another logger, "
                "such as logger=csv"
            )
