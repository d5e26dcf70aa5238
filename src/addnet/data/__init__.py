"""Data sets → batches of images and attention masks.

What needs torch is imported when it is first asked for, so that looking at data needs none.
"""

from typing import TYPE_CHECKING

from addnet.index.records import CLASS_NAMES, Record
from addnet.late import late

if TYPE_CHECKING:
    from addnet.data.augment import Augment
    from addnet.data.datamodule import DeepfakeDataModule
    from addnet.data.dataset import DeepfakeDataset, Sample

__all__ = ["CLASS_NAMES", "Augment", "DeepfakeDataModule", "DeepfakeDataset", "Record", "Sample"]

__getattr__, __dir__ = late(
    __name__,
    {"Augment": "augment", "DeepfakeDataModule": "datamodule", "DeepfakeDataset": "dataset", "Sample": "dataset"},
)
