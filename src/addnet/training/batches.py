"""Batch arithmetic: images per optimiser step, steps per epoch, and the smallest batch a network can train on."""

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
    """Optimiser steps of one epoch. Lightning steps on the last batch of an epoch too, even mid-accumulation.

    Needed while optimisers are configured, when the loader may not exist yet.
    """
    # `estimated_stepping_batches` skips this when only max_steps is set (Lightning 2.6.6)
    trainer.fit_loop.setup_data()
    batches = min(trainer.num_training_batches, ENDLESS)
    return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def describe_batches(trainer: pl.Trainer) -> str:
    """One line: the effective batch size, its factors, and the optimiser steps of an epoch."""
    images = getattr(trainer.train_dataloader, "batch_size", None) or 1
    processes, accumulated = trainer.world_size, trainer.accumulate_grad_batches
    each = f"{processes} {'processes' if processes > 1 else 'process'}"
    return (
        f"effective batch size {images * processes * accumulated} = {count(images, 'image')} × {each} × "
        f"{accumulated} accumulated; {count(steps_per_epoch(trainer), 'optimiser step')} an epoch"
    )


def check_single_rows(model: Mapping[str, Any], image_size: int) -> None:
    """Rejects batches of one image if batch normalisation would see a single value per channel.

    Args:
        model: `name` of a network, and its arguments.
        image_size: Side of the images in pixels.

    Raises:
        UserError: A feature map is one pixel in size, so that with one image each channel has a single value.
    """
    options = without_start_weights(model)
    single: list[str] = []
    with torch.random.fork_rng(devices=[]), torch.inference_mode():  # leaves the run's random numbers alone
        net = create_model(options.pop("name"), **options).eval()
        for name, module in net.named_modules():
            if isinstance(module, _BatchNorm):
                module.register_forward_hook(_note_single(single, name))
        net(torch.zeros(1, 3, image_size, image_size), torch.ones(1, 1, image_size, image_size))
    if single:
        raise UserError(
            f"data.batch_size=1 can't be combined with data.image_size={image_size}: at this size the feature maps of "
            f"{single[0]} are a single pixel, and batch normalisation needs more than one value per channel; use "
            "data.batch_size=2 or larger images"
        )


def _note_single(names: list[str], name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def note(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output[:, 0].numel() == 1:
            names.append(name)

    return note
