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
from addnet.inference.network import model_of, network_of
from addnet.inference.preprocessing import Preprocessing
from addnet.training.checkpoints import read_checkpoint


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
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    model = model_of(checkpoint, path)
    net = network_of(checkpoint, path).to(memory_format=torch.channels_last)
    names = tuple(str(name) for name in about.get("class_names") or ())
    if len(names) != 2 or model.get("num_classes", 2) != 2:
        raise UserError(f"{path}: it tells {list(names)} apart; real and fake are needed")
    return Loaded(Path(path), net, model, preprocessing, (names[0], names[1]), frame, video, about)
