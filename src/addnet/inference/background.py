"""What a detector learnt from and how often it was wrong then, in words: whoever reads an answer has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from addnet.inference.export.card import trained_on
from addnet.inference.export.description import public_config
from addnet.inference.loading import Loaded
from addnet.wording import count

_KINDS = {"frame": ("image", "images"), "video": ("video", "videos")}


def background_of(loaded: Loaded) -> tuple[str, ...]:
    """Sentences about data, size and errors of a checkpoint or an export; what earlier ones don't say is said so."""
    learnt = loaded.about.get("learnt_from")
    learnt = learnt if isinstance(learnt, Mapping) else {}
    size = loaded.preprocessing.geometry.size
    config = loaded.about.get("config") or {}
    drawn = "drawn faces, " if (config.get("data") or {}).get("generate") else ""
    data = _data(learnt.get("data")) or trained_on(public_config(config))
    what = f"{loaded.network} on images of {size} × {size} pixels"
    return (
        f"{_called(loaded.path)}: {what}, learnt from {drawn}{data}.",
        _errors(learnt.get("validation")),
    )


def _called(path: Path) -> str:
    """A checkpoint with its run folder, without the place of both, which is no visitor's business."""
    return "/".join([part for part in path.parts if part != "checkpoints"][-2:])


def _data(sets: Any) -> str:
    """How much of which data; empty where it isn't known."""
    if not isinstance(sets, Sequence) or not sets:
        return ""
    try:
        return "; ".join(
            f"{one['dataset']} ({int(one['real']):,} real and {int(one['fake']):,} fake images of "
            f"{count(int(one['videos']), 'video')})"
            for one in sets
        )
    except (KeyError, OverflowError, TypeError, ValueError):
        return ""


def _errors(validation: Any) -> str:
    """How often it was wrong on its own validation."""
    told = []
    try:
        for level, (one, many) in _KINDS.items():
            if found := (validation or {}).get(level):
                real, fake = int(found["real"]), int(found["fake"])
                told.append(
                    f"{int(found['real_called_fake'])} of {count(real, f'real {one}', f'real {many}')} called fake, "
                    f"{int(found['fake_called_real'])} of {count(fake, f'fake {one}', f'fake {many}')} called real"
                )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        told = []
    if not told:
        return "Its error rates on validation aren't in the checkpoint."
    return f"On its own validation, which chose the thresholds: {'; '.join(told)}. Other material may fare far worse."
