"""Signed provenance (C2PA) of a file: whether there is any, whether it is valid, who signed it. Never proof of truth.

A signature says who vouches for a file and that it hasn't been changed since, not that its content is real; most files
have none. Nothing is fetched: remote manifests and trust lists are not read.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addnet.untrusted.files import opened
from addnet.untrusted.texts import in_data

NOT_INSTALLED = "not read: c2pa-python isn't installed; pip install 'addnet[provenance]'"
ELSEWHERE = "not read: the file only has a URL of it, and nothing is fetched"
ABSENT = "no signed provenance is in the file"
_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
_TYPES = {
    ".jfif": "image/jpeg",
    ".jpe": "image/jpeg",
    ".m4v": "video/mp4",
    ".webp": "image/webp",
    ".avif": "image/avif",
}
_MOST = 20  # most problems that are listed
_LONGEST = 200
_STATES = {"Valid": True, "Trusted": True, "Invalid": False}


def provenance_facts(path: Path) -> dict[str, Any]:
    """Reads the C2PA provenance of a file.

    Returns:
        `read`: whether it could be read; `told`: the result in words; `present`: None if it wasn't read; and if it is
        present `valid`, `state`, `signed_by`, `signed_at`, `made_with`, `title`, `problems`: codes of the standard.
    """
    try:
        import c2pa
    except ImportError:
        return _without(NOT_INSTALLED)
    except Exception as error:  # a binary for another platform
        return _without(f"not read: c2pa-python can't be used here ({type(error).__name__})")
    kind = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or ""
    if kind not in c2pa.Reader.get_supported_mime_types():
        return _without(f"not read: C2PA doesn't support files of this kind ({kind or 'unknown'})")
    try:
        context = c2pa.Context(settings=c2pa.Settings.from_dict(_SETTINGS))
        with opened(path, most=None) as stream, c2pa.Reader(kind, stream, context=context) as reader:
            return _summary(json.loads(reader.json()), str(reader.get_validation_state()))
    except c2pa.C2paError as error:
        if str(error).startswith("ManifestNotFound"):
            return {"read": True, "present": False, "told": ABSENT}
        if str(error).startswith("RemoteManifest"):
            return _without(ELSEWHERE)
        return _without(f"can't be read: {_text(error)}")
    except (ValueError, RecursionError) as error:
        return _without(f"can't be read: {_text(error)}")


def _without(told: str) -> dict[str, Any]:
    return {"read": False, "present": None, "told": told}


def _summary(manifests: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Summarises the active manifest, any value of which may be missing or of an unexpected type."""
    active = _of(_of(manifests, "manifests"), str(manifests.get("active_manifest")))
    signature = _of(active, "signature_info")
    named = [_text(signature[key]) for key in ("common_name", "issuer") if signature.get(key)]
    makers = active.get("claim_generator_info")
    maker = makers[0] if isinstance(makers, list) and makers and isinstance(makers[0], Mapping) else {}
    found = manifests.get("validation_status")
    codes = [_text(one.get("code")) for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    valid, by = _STATES.get(state), " of ".join(named) or "an unnamed signer"
    return {
        "read": True,
        "present": True,
        "valid": valid,
        "state": _text(state),
        "signed_by": by,
        "signed_at": _text(signature.get("time") or ""),
        "made_with": _text(" ".join(str(maker[key]) for key in ("name", "version") if maker.get(key))),
        "title": _text(active.get("title") or ""),
        "problems": list(dict.fromkeys(codes))[:_MOST],
        "told": f"signed by {by}: {_in_words(state)}",
    }


def _in_words(state: str) -> str:
    if state == "Trusted":
        return "the signature is valid and its certificate is on a trust list; the file hasn't been changed since"
    if state == "Valid":
        return "the signature is valid and the file hasn't been changed since, but the signer is not verified"
    return "the signature or the file is NOT valid: it was changed after it was signed, or signed incorrectly"


def _of(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = node.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    text = in_data(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
