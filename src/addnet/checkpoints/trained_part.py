"""Checkpoints of the trained part alone: leaves out the start weights, and identifies them by name and digest."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from addnet.checkpoints.file import check_fits
from addnet.errors import UserError
from addnet.untrusted.texts import shown
from addnet.wording import count

NET = "net."  # prefix of the network's entries in a checkpoint
_BACKBONE = f"{NET}backbone."


def start_of(model: Mapping[str, Any], net: nn.Module) -> dict[str, Any] | None:
    """The start weights of a network's backbone, as a checkpoint records them: a name, never a path.

    Args:
        model: Settings of the model, of which `pretrained` and `weights` are read.
        net: The network.

    Returns:
        `name`, and `pretrained`, which is True for weights of timm; None for random weights.
    """
    if weights := model.get("weights"):
        return {"name": Path(str(weights)).name, "pretrained": False}
    if not model.get("pretrained"):
        return None
    config = getattr(getattr(net, "backbone", None), "pretrained_cfg", None) or {}
    parts = [str(config[key]) for key in ("architecture", "tag") if config.get(key)]
    return {"name": ".".join(parts) or str(model.get("name")), "pretrained": True}


def leave_out(
    checkpoint: dict[str, Any], still: Collection[str], start: Mapping[str, Any] | None, *, to_resume: bool
) -> None:
    """Removes the start weights from a checkpoint, and adds their name and digest.

    Args:
        checkpoint: A complete checkpoint with its `addnet` entry.
        still: Names of the entries of the network's state dict that training doesn't change.
        start: The start weights, from `start_of`.
        to_resume: False also removes the state of the optimiser, which is twice as large as the trained weights.

    Raises:
        UserError: The start weights are random, so they can't be loaded again.
    """
    if start is None:
        raise UserError(
            "random start weights can't be left out of a checkpoint, since they can't be loaded again; "
            "use callbacks.best.trained_only=false and callbacks.last.trained_only=false"
        )
    state: Mapping[str, Tensor] = checkpoint["state_dict"]
    left = {name: value for name, value in state.items() if name.removeprefix(NET) in still}
    if not left:  # on a process that doesn't gather the weights
        return
    if not to_resume:
        checkpoint.pop("optimizer_states", None)
    checkpoint["state_dict"] = {name: value for name, value in state.items() if name not in left}
    if average := checkpoint.get("weight_average"):
        trained = {name: value for name, value in average["weights"].items() if name not in still}
        checkpoint["weight_average"] = average | {"weights": trained}
    checkpoint["addnet"]["start"] = {**start, "entries": len(left), "sha256": digest(left)}


def check_resumable(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Checks that training can resume from a checkpoint.

    Raises:
        UserError: It holds the trained part alone, without the state of the optimiser, as `best.ckpt` does.
    """
    if is_part(checkpoint) and "optimizer_states" not in checkpoint:
        raise UserError(
            f"{path} holds the trained part alone, without the state of the optimiser; resume from last.ckpt alongside"
        )


def is_part(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint holds the trained part alone."""
    return bool(checkpoint["addnet"].get("start"))


def complete(
    checkpoint: dict[str, Any], state: Mapping[str, Tensor], *, path: str | Path, start: Mapping[str, Any] | None
) -> None:
    """Adds the start weights to a checkpoint of the trained part; a complete checkpoint isn't changed.

    Args:
        checkpoint: A checkpoint as `read_checkpoint` returns it.
        state: State of the same network with start weights, with the names of the checkpoint.
        path: Path of the checkpoint, for messages.
        start: The start weights, from `start_of`; None if they are random.

    Raises:
        UserError: They aren't the weights that the checkpoint was trained from, or it is of another network.
    """
    if not is_part(checkpoint):
        return
    if start is None:
        raise UserError(missing(checkpoint, path))
    wanted, held = checkpoint["addnet"]["start"], checkpoint["state_dict"]
    left = {name: value for name, value in state.items() if name.startswith(_BACKBONE) and name not in held}
    check_fits(state, held | left, path=path)
    actual = digest(left)
    if actual != wanted.get("sha256"):
        raise UserError(
            f"{path} was trained from {_named(wanted)}, and {_named(start)}, which was given, differs: the sha256 of "
            f"the {count(len(left), 'untrained entry', 'untrained entries')} is {actual[:12]}… instead of "
            f"{shown(wanted.get('sha256'))[:12]}…; give the right file with model.weights=PATH"
        )
    checkpoint["state_dict"] = held | left
    if average := checkpoint.get("weight_average"):
        own = {name.removeprefix(NET): value for name, value in left.items()}
        checkpoint["weight_average"] = average | {"weights": average["weights"] | own}


def missing(checkpoint: Mapping[str, Any], path: str | Path) -> str:
    """A message that names the start weights that a checkpoint of the trained part needs."""
    start = checkpoint["addnet"]["start"]
    ways = "give the file with model.weights=PATH"
    if start.get("pretrained"):
        ways = (
            "load them with model.pretrained=true if timm's hub or cache can be reached, or from a file with "
            "model.weights=PATH"
        )
    return f"{path} holds the trained part alone and needs the start weights, {_named(start)}; {ways}"


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 over tensors, in the order of their names within the backbone.

    For each tensor these bytes are hashed: its name, its type such as `float32` and its shape such as `(64, 3)`,
    separated by spaces and ended by a line feed; then its values in C order, little endian.
    """
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        kind, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
        hashed.update(f"{name.removeprefix(_BACKBONE)} {kind} {shape}\n".encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hashed.hexdigest()


def _named(start: Mapping[str, Any]) -> str:
    name = shown(start.get("name"), most=100)
    return f"timm's {name}" if start.get("pretrained") else f"the file {name}"
