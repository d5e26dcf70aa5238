"""Checkpoints of the trained part alone: what is left out, and how it is told apart from other start weights."""

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

NET = "net."  # before the names of the network's entries in a checkpoint
_BACKBONE = f"{NET}backbone."


def start_of(model: Mapping[str, Any], net: nn.Module) -> dict[str, Any] | None:
    """What a network's backbone starts from, as a checkpoint tells it: a name, never a place.

    Args:
        model: `pretrained` and `weights`, as a config has them.
        net: The network.

    Returns:
        `name` and `pretrained`, whether it is timm's; None for random weights.
    """
    if weights := model.get("weights"):
        return {"name": Path(str(weights)).name, "pretrained": False}
    if not model.get("pretrained"):
        return None
    config = getattr(getattr(net, "backbone", None), "pretrained_cfg", None) or {}
    named = [str(config[key]) for key in ("architecture", "tag") if config.get(key)]
    return {"name": ".".join(named) or str(model.get("name")), "pretrained": True}


def leave_out(
    checkpoint: dict[str, Any], still: Collection[str], start: Mapping[str, Any] | None, *, to_resume: bool
) -> None:
    """Takes the start weights out of a checkpoint; their name and digest come in.

    Args:
        checkpoint: Complete, with its `addnet` entry.
        still: Names in the network's state dict of what training leaves as it was.
        start: From `start_of`.
        to_resume: False leaves out the state of the optimiser too, which is twice as large as what it trains.

    Raises:
        UserError: There is nothing that they could be taken from again.
    """
    if start is None:
        raise UserError("random start weights can't be left out of a checkpoint: they could not be had again")
    state: Mapping[str, Tensor] = checkpoint["state_dict"]
    left = {name: value for name, value in state.items() if name.removeprefix(NET) in still}
    if not left:  # on a process that gathers no weights
        return
    if not to_resume:
        checkpoint.pop("optimizer_states", None)
    checkpoint["state_dict"] = {name: value for name, value in state.items() if name not in left}
    if average := checkpoint.get("weight_average"):
        learning = {name: value for name, value in average["weights"].items() if name not in still}
        checkpoint["weight_average"] = average | {"weights": learning}
    checkpoint["addnet"]["start"] = {**start, "entries": len(left), "sha256": digest(left)}


def check_resumable(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Whether training can go on from a checkpoint.

    Raises:
        UserError: It holds the trained part alone and no state of the optimiser, as `best.ckpt` does.
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
    """Adds start weights to a checkpoint of the trained part; one that holds all stays as it is.

    Args:
        checkpoint: As `read_checkpoint` gives it.
        state: Of the same network with start weights, by names as in the checkpoint.
        path: Of the checkpoint, for messages.
        start: What the start weights are, from `start_of`; None: random.

    Raises:
        UserError: They are not those that the checkpoint was trained from, or it is of another network.
    """
    if not is_part(checkpoint):
        return
    if start is None:
        raise UserError(missing(checkpoint, path))
    wanted, held = checkpoint["addnet"]["start"], checkpoint["state_dict"]
    left = {name: value for name, value in state.items() if name.startswith(_BACKBONE) and name not in held}
    check_fits(state, held | left, path=path)
    found = digest(left)
    if found != wanted.get("sha256"):
        raise UserError(
            f"{path} was trained from {_named(wanted)}, and {_named(start)}, which was given, is another: the sha256 "
            f"of {count(len(left), 'entry', 'entries')} that training left as they were is {found[:12]}… instead of "
            f"{shown(wanted.get('sha256'))[:12]}…; give the right one with model.weights=PATH"
        )
    checkpoint["state_dict"] = held | left
    if average := checkpoint.get("weight_average"):
        own = {name.removeprefix(NET): value for name, value in left.items()}
        checkpoint["weight_average"] = average | {"weights": average["weights"] | own}


def missing(checkpoint: Mapping[str, Any], path: str | Path) -> str:
    """Says what a checkpoint of the trained part needs, in a sentence."""
    start = checkpoint["addnet"]["start"]
    ways = "give its place with model.weights=PATH"
    if start.get("pretrained"):
        ways = "take them with model.pretrained=true where timm's hub or cache can be reached, or from a file with " + (
            "model.weights=PATH"
        )
    return f"{path} holds the trained part alone and needs the start weights, {_named(start)}; {ways}"


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 over tensors, in order of their names within the backbone.

    Of each these bytes: its name, its type such as `float32` and its shape such as `(64, 3)`, apart by blanks and ended
    by a line feed; then its numbers in C order, little endian.
    """
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        kind, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
        found.update(f"{name.removeprefix(_BACKBONE)} {kind} {shape}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _named(start: Mapping[str, Any]) -> str:
    name = shown(start.get("name"), most=100)
    return f"timm's {name}" if start.get("pretrained") else f"the file {name}"
