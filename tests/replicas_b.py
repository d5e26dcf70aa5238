"""Small replicas of data sets as their authors ship them: real names and lists, empty videos, tiny images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def touch(root, *paths):
    """Empty files: where only names matter, a video need not be one."""
    for path in paths:
        file = Path(root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def draw(root, folder, *, frames=(0, 7, 12)):
    """Tiny JPEGs with the numbers of their frames, as extraction writes them."""
    image = np.full((16, 16, 3), 127, dtype=np.uint8)
    Path(root, folder).mkdir(parents=True, exist_ok=True)
    for number in frames:
        cv2.imwrite(str(Path(root, folder, f"{number:03d}.jpg")), image)


def write(root, path, content):
    """A list: text as it is, anything else as JSON."""
    file = Path(root, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def make_dfdc(root, parts=(0, 3)):
    """Two parts with the same names of videos, one fake of an original in another part, both sets apart."""
    for part in parts:
        folder = f"dfdc_train_part_{part}"
        real = {"label": "REAL", "split": "train", "original": None}
        fake = {"label": "FAKE", "split": "train"}
        metadata = {
            "aaaaaaaaaa.mp4": real,
            f"real{part}.mp4": real,
            "bbbbbbbbbb.mp4": {**fake, "original": f"real{part}.mp4"},
            f"fake{part}.mp4": {**fake, "original": "aaaaaaaaaa.mp4"},
        }
        write(root, f"{folder}/metadata.json", metadata)
        touch(root, *(f"{folder}/{name}" for name in metadata))
    write(root, "validation/labels.csv", "filename,label\nvr.mp4,0\nvf.mp4,1\n")
    touch(root, "validation/vr.mp4", "validation/vf.mp4")
    write(root, "test/metadata.json", {"tr.mp4": {"is_fake": 0}, "tf.mp4": {"is_fake": 1, "augmentations": {}}})
    touch(root, "test/tr.mp4", "test/tf.mp4")
    return root


def make_dfdcp(root):
    """Two persons in train, two in test; the same name under both methods."""
    entries = {}
    for split, first, second in (("train", "1001", "1002"), ("test", "2001", "2002")):
        for person, other in ((first, second), (second, first)):
            real = {"label": "real", "set": split, "target_id": person, "swapped_id": None, "augmentations": []}
            entries[f"original_videos/{person}/{person}_A_001.mp4"] = real
            fake = {**real, "label": "fake", "swapped_id": other}
            for method in ("method_A", "method_B"):
                entries[f"{method}/{person}/{person}_A/{other}_{person}_A_001.mp4"] = fake
    write(root, "dataset.json", entries)
    touch(root, *entries)
    return root


def make_uadfv(root, videos=49):
    """All 49 videos and their fakes."""
    touch(root, *(f"real/{number:04d}.mp4" for number in range(videos)))
    touch(root, *(f"fake/{number:04d}_fake.mp4" for number in range(videos)))
    return root


def make_deeperforensics(root):
    """Five targets in two variants, the lists, their originals in FaceForensics++'s tree, and source videos."""
    splits = {"train": ("000_W101", "001_M004", "002_W102"), "val": ("003_M005",), "test": ("004_W103",)}
    for split, names in splits.items():
        write(root, f"lists/splits/{split}.txt", "".join(f"{name}.mp4\n" for name in names))
        for name in names:
            touch(root, *(f"manipulated_videos/{v}/{name}.mp4" for v in ("end_to_end", "end_to_end_level_5")))
            touch(root, f"original_sequences/youtube/c23/videos/{name[:3]}.mp4")
    touch(root, "source_videos/W101/light_up/happy/camera_front/W101_light_up_happy_camera_front.mp4")
    return root


def make_ffiw(root):
    """Both archives, unpacked beside one another."""
    for archive, splits in (("FFIW10K-v1-release", ("train", "val")), ("FFIW10K-v1-release-test", ("test",))):
        for split in splits:
            names = [f"{split}_{number:08d}" for number in range(3)]
            touch(root, *(f"{archive}/{side}/{split}/{name}.mp4" for side in ("source", "target") for name in names))
            touch(root, *(f"{archive}/target_mask/{split}/{name}_mask.mp4" for name in names))
    return root
