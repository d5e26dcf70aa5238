"""A checkpoint or an export → a network that is ready to be asked, and all that it says about using it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from addnet.checkpoints.file import read_checkpoint
from addnet.console import shown_path
from addnet.errors import UserError
from addnet.evaluation import Decision
from addnet.inference import hub
from addnet.inference.network import model_of, network_of
from addnet.inference.preprocessing import Preprocessing
from addnet.inference.shipped import located, name_of
from addnet.untrusted.files import sha256_of

_OTHER_EXPORTS = (".onnx", ".pt2", ".safetensors")


@dataclass(frozen=True)
class LoadedNetwork:
    """What a checkpoint or an export brings.

    Attributes:
        path: Its file, or the folder of an export.
        net: The network, in evaluation mode, on the CPU.
        model: Name and options of the network.
        preprocessing: What is done with images.
        class_names: In the order of the labels.
        frame: Threshold and temperature for images.
        video: The same for videos.
        about: The `addnet` entry of the checkpoint, or the description of the export, whose paths have no folders.
        exported: Whether it is an export.
        shipped: Its name, if it is a detector that comes with the program; else empty.
    """

    path: Path
    net: nn.Module
    model: Mapping[str, Any]
    preprocessing: Preprocessing
    class_names: tuple[str, str]
    frame: Decision
    video: Decision
    about: Mapping[str, Any]
    exported: bool = False
    shipped: str = ""

    @property
    def called(self) -> str:
        """Its name, or where it lies, as short as that still works when typed."""
        return self.shipped or hub.name_of(self.path) or shown_path(self.path)

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of its weights, and of the checkpoint that an export was made of."""
        from addnet.inference.export.hub_folder import hashes_in

        return hashes_in(self.about) if self.exported else (sha256_of(self.path),)

    @property
    def network(self) -> str:
        """Its name in the registry, and that of its backbone where a checkpoint names one."""
        return network_called(self.model)


def network_called(model: Mapping[str, Any]) -> str:
    """The name of a network in the registry, and that of its backbone where its options name one."""
    return " ".join(str(model[key]) for key in ("name", "backbone") if key in model)


def load(path: str | Path, *, landmark_model: str | None = None, weights: str | Path | None = None) -> LoadedNetwork:
    """Reads a checkpoint, or what `addnet.export format=safetensors` made of one.

    The network is built by name: nothing that a file brings is run.

    Args:
        path: The checkpoint; the export's folder, or its `model.safetensors`; or the name of a detector that comes with
            the program: see `located`.
        landmark_model: Where its landmark model lies, if that is not the packaged one.
        weights: Start weights of a checkpoint of the trained part alone: see `network_of`.

    Raises:
        UserError: It is missing, damaged, of another program or format, or asks for what can't be done here.
    """
    from addnet.inference.export.hub_folder import folder_of, load_exported

    path = located(path)
    if folder := folder_of(path):
        exported = load_exported(folder)
        preprocessing = {key: value for key, value in exported.about["preprocessing"].items() if key != "steps"}
        about = dict(exported.about) | {"preprocessing": preprocessing}
        whose: dict[str, Any] = {"exported": True, "shipped": name_of(folder)}
        return _loaded(folder, exported.net, about["model"], about, landmark_model, **whose)
    if path.suffix in _OTHER_EXPORTS:
        raise UserError(
            f"ckpt={path}: only an export of format=safetensors can be loaded again; name its folder, or the checkpoint"
        )
    checkpoint = read_checkpoint(path, option="ckpt")
    net = network_of(checkpoint, path, weights=weights)
    return _loaded(path, net, model_of(checkpoint, path), checkpoint["addnet"], landmark_model)


def _loaded(
    path: Path,
    net: nn.Module,
    model: Mapping[str, Any],
    about: Mapping[str, Any],
    landmark_model: str | None,
    *,
    exported: bool = False,
    shipped: str = "",
) -> LoadedNetwork:
    try:
        preprocessing = Preprocessing.from_values(about.get("preprocessing") or {}, landmark_model=landmark_model)
        frame, video = (Decision.of(about.get("decision"), level) for level in ("frame", "video"))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    names = tuple(str(name) for name in about.get("class_names") or ())
    if set(names) != {"real", "fake"} or len(names) != 2 or model.get("num_classes", 2) != 2:
        raise UserError(f"{path}: it tells {list(names)} apart; real and fake are needed")
    net = net.to(memory_format=torch.channels_last)
    return LoadedNetwork(path, net, model, preprocessing, (names[0], names[1]), frame, video, about, exported, shipped)
