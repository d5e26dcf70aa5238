"""The LightningModule, its callbacks and loggers."""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.training.module import DeepfakeDetector

__all__ = ["DeepfakeDetector"]

# who only reads checkpoints needs no Lightning
__getattr__, __dir__ = late(__name__, {"DeepfakeDetector": "module"})
