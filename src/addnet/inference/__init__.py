"""A checkpoint → answers about images and videos, and explanations of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.inference.answers import Answer, FaceAnswer
    from addnet.inference.detector import Detector
    from addnet.inference.explaining import Explanation, explain, grad_cam
    from addnet.inference.preprocessing import Preprocessing


__all__ = ["Answer", "Detector", "Explanation", "FaceAnswer", "Preprocessing", "explain", "grad_cam"]

# lazy imports, so that processes that only find faces don't load torch
__getattr__, __dir__ = late(
    __name__,
    {
        "Answer": "answers",
        "Detector": "detector",
        "Explanation": "explaining",
        "FaceAnswer": "answers",
        "Preprocessing": "preprocessing",
        "explain": "explaining",
        "grad_cam": "explaining",
    },
)
