"""A checkpoint → a network that is ready to be asked, and all that the checkpoint says about using it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from addnet.errors import UserError
from addnet.evaluation import Decision
from addnet.inference.preprocessing import Preprocessing
from addnet.models import create_model
from addnet.training.checkpoints import check_fits, read_checkpoint

_NET = "net."  # before the names of the network's tensors in a checkpoint


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint brings.

    Attributes:
        path: Its file.
        net: The network, in evaluation mode, on the CPU.
        model: Name and options of the network.
        preprocessing: What is done with pictures.
        class_names: In the order of the labels.
        frame: Threshold and temperature for pictures.
        video: The same for videos.
        about: The `addnet` entry of the checkpoint.
    """

    path: Path
    net: nn.Module
    model: Mapping[str, Any]
    preprocessing: Preprocessing
    class_names: tuple[str, str]
    frame: Decision
    video: Decision
    about: Mapping[str, Any]


def load(path: str | Path, *, landmark_model: str | None = None) -> Loaded:
    """Reads a checkpoint and builds its network by name: nothing that the file brings is run.

    Args:
        path: The file.
        landmark_model: Where its landmark model lies, if that is not the packaged one.

    Raises:
        UserError: It is missing, damaged, of another program or format, or asks for what can't be done here.
    """
    checkpoint = read_checkpoint(path)
    about = checkpoint["addnet"]
    try:
        preprocessing = Preprocessing.from_values(about.get("preprocessing") or {}, landmark_model=landmark_model)
        frame, video = (Decision.of(about.get("decision"), level) for level in ("frame", "video"))
        model = model_of(checkpoint)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    net = network_of(checkpoint, model, path=path)
    names = tuple(str(name) for name in about.get("class_names") or ())
    if len(names) != 2 or model.get("num_classes", 2) != 2:
        raise UserError(f"{path}: it tells {list(names)} apart; real and fake are needed")
    return Loaded(Path(path), net, model, preprocessing, (names[0], names[1]), frame, video, about)


def model_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Name and options of a checkpoint's network.

    Raises:
        UserError: They are not there.
    """
    model = (checkpoint.get("hyper_parameters") or {}).get("model")
    if not isinstance(model, Mapping) or "name" not in model:
        raise UserError("the checkpoint doesn't say which network it is of")
    return dict(model) | {"pretrained": False, "weights": None}


def network_of(checkpoint: Mapping[str, Any], model: Mapping[str, Any], *, path: str | Path) -> nn.Module:
    """The network of a checkpoint, with its weights, in evaluation mode.

    Args:
        checkpoint: From `read_checkpoint`.
        model: From `model_of`.
        path: Of the checkpoint, for messages.

    Raises:
        UserError: Its options or weights don't fit.
    """
    options = dict(model)
    try:
        net = create_model(options.pop("name"), **options)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: its network can't be built: {error}") from error
    state = {key.removeprefix(_NET): value for key, value in checkpoint["state_dict"].items() if key.startswith(_NET)}
    check_fits(net.state_dict(), state, path=path)
    if broken := [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise UserError(f"{path}: weights that are no numbers in {', '.join(broken[:3])}; use an earlier checkpoint")
    net.load_state_dict(state)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)
