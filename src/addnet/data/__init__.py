"""Data sets → batches of images and attention masks."""

from addnet.data.augment import Augment
from addnet.data.datamodule import DeepfakeDataModule
from addnet.data.dataset import DeepfakeDataset, Sample
from addnet.index.records import CLASS_NAMES, Record

__all__ = ["CLASS_NAMES", "Augment", "DeepfakeDataModule", "DeepfakeDataset", "Record", "Sample"]
