"""A training as the command makes it, and its parts for a bare loop."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from device import device, wait
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from addnet.config import build, build_all, plain
from addnet.data import DeepfakeDataModule
from addnet.data.transfer import finish
from addnet.train import build_module
from addnet.training import DeepfakeDetector
from addnet.training.loggers import close_loggers
from addnet.training.optim import build_optimizer

NEEDS = {"progress_bar": "rich", "comet": "comet_ml"}


class Stopwatch(pl.Callback):
    """Notes how long the last epoch of training and the test take.

    It waits for the device only where a time begins or ends.

    Args:
        skip: Steps of each epoch that do not count.

    Attributes:
        epoch: Seconds of the last epoch's training, from the start of its loader to the end of its last step.
        steps: Its steps.
        step: Seconds of a step, those that do not count left out.
        test: Seconds of the test, from the start of its loader until the metrics are there.
    """

    def __init__(self, skip: int = 0) -> None:
        self.skip = skip
        self.epoch = self.step = self.test = 0.0
        self.steps = 0
        self._began = self._counts = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        """An epoch begins."""
        self._began, self.steps = _now(), 0

    def on_train_batch_start(self, *_: Any) -> None:
        """A batch is there."""
        if self.steps == self.skip:
            self._counts = _now()
        self.steps += 1

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """After the last batch of an epoch, before validation."""
        if trainer.is_last_batch:
            end = _now()
            self.epoch = end - self._began
            self.step = (end - self._counts) / (self.steps - self.skip)

    def on_test_epoch_start(self, *_: Any) -> None:
        """The test begins."""
        self.test = -_now()

    def on_test_end(self, *_: Any) -> None:
        """The metrics are there."""
        self.test += _now()


def _now() -> float:
    wait()
    return time.perf_counter()


@dataclass
class Run:
    """What `python -m addnet.train` builds from a config.

    Attributes:
        cfg: The composed config.
        datamodule: Prepared.
        detector: The LightningModule.
    """

    cfg: DictConfig
    datamodule: DeepfakeDataModule
    detector: DeepfakeDetector

    @classmethod
    def of(cls, cfg: DictConfig) -> Run:
        """Builds them."""
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        datamodule: DeepfakeDataModule = build(cfg.data)
        datamodule.prepare_data()
        datamodule.setup()
        return cls(cfg, datamodule, build_module(cfg, datamodule))

    def trainer(self, stopwatch: Stopwatch) -> pl.Trainer:
        """With all default callbacks and loggers, but those whose package is not installed."""
        Path(self.cfg.paths.output_dir).mkdir(parents=True, exist_ok=True)
        groups = ({name: node for name, node in group.items() if _installed(name)} for group in self._groups())
        callbacks, loggers = map(build_all, groups)
        trainer: pl.Trainer = build(self.cfg.trainer, callbacks=[stopwatch, *callbacks], logger=False)
        trainer.loggers = loggers
        for logger in loggers:
            logger.log_hyperparams(plain(self.cfg))
        return trainer

    def _groups(self) -> tuple[Any, Any]:
        return self.cfg.callbacks or {}, self.cfg.logger or {}

    def fit(self, *, skip: int = 0) -> Stopwatch:
        """Trains through the Trainer."""
        stopwatch = Stopwatch(skip)
        trainer = self.trainer(stopwatch)
        trainer.fit(self.detector, self.datamodule)
        close_loggers(trainer.loggers, status="success")
        return stopwatch

    def test(self) -> float:
        """Tests through the Trainer: seconds of the epoch."""
        stopwatch = Stopwatch()
        trainer = self.trainer(stopwatch)
        trainer.test(self.detector, self.datamodule, verbose=False)
        close_loggers(trainer.loggers, status="success")
        return stopwatch.test

    def batches(self) -> Iterator[dict[str, Any]]:
        """Training batches on the device, without a Trainer."""
        for batch in torch.utils.data.DataLoader.__iter__(self.datamodule.train_dataloader()):
            tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
            yield finish(batch | {name: value.to(device(), non_blocking=True) for name, value in tensors.items()})

    def bare(self) -> BareLoop:
        """A loop of one's own with the same network, precision, layout and optimiser."""
        net = self.detector.net.to(device()).train()
        if self.cfg.compile:
            net.compile()
        optimizer = build_optimizer(net, plain(self.cfg.optimizer))
        return BareLoop(net, optimizer, self.detector.memory_format, bfloat16="bf16" in str(self.cfg.trainer.precision))


@dataclass
class BareLoop:
    """Steps without a framework."""

    net: nn.Module
    optimizer: Optimizer
    memory_format: torch.memory_format
    bfloat16: bool

    @classmethod
    def of(cls, net: nn.Module, memory_format: torch.memory_format, *, bfloat16: bool = False) -> BareLoop:
        """With torch's own Adam."""
        return cls(net, torch.optim.Adam(net.parameters()), memory_format, bfloat16)

    def step(self, image: Tensor, mask: Tensor, label: Tensor) -> None:
        """One training step."""
        with self.precision():
            logits = self.net(image.contiguous(memory_format=self.memory_format), mask)
            loss = nn.functional.cross_entropy(logits, label)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def precision(self) -> Any:
        """The context of mixed precision, if there is any."""
        return torch.autocast(device().type, torch.bfloat16) if self.bfloat16 else nullcontext()


def made_up_batch(count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random images, masks and labels on the device."""
    image = torch.rand(count, 3, size, size, device=device()) * 2 - 1
    mask = torch.rand(count, 1, size, size, device=device())
    return image.contiguous(memory_format=torch.channels_last), mask, torch.arange(count, device=device()) % 2


def _installed(name: str) -> bool:
    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None
