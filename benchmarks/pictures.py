"""What is measured on: face crops of 224 × 224 pixels, real ones where there are any."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from addnet.data import DeepfakeDataModule
from addnet.data.synthetic import generate_dataset

REAL = Path(os.environ.get("ADDNET_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "dfdc-faces"


def folder(work: Path, count: int) -> Path:
    """A data folder with so many training pictures and a quarter as many for the test, half of them fakes."""
    root = work / "faces"
    if not REAL.is_dir():
        generate_dataset(root, train=count, test=count // 4, size=224, seed=3, views=2)
        return root
    for split, pictures in (("train", count), ("test", count // 4)):
        for label in ("real", "fake"):
            (root / split / label).mkdir(parents=True)
            chosen = sorted((REAL / split / label).iterdir())[: pictures // 2]
            for file in chosen:
                shutil.copy(file, root / split / label)
    return root


def module(root: Path, *overrides: str) -> DeepfakeDataModule:
    """The data module of that folder, its landmarks found."""
    from addnet.config import build, compose

    cfg = compose([f"data.data_dir={root}", f"data.index_dir={root.parent}/index", *overrides])
    made: DeepfakeDataModule = build(cfg.data)
    made.prepare_data()
    made.setup()
    return made
