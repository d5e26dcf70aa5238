"""A checkpoint → answers about pictures and videos, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from addnet.inference.answers import Answer, FaceAnswer
    from addnet.inference.detector import Detector
    from addnet.inference.explaining import Explanation, explain, grad_cam
    from addnet.inference.preprocessing import Preprocessing

_HOMES = {
    "Answer": "answers",
    "Detector": "detector",
    "Explanation": "explaining",
    "FaceAnswer": "answers",
    "Preprocessing": "preprocessing",
    "explain": "explaining",
    "grad_cam": "explaining",
}

__all__ = ["Answer", "Detector", "Explanation", "FaceAnswer", "Preprocessing", "explain", "grad_cam"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: processes that only find faces need no torch."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
