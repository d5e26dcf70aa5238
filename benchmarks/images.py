"""What is measured on: face crops of 224 × 224 pixels, photographs, a video; of real faces where there are any."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from addnet.config import build, compose
from addnet.data import DeepfakeDataModule, Record
from addnet.data.synthetic import generate_dataset
from addnet.data.synthetic.generate import encode
from addnet.data.synthetic.people import Identity, PortraitView
from addnet.data.synthetic.portraits import develop, draw_portrait
from addnet.faces.images import ImageArray, decode_image, read_image
from addnet.faces.landmarks import Face
from addnet.index.faces import GIVEN
from addnet.index.records import Records
from addnet.index.update import IndexUpdate
from addnet.preparation.images import ImageFinding, row_of

_GIVEN = Path(os.environ.get("ADDNET_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
REAL, PORTRAITS = _GIVEN / "dfdc-faces", _GIVEN / "portraits"
SIZE = 224
_PORTRAIT = 384  # pixels of a side of one that is drawn


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


def portraits(count: int) -> list[ImageArray]:
    """Images of one face each with room around it, real ones where there are any."""
    if PORTRAITS.is_dir():
        return [read_image(file) for file in sorted(PORTRAITS.glob("*.jpg"))[:count]]
    return [decode_image(_portrait(number, _PORTRAIT)[0]) for number in range(count)]


def photograph(person: ImageArray, shape: tuple[int, int], *, share: float, seed: int) -> tuple[ImageArray, list[int]]:
    """A portrait somewhere in a blurred scene, as tall as a share of it; and its (left, top, right, bottom)."""
    random = np.random.default_rng(seed)
    scene = cv2.resize(random.integers(40, 200, (6, 8, 3), dtype=np.uint8), shape[::-1], interpolation=cv2.INTER_CUBIC)
    factor = share * shape[0] / person.shape[0]
    put = cv2.resize(person, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)[:, : shape[1]]
    top, left = (int(random.integers(whole - part + 1)) for whole, part in zip(shape, put.shape[:2], strict=True))
    scene[top : top + put.shape[0], left : left + put.shape[1]] = put
    return np.asarray(scene, dtype=np.uint8), [left, top, left + put.shape[1], top + put.shape[0]]


def video(file: Path, *, seconds: int, shape: tuple[int, int] = (1080, 1920), rate: int = 25) -> Path:
    """A face that moves to and fro in front of a scene, as H.264; five seconds are encoded, and repeated."""
    import av

    (person,) = portraits(1)
    scene, _ = photograph(person, shape, share=0.5, seed=0)
    grain = np.random.default_rng(0).integers(0, 6, (*shape, 3), np.uint8)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "superfast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = shape[1], shape[0], "yuv420p"
        packets, part = [], min(5, seconds) * rate
        for number in range(part):
            moved = np.roll(scene, round(60 * np.sin(2 * np.pi * number / part)), axis=1)
            grainy = np.asarray(cv2.add(moved, np.roll(grain, 37 * number, axis=0)), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(grainy, format="rgb24")
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for time in range(seconds * rate):
            packet = av.Packet(bytes(packets[time % part]))
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, packets[0].time_base, time, time
            packet.is_keyframe = packets[time % part].is_keyframe
            container.mux(packet)
    return file


def _portrait(number: int, size: int = SIZE) -> tuple[bytes, NDArray[np.float32]]:
    """A JPEG and its (68, 2) landmarks."""
    random = np.random.default_rng(number)
    view = PortraitView.draw(random)
    image, landmarks = draw_portrait(Identity.draw(random), view, size=size)
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
