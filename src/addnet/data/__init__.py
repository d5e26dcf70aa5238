"""Data sets → batches of images and attention masks.

What needs torch is imported when it is first asked for, so that looking at data needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from addnet.index.records import CLASS_NAMES, Record

if TYPE_CHECKING:
    from addnet.data.augment import Augment
    from addnet.data.datamodule import DeepfakeDataModule
    from addnet.data.dataset import DeepfakeDataset, Sample

__all__ = ["CLASS_NAMES", "Augment", "DeepfakeDataModule", "DeepfakeDataset", "Record", "Sample"]

_HOMES = {"Augment": "augment", "DeepfakeDataModule": "datamodule", "DeepfakeDataset": "dataset", "Sample": "dataset"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
