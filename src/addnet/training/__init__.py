"""The LightningModule, its callbacks and loggers."""

from addnet.training.detector import DeepfakeDetector

__all__ = ["DeepfakeDetector"]
