"""A checkpoint or an export → a network ready for inference, with its preprocessing and thresholds."""

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
    """A network loaded from a checkpoint or an export, and what is needed to use it.

    Attributes:
        path: File of the checkpoint, or folder of the export.
        net: The network, in evaluation mode, on the CPU.
        model: Name and options of the network.
        preprocessing: How images are prepared.
        class_names: In the order of the labels.
        frame: Threshold and temperature for images.
        video: Threshold and temperature for videos.
        about: The `addnet` entry of the checkpoint, or the description of the export, whose paths have no folders.
        exported: Whether it is an export.
        shipped: Name of the detector if it comes with the program; else empty.
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
        """Its name or path, in the shortest form that works as `ckpt=`."""
        return self.shipped or hub.name_of(self.path) or shown_path(self.path)

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of its file; of an export, that of its weights and that of the checkpoint it was made from."""
        from addnet.inference.export.hub_folder import hashes_in

        return hashes_in(self.about) if self.exported else (sha256_of(self.path),)

    @property
    def network(self) -> str:
        """Name of the network in the registry, followed by that of its backbone if its options name one."""
        return network_called(self.model)


def network_called(model: Mapping[str, Any]) -> str:
    """Returns the name of a network in the registry, followed by that of its backbone if its options name one."""
    return " ".join(str(model[key]) for key in ("name", "backbone") if key in model)


def load(path: str | Path, *, landmark_model: str | None = None, weights: str | Path | None = None) -> LoadedNetwork:
    """Loads a checkpoint, or an export of it that `addnet.export format=safetensors` wrote.

    The network is built by its registered name: no code in a file is run.

    Args:
        path: The checkpoint; the export's folder, or its `model.safetensors`; or the name of a detector that comes with
            the program, see `located`.
        landmark_model: File of its landmark model, if that isn't the packaged one.
        weights: File of the start weights, for a checkpoint that holds only its trained part; see `network_of`.

    Raises:
        UserError: It is missing, damaged, of another program or format, or needs something that isn't available here.
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
            f"ckpt={path}: only exports with format=safetensors can be loaded; name such a folder, or the checkpoint"
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
        raise UserError(f"{path}: its classes are {list(names)}; they must be real and fake")
    net = net.to(memory_format=torch.channels_last)
    return LoadedNetwork(path, net, model, preprocessing, (names[0], names[1]), frame, video, about, exported, shipped)
