"""The part of a run's config that its checkpoint keeps: how and on what it was trained, but nothing of the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from addnet.config import plain
from addnet.overrides import at_home, takes_path
from addnet.untrusted.secrets import masked, relative, without_home

# sections whose texts are all names from a registry, so they hold no secrets; compared unmasked on a resume
_NAMED = ("model", "optimizer", "scheduler", "loss")
_SECTIONS = (
    *("seed", "tags", *_NAMED, "data", "augment", "blend", "trainer"),
    *("ema_decay", "average_epochs", "freeze_backbone_epochs", "decision", "channels_last"),
)
_LEFT_OUT = frozenset(
    {"prepare", "index_dir", "faces_dir", "landmark_model", "plugins", "default_root_dir", "logger", "weights"}
)
_NAME = re.compile(r"(\w+):(?=[~./])")  # prefix of a path: the layout of a data set


def kept_config(cfg: DictConfig, run: Path) -> dict[str, Any]:
    """The part of a composed config that a checkpoint keeps.

    Loggers, callbacks and folders of this machine are left out. A text from the environment is replaced by the name of
    its variable, and other paths become relative to the run folder; `paths.output_dir` being `.` marks this.

    Args:
        cfg: The composed config of `configs/train.yaml`.
        run: The run folder.
    """
    sections = {name: (plain if name in _NAMED else masked)(cfg[name]) for name in _SECTIONS if _is_node(cfg, name)}
    values = {name: cfg[name] for name in _SECTIONS if name in cfg and name not in sections}
    return {**_kept("", values | sections, run), "paths": {"output_dir": "."}}


def earlier_config(config: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """The same part of the config in a checkpoint; checkpoints of earlier versions hold the whole config.

    Args:
        config: The config in the checkpoint's `addnet` entry.
        run: The folder of the run that wrote it.
    """
    if config.get("paths") == {"output_dir": "."}:
        return dict(config)
    return dict(_kept("", {name: config[name] for name in _SECTIONS if name in config}, run))


def _is_node(cfg: DictConfig, name: str) -> bool:
    return name in cfg and hasattr(cfg[name], "_get_node")


def _kept(key: str, value: Any, run: Path) -> Any:
    if isinstance(value, Mapping):
        parts = {str(name): part for name, part in value.items() if name not in _LEFT_OUT}
        return {name: _kept(f"{key}.{name}" if key else name, part, run) for name, part in parts.items()}
    if isinstance(value, list):
        return [_kept(key, part, run) for part in value]
    if not isinstance(value, str) or not value or "${" in value or key.endswith("_pattern"):
        return without_home(value) if isinstance(value, str) else value
    named = _NAME.match(value)
    name, path = (named[0], value[named.end() :]) if named else ("", value)
    placed = path.startswith("/") or at_home(path) != path
    return name + relative(at_home(path), run) if placed or named or takes_path(key) else without_home(value)
