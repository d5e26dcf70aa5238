"""Data sets → batches of images and attention masks.

Each name is imported on first use, so that inspecting data doesn't need torch, and reading a config needs neither image
nor table libraries.
"""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.data.augment import Augment
    from addnet.data.datamodule import DeepfakeDataModule
    from addnet.data.dataset import DeepfakeDataset, Sample
    from addnet.index.records import CLASS_NAMES, Record

__all__ = ["CLASS_NAMES", "Augment", "DeepfakeDataModule", "DeepfakeDataset", "Record", "Sample"]

__getattr__, __dir__ = late(
    __name__,
    {
        "Augment": "augment",
        "CLASS_NAMES": ".index.records",
        "DeepfakeDataModule": "datamodule",
        "DeepfakeDataset": "dataset",
        "Record": ".index.records",
        "Sample": "dataset",
    },
)
