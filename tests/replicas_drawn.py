"""Replicas of data sets whose images and videos are real ones with drawn faces: what is listed is trained on."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import media
from addnet.data.synthetic import Identity, PortraitView, draw_portrait
from replicas import images, make_celebdf, make_deepfakebench, make_df40, make_dfd, make_faceforensics, touch
from replicas_b import make_deeperforensics, make_dfdc, make_dfdcp, make_ffiw, make_uadfv
from replicas_c import make_celebdfpp, make_deepspeak, make_dfdm, make_faceshifter, make_fakeavceleb, make_kodf
from replicas_wild import make_wilddeepfake

SIZE = 112


class Portrait(NamedTuple):
    """One drawn face, as a real image and as a fake: the same without any blue.

    Attributes:
        png: Content of an image, by label.
        mp4: Content of a video of three frames, by label.
        landmarks: (81, 2) as DeepfakeBench finds them: the true 68, and 13 on the brow that nobody reads.
    """

    png: tuple[bytes, bytes]
    mp4: tuple[bytes, bytes]
    landmarks: np.ndarray


def draw_portraits(folder, number=4):
    """Faces of different people; `folder` is for the videos."""
    return [_portrait(folder, person) for person in range(number)]


def _portrait(folder, person):
    random = np.random.default_rng((3, person))
    real, landmarks = draw_portrait(Identity.draw(random), PortraitView.draw(random), size=SIZE)
    fake = real * np.array([1, 1, 0], np.uint8)
    files = [media.write_video(Path(folder, f"{person}-{k}.mp4"), [one] * 3) for k, one in enumerate((real, fake))]
    png = tuple(cv2.imencode(".png", one[:, :, ::-1])[1].tobytes() for one in (real, fake))
    return Portrait(png, tuple(file.read_bytes() for file in files), np.vstack([landmarks, np.zeros((13, 2))]))


def is_marked(image):
    """Whether an image that the network sees, (3, S, S) in [-1, 1], is that of a fake."""
    return bool(image[2].mean() < image[1].mean() - 0.4)


def fill(root, portraits, is_fake):
    """Puts a face into every image and video below a folder, and its landmarks where landmarks were."""
    for number, file in enumerate(sorted(path for path in Path(root).rglob("*") if path.is_file())):
        path = file.relative_to(root).as_posix()
        portrait = portraits[number % len(portraits)]
        if file.suffix in (".png", ".jpg"):
            file.write_bytes(portrait.png[is_fake(path)])
            beside = Path(root, path.replace("/frames/", "/landmarks/")).with_suffix(".npy")
            if beside.is_file():
                np.save(beside, portrait.landmarks)
        elif file.suffix == ".mp4":
            file.write_bytes(portrait.mp4[is_fake(path)])
    return root


def _wilddeepfake(root, portraits, **how):
    def draw(seed):
        part, *rest = seed
        return portraits[sum(rest) % len(portraits)].png[part % 2]

    return make_wilddeepfake(root, archives=1, sequences=3, frames=(3, 9), draw=draw, **how)


def _faceforensics(root, portraits):
    make_faceforensics(root, methods=["Deepfakes"])
    return fill(root, portraits, lambda path: path.startswith("manipulated"))


def _celebdf(root, portraits):
    """With two more persons, so that training can spare some for validation."""
    make_celebdf(root)
    touch(root, "Celeb-real/id3_0002.mp4", "Celeb-synthesis/id3_id2_0002.mp4")
    return fill(root, portraits, lambda path: path.startswith("Celeb-synthesis"))


def _dfd(root, portraits):
    return fill(make_dfd(root), portraits, lambda path: path.startswith("manipulated"))


def _dfdc(root, portraits):
    make_dfdc(root, parts=(0,))
    return fill(root, portraits, lambda path: Path(path).stem in ("bbbbbbbbbb", "fake0", "vf", "tf"))


def _dfdcp(root, portraits):
    return fill(make_dfdcp(root), portraits, lambda path: path.startswith("method_"))


def _uadfv(root, portraits):
    return fill(make_uadfv(root, videos=3), portraits, lambda path: path.startswith("fake/"))


def _deeperforensics(root, portraits):
    """Its originals lie in another folder, as those of FaceForensics++ do."""
    make_deeperforensics(root)
    Path(f"{root}-originals").mkdir()
    Path(root, "original_sequences").rename(Path(f"{root}-originals", "original_sequences"))
    fill(f"{root}-originals", portraits, lambda path: False)
    return fill(root, portraits, lambda path: path.startswith("manipulated"))


def _ffiw(root, portraits):
    return fill(make_ffiw(root), portraits, lambda path: "/target/" in path)


def _df40(root, portraits):
    """With a second pair, so that training can spare one for validation."""
    make_df40(root)
    images(root, "DF40_train/simswap/frames/087_081", "000")
    images(root, "FaceForensics++/original_sequences/youtube/c23/frames/087", "000")
    return fill(root, portraits, lambda path: path.startswith("DF40") and "/real/" not in path)


def _deepfakebench(root, portraits):
    make_deepfakebench(root)
    return fill(root, portraits, lambda path: "manipulated" in path or "synthesis" in path)


def _later(make, is_fake):
    """One of the data sets of 2021 and later, whose fakes are those of such paths."""
    return lambda root, portraits: fill(make(root), portraits, is_fake)


def _manifest(root, portraits):
    """A table in a folder of its own, apart from its images."""
    rows = []
    for number in range(12):
        split, label = ("train", "train", "val", "test")[number // 3], ("real", "fake")[number % 2]
        images(root, f"images/{number:02d}_{label}", "000", "001")
        rows += [(f"{number:02d}_{label}/{frame:03d}.png", label, split, f"person{number}") for frame in range(2)]
    with Path(root, "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label", "split", "source_video"), *rows])
    return fill(root, portraits, lambda path: "_fake" in path)


REPLICAS = {
    "wilddeepfake": _wilddeepfake,
    "wilddeepfake-gzipped": partial(_wilddeepfake, compressed=True),
    "wilddeepfake-unpacked": partial(_wilddeepfake, unpacked=True),
    "faceforensics": _faceforensics,
    "celebdf": _celebdf,
    "dfd": _dfd,
    "dfdc": _dfdc,
    "dfdcp": _dfdcp,
    "uadfv": _uadfv,
    "deeperforensics": _deeperforensics,
    "ffiw": _ffiw,
    "df40": _df40,
    "deepfakebench": _deepfakebench,
    "manifest": _manifest,
    "faceshifter": _later(make_faceshifter, lambda path: path.startswith("manipulated")),
    "celebdfpp": _later(make_celebdfpp, lambda path: path.startswith("Celeb-synthesis")),
    "dfdm": _later(make_dfdm, lambda path: path.startswith("DFDM")),
    "fakeavceleb": _later(make_fakeavceleb, lambda path: path.startswith("FakeVideo")),
    "kodf": _later(make_kodf, lambda path: path.startswith("synthesized")),
    "deepspeak": _later(make_deepspeak, lambda path: "facefusion" in path),
}


class Replicas:
    """Makes each replica once, in a folder of its own."""

    def __init__(self, root):
        self.root = Path(root)
        self.portraits = None

    def __getitem__(self, name):
        folder = self.root / name
        if not folder.exists():
            if self.portraits is None:
                self.portraits = draw_portraits(self.root)
            folder.mkdir()
            REPLICAS[name](folder, self.portraits)
        return folder
