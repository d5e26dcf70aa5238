"""The recipe of a run: the part of its config that determines the training, which all runs of a cell share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addnet.overrides import takes_path

_NODES = ("model", "data", "loss", "optimizer", "scheduler")
_VALUES = ("ema_decay", "average_epochs", "freeze_backbone_epochs", "channels_last")
_TRAINER = (
    *("max_epochs", "max_steps", "precision", "gradient_clip_val", "accumulate_grad_batches"),
    *("check_val_every_n_epoch", "limit_train_batches", "limit_val_batches", "limit_test_batches"),
)
# paths, settings of the machine, keys without an effect on training, and the seed, which differs within a variant
_NOT = {"index_dir", "faces_dir", "landmark_model", "prepare", "num_workers", "verify", "predict_dir", "index", "seed"}


def recipe(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a resolved config that determines the training, without seed, paths and machine.

    Of paths, only the last name is kept. Null values are left out, so that a key that a later version adds makes no
    difference if it isn't used.

    Args:
        cfg: The config of a training, as plain values.
    """
    kept: dict[str, Any] = {name: _kept(cfg[name]) for name in _NODES}
    kept |= {name: cfg[name] for name in _VALUES if cfg.get(name) is not None}  # earlier versions have fewer keys
    kept["trainer"] = {name: cfg["trainer"][name] for name in _TRAINER if cfg["trainer"][name] is not None}
    best = (cfg.get("callbacks") or {}).get("best") or {}
    return kept | {"chosen_by": best.get("monitor", "nothing")}


def alike(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Returns whether two recipes are equivalent, where the second may have been written by a later version.

    A later version may have more keys, whose defaults change nothing. A whole new section, such as degradations in the
    augmentation, makes a difference.

    Example:
        >>> alike({"model": {"head": "linear"}}, {"model": {"head": "linear", "bias": False}})
        True
        >>> alike({"augment": {"flip": 0.5}}, {"augment": {"flip": 0.5, "degrade": {"most": 4}}})
        False
    """
    if earlier.keys() - now.keys():
        return False
    for key, value in now.items():
        if key not in earlier:
            if isinstance(value, Mapping):
                return False
        elif isinstance(value, Mapping) and isinstance(earlier[key], Mapping):
            if not alike(earlier[key], value):
                return False
        elif value != earlier[key]:
            return False
    return True


def digest(told: Mapping[str, Any]) -> str:
    """Returns twelve hexadecimal digits of a hash, by which recipes are distinguished.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
        True
    """
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _kept(node: Any, key: str = "") -> Any:
    if isinstance(node, Mapping):
        return {name: _kept(value, name) for name, value in node.items() if name not in _NOT and value is not None}
    if isinstance(node, list):
        return [_kept(value, key) for value in node]
    is_place = isinstance(node, str) and (takes_path(key) or key in ("train", "val", "test"))
    return Path(node).name if is_place else node
