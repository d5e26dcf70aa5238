"""Summarises a run in a few lines before it trains: network, recipe, machine, folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from addnet.console import shown_path
from addnet.wording import count

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from addnet.training.module import DeepfakeDetector

# settings that distinguish networks of the same name; then settings of a recipe, shown unless they have these values
_TELLING = ("backbone", "placement", "combine", "tune", "head", "front", "mode", "kernel_size")
_OF_BANDPASS = ("mode", "kernel_size")
_LEVERS = {"ema_decay": None, "average_epochs": None, "freeze_backbone_epochs": 0}
_LEVERS |= {"grad_checkpointing": False, "compile": False}
_PARTS = {"loss.name": "cross_entropy", "loss.uniformity": 0, "loss.alignment": 0, "loss.guide": 0}
_PARTS |= {"optimizer.sam_rho": None}


def overview(cfg: DictConfig, module: DeepfakeDetector, trainer: pl.Trainer) -> list[str]:
    """The lines that summarise a composed config; the run folder has the whole config."""
    lines = [f"network: {_network(cfg, module)}"]
    if cfg.train:
        lines.append(f"recipe: {_recipe(cfg)}")
    device = f"{trainer.world_size} × {trainer.strategy.root_device.type}"
    lines.append(f"machine: {device}, precision {trainer.precision}")
    return [*lines, f"folder: {shown_path(cfg.paths.output_dir)}"]


def _network(cfg: DictConfig, module: DeepfakeDetector) -> str:
    model, size = cfg.model, cfg.data.image_size
    millions = sum(parameter.numel() for parameter in module.net.parameters()) / 1e6
    start = cfg.ckpt_path or model.get("weights") or ("timm's weights" if model.get("pretrained") else "random weights")
    left_out = _OF_BANDPASS if model.get("front") == "none" else ()
    telling = ", ".join(f"{key} {model[key]}" for key in _TELLING if key in model and key not in left_out)
    return f"{model.name} ({telling}), {millions:.1f} M parameters, {size} × {size}, from {start}"


def _recipe(cfg: DictConfig) -> str:
    schedule = "a constant rate" if cfg.scheduler.name == "none" else f"schedule {cfg.scheduler.name}"
    epochs, steps = cfg.trainer.max_epochs, cfg.trainer.max_steps
    length = (
        count(steps, "step") if steps > 0 else "no limit of epochs" if epochs in (None, -1) else count(epochs, "epoch")
    )
    parts = [f"{cfg.optimizer.name} at {cfg.optimizer.lr:g}, {schedule}, {length} at most, seed {cfg.seed}"]
    parts += [f"{key} {cfg[key]}" for key, off in _LEVERS.items() if cfg[key] != off]
    parts += [
        f"{key} {value}" for key, off in _PARTS.items() if (value := OmegaConf.select(cfg, key, default=off)) != off
    ]
    return ", ".join(parts)
