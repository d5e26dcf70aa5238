"""Entry points of `torch.hub`: `torch.hub.load("OWNER/REPO", "lite")` gives a detector, weights and preprocessing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

dependencies = ["torch", "torchvision", "timm", "dlib", "cv2", "numpy", "PIL", "pyarrow", "safetensors", "omegaconf"]
sys.path.insert(0, str(Path(__file__).parent / "src"))  # a checkout that isn't installed

if TYPE_CHECKING:
    from addnet.inference import Detector


def lite(**settings: Any) -> Detector:
    """The default detector, trained on crops of DFDC; `detector.predict("face.jpg")` asks it.

    Args:
        settings: As for `Detector.from_checkpoint`, such as `device="cuda"`.
    """
    return detector("lite", **settings)


def lite_clean(**settings: Any) -> Detector:
    """The detector that has learnt from public-domain portraits alone.

    Args:
        settings: As for `Detector.from_checkpoint`.
    """
    return detector("lite-clean", **settings)


def detector(ckpt: str, **settings: Any) -> Detector:
    """Any detector: a checkpoint, an exported folder, or `hf:USER/REPO`.

    Args:
        ckpt: As for `Detector.from_checkpoint`.
        settings: Likewise.
    """
    from addnet.inference import Detector

    return Detector.from_checkpoint(ckpt, **settings)
