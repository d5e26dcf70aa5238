"""What is measured on: face crops of 224 × 224 pixels, real ones where there are any."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from addnet.config import build, compose
from addnet.data import DeepfakeDataModule, Record
from addnet.data.synthetic import generate_dataset
from addnet.data.synthetic.generate import encode
from addnet.data.synthetic.people import Identity, PortraitView
from addnet.data.synthetic.portraits import develop, draw_portrait
from addnet.faces.landmarks import Face
from addnet.index.faces import GIVEN
from addnet.index.records import Records
from addnet.index.update import IndexUpdate
from addnet.preparation.images import ImageFinding, row_of

REAL = Path(os.environ.get("ADDNET_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "dfdc-faces"
SIZE = 224


def folder(work: Path, count: int) -> Path:
    """A data folder with so many training images and a quarter as many for the test, half of them fakes."""
    root = work / "faces"
    if not REAL.is_dir():
        generate_dataset(root, train=count, test=count // 4, size=SIZE, seed=3, views=2)
        return root
    for split, images in (("train", count), ("test", count // 4)):
        for label in ("real", "fake"):
            (root / split / label).mkdir(parents=True)
            chosen = sorted((REAL / split / label).iterdir())[: images // 2]
            for file in chosen:
                shutil.copy(file, root / split / label)
    return root


def drawn_index(work: Path, count: int, *, different: int = 160) -> Path:
    """An index of drawn portraits whose landmarks are known, so that nobody has to look for a face.

    Args:
        work: Gets a folder of them.
        count: For training; for the test there are a quarter as many.
        different: So many are drawn, the rest are copies: drawing takes longer than what is measured.

    Returns:
        The index; the images lie beside it.
    """
    root = work / "drawn"
    root.mkdir(parents=True)
    portraits = [_portrait(number) for number in range(different)]
    records, rows = [], []
    for number in range(count + count // 4):
        data, landmarks = portraits[number % different]
        path = root / f"{number}.jpg"
        path.write_bytes(data)
        split, label = "train" if number < count else "test", number % 2  # labels of no meaning
        record = Record(
            path=path.name,
            label=label,
            split=split,
            video_id=f"drawn/{label}/{number}",
            group_id=f"{split}{number // 2}",
            dataset="drawn",
        )
        found = ImageFinding(
            number, len(data), path.stat().st_mtime_ns, shape=(SIZE, SIZE), face=Face(GIVEN, landmarks)
        )
        records.append(record)
        rows.append((row_of(record, found, ""), landmarks.ravel()))
    with IndexUpdate(root / "index.parquet", root) as update:
        for row, values in rows:
            update.add(row, values)
        update.finish(Records.of(records))
        return update.file


def _portrait(number: int) -> tuple[bytes, NDArray[np.float32]]:
    """A JPEG and its (68, 2) landmarks."""
    random = np.random.default_rng(number)
    view = PortraitView.draw(random)
    image, landmarks = draw_portrait(Identity.draw(random), view, size=SIZE)
    return encode(develop(image, view), quality=90), landmarks


def config(data: Path, *overrides: str) -> DictConfig:
    """The composed config of a training on a data folder or an index."""
    source = ["data=index", f"data.index={data}"] if data.is_file() else [f"data.data_dir={data}"]
    places = [f"paths.index_dir={data.parent}/index", f"paths.output_dir={data.parent}/run"]
    return compose([*source, *places, *overrides])


def module(data: Path, *overrides: str) -> DeepfakeDataModule:
    """The data module of that config, its landmarks found."""
    made: DeepfakeDataModule = build(config(data, *overrides).data)
    made.prepare_data()
    made.setup()
    return made
