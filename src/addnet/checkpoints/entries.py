"""Type checks for the entries of a checkpoint or an export, before anything uses them."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from addnet.errors import UserError
from addnet.faces.geometry import SIDES
from addnet.untrusted.texts import shown

_LARGEST = 65_536  # bound on any number in a network's options: channels, classes, kernel sizes
_NAME = 1000  # characters: bound on the name of a class or a network
_PLAIN = (str, int, float, bool, type(None))


class EntryKind(NamedTuple):
    """What a value must be.

    Attributes:
        fits: Returns whether a value is of this kind.
        words: The kind in words, for messages.
    """

    fits: Callable[[Any], bool]
    words: str


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _NAME


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_option(value: Any) -> bool:
    """Whether it is a plain value or a list of them, with no number larger than `_LARGEST`."""
    if isinstance(value, (list, tuple)):
        return len(value) <= _NAME and all(isinstance(part, _PLAIN) and _is_option(part) for part in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return abs(value) <= _LARGEST
    return value is None or isinstance(value, bool) or _is_name(value)


def _is_plain(value: Any) -> bool:
    """Whether it holds only texts, numbers, booleans, nulls, and lists and mappings of these; without recursion."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            left += value.values()
            if not all(isinstance(key, str) for key in value):
                return False
        elif isinstance(value, (list, tuple)):
            left += value
        elif not isinstance(value, _PLAIN):
            return False
    return True


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and len(value) <= _NAME and all(map(fits, value))


def _mapping_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: _is_mapping(value) and all(map(fits, value.values()))


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


NUMBER = EntryKind(_is_number, "a number")
WHOLE = EntryKind(_is_whole, "a whole number from 0")
NAME = EntryKind(_is_name, f"a text of at most {_NAME:,} characters")
CLASSES = EntryKind(_list_of(lambda value: _is_name(value) and shown(value) == value), "a list of printable texts")
NAMES = EntryKind(_list_of(_is_name), "a list of texts")
NUMBERS = EntryKind(_list_of(_is_number), "a list of numbers")
SWITCH = EntryKind(lambda value: isinstance(value, bool), "true or false")
MAPPING = EntryKind(_is_mapping, "a mapping with texts as keys")
OPTIONS = EntryKind(  # the options of the backbone are a mapping within those of the network
    _mapping_of(lambda value: _is_option(value) or _mapping_of(_is_option)(value)),
    f"a mapping of names to plain values, with numbers up to {_LARGEST:,}",
)
TENSORS = EntryKind(
    _mapping_of(lambda value: isinstance(value, Tensor)),
    "a mapping of names to tensors",
)
SIDE = EntryKind(
    lambda value: _is_whole(value) and SIDES[0] <= value <= SIDES[1],
    f"a number of pixels from {SIDES[0]} to {SIDES[1]:,}",
)
DECISION = EntryKind(_or_none(_mapping_of(_mapping_of(_is_option))), "a mapping of levels to plain values")
PLAIN = EntryKind(lambda value: _is_mapping(value) and _is_plain(value), "a mapping of plain values only")
SETS = EntryKind(lambda value: isinstance(value, (list, tuple, str)), "a list of data sets")


def _or_null(kind: EntryKind) -> EntryKind:
    return EntryKind(_or_none(kind.fits), f"{kind.words}, or null")


_PREPROCESSING = {
    "image_size": SIDE,
    "align": SWITCH,
    "crop": NAME,
    "margin": EntryKind(lambda value: _is_number(value) and 0 < value <= 100, "a number above 0 and at most 100"),
    "mask": MAPPING,
    "mask_of": NAME,
    "detector": NAME,
    "value_range": NUMBERS,
    "framing": _or_null(MAPPING),
    "domain": _or_null(MAPPING),
    "steps": NAMES,
    "mask.parts": NAMES,
    "mask.eyes": NAME,
    "mask.face_blur": NUMBER,
    "mask.organ_blur": NUMBER,
}
_ABOUT = {
    "version": _or_null(NAME),
    "class_names": _or_null(CLASSES),
    "preprocessing": _or_null(MAPPING),
    "decision": DECISION,
    "class_weights": _or_null(NUMBERS),
    "config": _or_null(MAPPING),
    "adopted": _or_null(
        EntryKind(_mapping_of(_is_name), f"a mapping of names to texts of at most {_NAME:,} characters")
    ),
    "start": _or_null(MAPPING),
    "start.name": NAME,
    "start.pretrained": SWITCH,
    "start.sha256": NAME,
    "config.data": _or_null(MAPPING),
    "config.trainer": _or_null(MAPPING),
    "config.paths": _or_null(MAPPING),
    "config.data.data_dir": _or_null(NAME),
    "config.data.train": _or_null(SETS),
    "config.data.test": _or_null(SETS),
    "config.trainer.precision": _or_null(EntryKind(_is_option, "a text")),
    "model": OPTIONS,
    "model.name": NAME,
    **{f"preprocessing.{name}": kind for name, kind in _PREPROCESSING.items()},
}
_CHECKPOINT = {
    "addnet": PLAIN,
    "state_dict": TENSORS,
    "hyper_parameters": _or_null(PLAIN),
    "hyper_parameters.model": OPTIONS,
    "hyper_parameters.model.name": NAME,
    "epoch": WHOLE,
    "global_step": WHOLE,
    "resume": MAPPING,
    "resume.epoch": WHOLE,
    "resume.batch": WHOLE,
    "resume.batch_size": WHOLE,
    "resume.figures": EntryKind(
        _mapping_of(lambda value: isinstance(value, (int, float))), "a mapping of names to numbers"
    ),
    "resume.loggers": EntryKind(_mapping_of(_is_mapping), "a mapping of loggers to mappings"),
    **{f"addnet.{name}": kind for name, kind in _ABOUT.items()},
}


def check_checkpoint(checkpoint: Mapping[str, Any], *, path: str | Path) -> None:
    """Checks the types of all values of a checkpoint that this program reads.

    Args:
        checkpoint: A checkpoint as `torch.load` returns it.
        path: Its file, for messages.

    Raises:
        UserError: A value has the wrong type. A missing value is reported by the code that needs it.
    """
    _check(checkpoint, _CHECKPOINT, path)


def check_about(about: Mapping[str, Any], *, path: str | Path) -> None:
    """Checks the types of all values in the description of an export.

    Raises:
        UserError: A value has the wrong type.
    """
    _check(about, _ABOUT, path)


def _check(values: Mapping[str, Any], kinds: Mapping[str, EntryKind], path: str | Path) -> None:
    for name, kind in kinds.items():
        *outer, last = name.split(".")
        node: Any = values
        for part in outer:
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and last in node and not kind.fits(node[last]):
            value = shown(reprlib.repr(node[last]), most=80)
            raise UserError(f"{path} was not loaded: its {name} is {value}; expected {kind.words}; use another file")
