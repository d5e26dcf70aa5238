"""What of a run's config makes it learn as it does: the part that two runs must share to be the same cell."""

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
# where things lie, who does the work, what is the same anyway; the seed, which tells cells of a variant apart
_NOT = {"index_dir", "faces_dir", "landmark_model", "prepare", "num_workers", "verify", "predict_dir", "index", "seed"}


def recipe(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that decides what is learnt, without seed, paths or machine.

    Of folders and files the last name is kept. What is null is left out, so that a key that a later version adds makes
    no difference where it isn't used.

    Args:
        cfg: Of a training, as plain values.
    """
    told: dict[str, Any] = {name: _kept(cfg[name]) for name in _NODES}
    told |= {name: cfg[name] for name in _VALUES if cfg.get(name) is not None}  # earlier versions know fewer
    told["trainer"] = {name: cfg["trainer"][name] for name in _TRAINER if cfg["trainer"][name] is not None}
    best = (cfg.get("callbacks") or {}).get("best") or {}
    return told | {"chosen_by": best.get("monitor", "nothing")}


def alike(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two recipes are one, of which the second may have been written by a later version.

    That may know more keys, whose defaults leave everything as it was. A part that is new as a whole, such as damage in
    the augmentation, is no such key.

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
    """Twelve hexadecimal digits that differ where two recipes do.

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
