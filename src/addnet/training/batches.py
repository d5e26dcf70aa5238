"""How many images make an optimiser step, how many steps an epoch, and how few a network can learn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from addnet.errors import UserError
from addnet.models import create_model
from addnet.models.registry import without_start_weights
from addnet.training.optim import ENDLESS
from addnet.wording import count


def steps_per_epoch(trainer: pl.Trainer) -> int:
    """Optimiser steps of one epoch: Lightning also steps on the last batch of an epoch, however few were accumulated.

    Needed while optimisers are configured, when the loader may not be there yet.
    """
    trainer.fit_loop.setup_data()  # `estimated_stepping_batches` leaves it out with max_steps alone (Lightning 2.6.6)
    batches = min(trainer.num_training_batches, ENDLESS)
    return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def describe_batches(trainer: pl.Trainer) -> str:
    """One line: the effective batch size, what it is made of, and the optimiser steps of an epoch."""
    images = getattr(trainer.train_dataloader, "batch_size", None) or 1
    processes, accumulated = trainer.world_size, trainer.accumulate_grad_batches
    each = f"{processes} {'processes' if processes > 1 else 'process'}"
    return (
        f"effective batch size {images * processes * accumulated} = {count(images, 'image')} × {each} × "
        f"{accumulated} accumulated; {count(steps_per_epoch(trainer), 'optimiser step')} an epoch"
    )


def check_single_rows(model: Mapping[str, Any], image_size: int) -> None:
    """Refuses batches of one image where batch normalisation has nothing to average over.

    Args:
        model: `name` of a network and its arguments.
        image_size: Side of the images in pixels.

    Raises:
        UserError: A feature map is of one pixel, so that with one image each channel has a single value.
    """
    options = without_start_weights(model)
    single: list[str] = []
    with torch.random.fork_rng(devices=[]), torch.inference_mode():  # the run's own random numbers stay as they are
        net = create_model(options.pop("name"), **options).eval()
        for name, module in net.named_modules():
            if isinstance(module, _BatchNorm):
                module.register_forward_hook(_note_single(single, name))
        net(torch.zeros(1, 3, image_size, image_size), torch.ones(1, 1, image_size, image_size))
    if single:
        raise UserError(
            f"data.batch_size=1 does not go with data.image_size={image_size}: the feature maps of {single[0]} are of "
            "one pixel there, and batch normalisation needs more than one value a channel to learn from; use "
            "data.batch_size=2 or larger images"
        )


def _note_single(names: list[str], name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def note(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output[:, 0].numel() == 1:
            names.append(name)

    return note
