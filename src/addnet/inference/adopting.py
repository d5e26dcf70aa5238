"""Detectors published by others → checkpoints of this program, which record their authors and terms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from addnet.checkpoints.file import identity, write_checkpoint
from addnet.checkpoints.trained_part import NET
from addnet.errors import UserError
from addnet.faces import AttentionMask, Landmarker
from addnet.inference.network import build_network
from addnet.inference.preprocessing import VALUE_RANGE
from addnet.models import create_model
from addnet.models.foreign import translated
from addnet.models.publications import Publication
from addnet.models.state_dicts import by_part
from addnet.models.weight_files import read_weights
from addnet.untrusted.files import read_bytes, sha256_of
from addnet.untrusted.texts import shown
from addnet.wording import count

_CONFIG, _LARGEST_CONFIG = "config.json", 2**20  # beside a file of a model hub; bytes
_OURS = {r"^net\.backbone\.": "a checkpoint of this program, which every command accepts without adoption"}


class Adoption(NamedTuple):
    """The result of adopting a detector.

    Attributes:
        output: The checkpoint.
        taken: Number of tensors of the file that are in the checkpoint.
        left_out: Names of the other tensors, abbreviated for people; empty if there are none.
        assumed: What the file doesn't say and was assumed, in words; empty if nothing was.
    """

    output: Path
    taken: int
    left_out: str
    assumed: str


def adopt(publication: Publication, file: str | Path, output: str | Path) -> Adoption:
    """Writes a checkpoint that gives the scores of a published detector; no code in its file is run.

    Args:
        publication: The published detector.
        file: Its weights: `.safetensors`, or a file written by `torch.save`.
        output: The checkpoint; replaced if it exists.

    Raises:
        UserError: The file is missing, damaged or of another detector, or the checkpoint can't be written.
    """
    path = Path(file).expanduser()
    given = read_weights(path, called=str(path))
    assumed = _compared(publication, path)
    state, left_out = _translated(publication, given, path)
    build_network(publication.model, state, path=path)  # checks shapes and that weights are finite
    seen = preprocessing_of(publication)
    about = identity(class_names=["real", "fake"], preprocessing=seen, config=None, decision=None)
    about["adopted"] = told_of(publication) | {"file": path.name, "sha256": sha256_of(path)}
    checkpoint = {
        "state_dict": {f"{NET}{name}": value for name, value in state.items()},
        "hyper_parameters": {"model": dict(publication.model)},
        "addnet": about,
    }
    write_checkpoint(checkpoint, output, then="adopt it again")
    return Adoption(Path(output), len(given) - len(left_out), by_part(left_out), assumed)


def preprocessing_of(publication: Publication) -> dict[str, Any]:
    """Returns the preprocessing of a publication as plain values; masks are ones, because they aren't used."""
    geometry = {"image_size": publication.image_size, "align": True, "crop": "template", "margin": publication.margin}
    drawn = {"mask": AttentionMask(parts=()).settings(), "mask_of": "own", "framing": None, "domain": None}
    return geometry | drawn | {"detector": Landmarker().signature(), "value_range": VALUE_RANGE}


def told_of(publication: Publication) -> dict[str, str]:
    """Returns what a checkpoint records about a publication, as plain values."""
    names = ("name", "called", "licence", "terms", "source", "trained_on", "cite")
    return {name: getattr(publication, name) for name in names}


def _translated(publication: Publication, given: Mapping[str, Any], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    with torch.device("meta"):
        options = dict(publication.model)
        expected = create_model(options.pop("name"), **options).state_dict()
    try:
        state, left_out = translated(given, expected, publication.names, unused=publication.unused)
    except UserError as error:
        what = next((known for pattern, known in {**publication.others, **_OURS}.items() if _any(pattern, given)), "")
        reason = f"it is {what}" if what else str(error)
        raise UserError(
            f"{path} is not {publication.called}: {reason}; use the file from {publication.source}"
        ) from None
    for name in left_out:
        if name.endswith("position_ids") and given[name].flatten().tolist() != list(range(given[name].numel())):
            raise UserError(
                f"{path} is not {publication.called}: its {name} don't count from 0, which isn't supported; use the "
                f"file from {publication.source}"
            )
    return state, left_out


def _any(pattern: str, names: Mapping[str, Any]) -> bool:
    return any(re.search(pattern, name) for name in names)


def _compared(publication: Publication, path: Path) -> str:
    """Compares the `config.json` beside a file with the publication; returns what is assumed if there is none.

    Raises:
        UserError: It describes another detector, or can't be read.
    """
    if not publication.described:
        return ""
    file = path.with_name(_CONFIG)
    try:
        config = json.loads(read_bytes(file, most=_LARGEST_CONFIG).decode("utf-8"))
    except FileNotFoundError:
        known = " and ".join(f"{key}={value}" for key, value in publication.described.items())
        return f"there is no {_CONFIG} beside it, so {known} are assumed, as in the detector that its authors published"
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} can't be read ({error}); fetch it again, or use {path.name} without it") from error
    for key, value in publication.described.items():
        if isinstance(config, Mapping) and config.get(key, value) != value:
            raise UserError(
                f"{file} says {key}={shown(config[key], most=80)}, but {publication.called} has {value}; use the file "
                f"from {publication.source}"
            )
    return ""


def in_words(adopted: Adoption) -> str:
    """Says in a sentence which tensors of a file are in the checkpoint."""
    rest = f"; left out, because scores don't depend on it: {adopted.left_out}" if adopted.left_out else ""
    return f"the checkpoint has {count(adopted.taken, 'tensor')} of the file{rest}"
