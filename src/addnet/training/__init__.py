"""The LightningModule, its callbacks and loggers."""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.training.module import DeepfakeDetector

__all__ = ["DeepfakeDetector"]

# imported late, so that code that only reads checkpoints doesn't need Lightning
__getattr__, __dir__ = late(__name__, {"DeepfakeDetector": "module"})
