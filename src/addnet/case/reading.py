"""An untrusted `case.json` → the values needed to verify it, each of the expected type. No code is run."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from addnet.case.folder import RECORD
from addnet.case.record import FORMAT, VERSION
from addnet.errors import UserError
from addnet.untrusted.files import read_bytes
from addnet.untrusted.texts import shown

_MOST = 512 << 20  # largest size of a record in bytes
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = ("image", "video", "file")
_SETTINGS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "images": {"kind": (str,), "faces": (str,), "without_face": (bool,)},
    "frames": {"every": (int, type(None)), "frames": (int, type(None)), "policy": (str,)},
    "detector": {
        "batch_size": (int,),
        "threshold": (float, int, type(None)),
        "landmark_model": (str, type(None)),
        "domain": (bool,),
    },
}


@dataclass(frozen=True)
class RecordedFile:
    """A file of a record.

    Attributes:
        path: Its path, as it was given.
        kind: `image`, `video`, or `file` for anything else.
        sha256: Its SHA-256; None if it couldn't be read.
        verdict: The recorded verdict.
        score: The recorded score; None without one.
        faces: Frame (None in an image) and score of each face that was scored, in order.
    """

    path: str
    kind: str
    sha256: str | None
    verdict: str
    score: float | None
    faces: tuple[tuple[int | None, float], ...]


@dataclass(frozen=True)
class RecordedCase:
    """The values of a record that are needed to verify it.

    Attributes:
        ckpt: The detector, as it was given.
        weights: SHA-256 of the detector's files, in order.
        start_weights: File of the start weights, as it was given; None without one.
        mirror: Whether faces were also scored mirrored.
        device: The device that scores were computed on.
        settings: `images`, `frames` and `detector`, as in the config of `addnet predict`.
        working_folder: The folder that relative paths start from.
        files: The files in the order of the record.
    """

    ckpt: str
    weights: tuple[str, ...]
    start_weights: str | None
    mirror: bool
    device: str
    settings: Mapping[str, Mapping[str, Any]]
    working_folder: str
    files: tuple[RecordedFile, ...]


def read_record(folder: Path) -> RecordedCase:
    """Reads the record of a case.

    Raises:
        UserError: There is none, or it is damaged, of another program or version; the message names the entry.
    """
    file = folder / RECORD
    try:
        node = json.loads(read_bytes(file, most=_MOST).decode("utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise UserError(f"{folder} is not a case: its {RECORD} cannot be read: {error.strerror or error}") from error
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {shown(error, most=200)}") from error
    if not isinstance(node, dict) or node.get("format") != FORMAT:
        raise UserError(f"{file} is not the record of a case; addnet predict case=FOLDER writes one")
    if node.get("version") != VERSION:
        raise UserError(f"{file} has version {reprlib.repr(node.get('version'))}; this program reads version {VERSION}")
    try:
        return _recorded(node)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _recorded(node: dict[str, Any]) -> RecordedCase:
    settings, detector = _entry(node, "settings", dict), _entry(node, "detector", dict)
    model = _entry(settings, "model", dict, where="settings")
    files = [_named(one, "detector.files") for one in _entry(detector, "files", list, where="detector")]
    return RecordedCase(
        ckpt=_entry(settings, "ckpt", str, where="settings"),
        weights=tuple(_hash(one, "detector.files") or "" for one in files if one.get("role") == "weights"),
        start_weights=_entry(model, "weights", str, type(None), where="settings.model"),
        mirror=_entry(settings, "mirror", bool, where="settings"),
        device=_entry(_entry(node, "computed_on", dict), "device", str, where="computed_on"),
        settings={name: _part(settings, name, kinds) for name, kinds in _SETTINGS.items()},
        working_folder=_entry(node, "working_folder", str),
        files=tuple(_file(one, f"files[{number}]") for number, one in enumerate(_entry(node, "files", list))),
    )


def _part(settings: dict[str, Any], name: str, kinds: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    part = _entry(settings, name, dict, where="settings")
    return {key: _entry(part, key, *kind, where=f"settings.{name}") for key, kind in kinds.items()}


def _file(node: Any, where: str) -> RecordedFile:
    node = _named(node, where)
    answer = _entry(node, "answer", dict, where=where)
    kind = _entry(answer, "kind", str, where=f"{where}.answer")
    if kind not in _KINDS:
        _refuse(f"{where}.answer.kind", kind, f"one of {', '.join(_KINDS)}")
    faces = _entry(answer, "faces", list, where=f"{where}.answer")
    return RecordedFile(
        path=_entry(node, "path", str, where=where),
        kind=kind,
        sha256=_hash(node, where),
        verdict=_entry(answer, "verdict", str, where=f"{where}.answer"),
        score=_score(answer, f"{where}.answer", optional=True),
        faces=tuple(_face(face, f"{where}.answer.faces[{number}]") for number, face in enumerate(faces)),
    )


def _face(node: Any, where: str) -> tuple[int | None, float]:
    node = _named(node, where)
    return _entry(node, "frame", int, type(None), where=where), _score(node, where) or 0.0


def _score(node: dict[str, Any], where: str, *, optional: bool = False) -> float | None:
    value = _entry(node, "score", float, int, *([type(None)] if optional else []), where=where)
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        _refuse(f"{where}.score", value, "a number from 0 to 1")
    return value if value is None else float(value)


def _hash(node: dict[str, Any], where: str) -> str | None:
    value: str | None = _entry(node, "sha256", str, type(None), where=where)
    if value is not None and not _SHA256.fullmatch(value):
        _refuse(f"{where}.sha256", value, "64 hexadecimal digits")
    return value


def _named(node: Any, where: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        _refuse(where, node, "an object with names and values")
    return node


def _entry(node: dict[str, Any], key: str, *kinds: type, where: str = "") -> Any:
    place = f"{where}.{key}" if where else key
    if key not in node:
        raise UserError(f"{place} is missing")
    value = node[key]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        _refuse(place, value, " or ".join(_WORDS[kind] for kind in kinds))
    return value


_WORDS = {dict: "an object with names and values", list: "a list", str: "a text", bool: "true or false"}
_WORDS |= {int: "a whole number", float: "a number", type(None): "null"}


def _refuse(place: str, value: object, expected: str) -> NoReturn:
    raise UserError(f"{place} is {shown(reprlib.repr(value))}; expected {expected}")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a valid number")
