"""Detectors that others published → checkpoints of ours, which say whose they are and under which terms."""

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
_OURS = {r"^net\.backbone\.": "a checkpoint of this program, which every command takes as it is"}


class Adoption(NamedTuple):
    """What was written.

    Attributes:
        output: The checkpoint.
        taken: How many tensors of the file are in it.
        left_out: Their names for those that are not, as a person would list them; empty: all are.
        assumed: What the file doesn't say and was taken for granted; empty: nothing.
    """

    output: Path
    taken: int
    left_out: str
    assumed: str


def adopt(publication: Publication, file: str | Path, output: str | Path) -> Adoption:
    """Writes a checkpoint of ours that answers as a published detector does; nothing in its file is run.

    Args:
        publication: Which one it is.
        file: Its weights: `.safetensors`, or what `torch.save` wrote.
        output: The checkpoint; replaced if it is there.

    Raises:
        UserError: The file is missing, damaged, of another detector, or the checkpoint can't be written.
    """
    path = Path(file).expanduser()
    given = read_weights(path, called=str(path))
    assumed = _compared(publication, path)
    state, left_out = _translated(publication, given, path)
    build_network(publication.model, state, path=path)  # which looks at shapes and numbers
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
    """What an image goes through, as plain values; masks are ones, for they are not looked at."""
    geometry = {"image_size": publication.image_size, "align": True, "crop": "template", "margin": publication.margin}
    drawn = {"mask": AttentionMask(parts=()).settings(), "mask_of": "own", "framing": None, "domain": None}
    return geometry | drawn | {"detector": Landmarker().signature(), "value_range": VALUE_RANGE}


def told_of(publication: Publication) -> dict[str, str]:
    """What a checkpoint keeps of a publication, as plain values."""
    names = ("name", "called", "licence", "terms", "source", "trained_on", "cite")
    return {name: getattr(publication, name) for name in names}


def _translated(publication: Publication, given: Mapping[str, Any], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    with torch.device("meta"):
        options = dict(publication.model)
        expected = create_model(options.pop("name"), **options).state_dict()
    try:
        state, left_out = translated(given, expected, publication.names, unused=publication.unused)
    except UserError as error:
        what = next((said for pattern, said in {**publication.others, **_OURS}.items() if _any(pattern, given)), "")
        reason = f"it is {what}" if what else str(error)
        raise UserError(
            f"{path} is not {publication.called}: {reason}; give the file of {publication.source}"
        ) from None
    for name in left_out:
        if name.endswith("position_ids") and given[name].flatten().tolist() != list(range(given[name].numel())):
            raise UserError(
                f"{path} is not {publication.called}: its {name} don't count from 0, and are not followed here"
            )
    return state, left_out


def _any(pattern: str, names: Mapping[str, Any]) -> bool:
    return any(re.search(pattern, name) for name in names)


def _compared(publication: Publication, path: Path) -> str:
    """Compares the `config.json` beside a file with what is known; returns what is taken for granted without one.

    Raises:
        UserError: It tells of another detector, or can't be read.
    """
    if not publication.described:
        return ""
    file = path.with_name(_CONFIG)
    try:
        said = json.loads(read_bytes(file, most=_LARGEST_CONFIG).decode("utf-8"))
    except FileNotFoundError:
        known = " and ".join(f"{key}={value}" for key, value in publication.described.items())
        return f"there is no {_CONFIG} beside it, so {known} are taken for granted, as in what its authors published"
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} can't be read ({error}); fetch it again, or give {path.name} without it") from error
    for key, value in publication.described.items():
        if isinstance(said, Mapping) and said.get(key, value) != value:
            raise UserError(
                f"{file} says {key}={shown(said[key], most=80)}, and of {publication.called} {value} is expected; "
                f"give the file of {publication.source}"
            )
    return ""


def in_words(adopted: Adoption) -> str:
    """What was taken of a file, in a sentence."""
    rest = f"; left out, as an answer doesn't depend on it: {adopted.left_out}" if adopted.left_out else ""
    return f"{count(adopted.taken, 'tensor')} of the file are in it{rest}"
