"""A network → a folder in the layout of model hubs, and back: weights, config and card, no code."""

from __future__ import annotations

import json
import reprlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from addnet.checkpoints.entries import check_about
from addnet.errors import UserError
from addnet.inference.export.card import model_card
from addnet.inference.export.description import FORMAT
from addnet.inference.network import build_network
from addnet.inference.shipped import located, name_of
from addnet.untrusted.files import read_bytes, sha256_of
from addnet.untrusted.tensors import load_safetensors
from addnet.untrusted.texts import in_json

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
OF_THE_FOLDER = ("architectures", "library_name", "weights")  # keys of the config that `describe` doesn't set
_LARGEST_CONFIG = 2**20  # bytes
TENSORS = {"float32": torch.float32, "float16": torch.float16}  # dtypes of stored weights; all compute in float32


class HubFolder(NamedTuple):
    """The contents of an exported folder.

    Attributes:
        net: The network, in evaluation mode, on the CPU.
        about: Its description: model, class names, preprocessing, decision, source …
    """

    net: nn.Module
    about: dict[str, Any]


def write_folder(
    net: nn.Module, folder: Path, *, about: Mapping[str, Any], licence: str, tensors: str = "float32"
) -> None:
    """Writes `model.safetensors`, `config.json` and `README.md`, the model card.

    Args:
        net: The network.
        folder: The folder to create; must not exist.
        about: From `describe`.
        licence: Licence of the weights, as model hubs spell it.
        tensors: One of `TENSORS`.
    """
    folder.mkdir()
    state = {name: _kept(value, TENSORS[tensors]) for name, value in net.state_dict().items()}
    safetensors.torch.save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CARD).touch()
    shutil.copymode(folder / CARD, folder / WEIGHTS)  # safetensors creates files that only their owner can read
    config = {"architectures": [type(net).__name__], "library_name": "addnet", **about}
    config["weights"] = {"file": WEIGHTS, "sha256": sha256_of(folder / WEIGHTS), "tensors": tensors}
    describe_folder(folder, config, licence=licence)


def describe_folder(place: Path, config: Mapping[str, Any], **card: Any) -> None:
    """Writes the description of a network and its card beside its weights.

    Args:
        place: The folder, with `model.safetensors`.
        config: The description.
        card: The keyword arguments of `model_card`.
    """
    (place / CONFIG).write_text(in_json(json.dumps(config, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    (place / CARD).write_text(model_card(config, **card), encoding="utf-8")


def load_exported(folder: str | Path) -> HubFolder:
    """Loads a network from a folder that `addnet.export` wrote, or from a copy of it; no code in it is run.

    Args:
        folder: A folder with `config.json` and `model.safetensors`; or the name of a detector that comes with the
            program.

    Raises:
        UserError: It is not such a folder, a file in it is damaged, or its files don't belong together.
    """
    place = located(folder)
    config = read_config(place)
    file = place / WEIGHTS
    if not file.is_file():
        raise UserError(f"{place} has no {WEIGHTS}; {_again(place)}")
    try:
        state = load_safetensors(file)
    except UserError as error:
        raise UserError(f"{file} was not loaded: {error}; {_again(place)}") from error
    except Exception as error:  # safetensors' reader documents no error classes
        raise UserError(f"{file} is damaged ({error}); {_again(place)}") from error
    if config["weights"].get("sha256") != sha256_of(file):
        raise UserError(f"{file} and {CONFIG} beside it are not from the same export; {_again(place)}")
    return HubFolder(build_network(config["model"], state, path=place), config)


def folder_of(path: str | Path) -> Path | None:
    """Returns the folder of an export, given the folder or a file in it; None for any other path."""
    place = Path(path)
    if place.name in (WEIGHTS, CONFIG):
        return place.parent
    return place if (place / CONFIG).is_file() else None


def hashes_in(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the SHA-256 of an export's weights and of the checkpoint it was made from, by its description."""
    return tuple(str((config.get(part) or {}).get("sha256")) for part in ("weights", "source"))


def is_export(folder: Path) -> bool:
    """Whether a folder was written by this module."""
    try:
        read_config(folder)
    except UserError:
        return False
    return True


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the description in a folder.

    Raises:
        UserError: There is none, or it is damaged, of another program or of another format.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that addnet.export format=safetensors wrote")
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"{folder} has no {CONFIG}; name a folder that addnet.export format=safetensors wrote")
    try:
        text = read_bytes(file, most=_LARGEST_CONFIG)
    except UserError as error:
        raise UserError(f"{error}; it is not the description of a network") from error
    try:
        config = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error}); {_again(folder)}") from error
    if not isinstance(config, dict) or config.get("library_name") != "addnet" or not _complete(config):
        raise UserError(f"{file} is not of this program; name a folder that addnet.export format=safetensors wrote")
    if config["format"] != FORMAT:
        raise UserError(f"{file} has format {reprlib.repr(config['format'])}; this version reads {FORMAT}")
    check_about(config, path=file)
    return config


def _kept(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a weight as it is stored. Biases, scales and statistics, one value per channel, keep their dtype.

    They take little space, and a variance may be smaller than any half-precision number.
    """
    return (value.to(dtype) if value.is_floating_point() and value.ndim > 1 else value).contiguous()


def _complete(config: dict[str, Any]) -> bool:
    mappings = all(isinstance(config.get(key), dict) for key in ("model", "preprocessing", "weights"))
    return mappings and "name" in config["model"] and "format" in config


def _again(folder: Path) -> str:
    """Returns the remedy for a damaged or incomplete folder."""
    return "it came with addnet: install addnet again" if name_of(folder) else "fetch or export it again"
