"""WildDeepfake in small: the folders, archives and names of the real one, with tiny images."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np

PARTS = ("real_train", "fake_train", "real_test", "fake_test")
FRAMES = (3, 4, 9, 112)  # numbers in the source video, so gaps are normal


def png(seed):
    """An image of 24 × 24 pixels as a file's content."""
    image = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


def make_wilddeepfake(root, *, compressed=False, unpacked=False, archives=2, sequences=2, frames=FRAMES, draw=png):
    """Writes all four parts below `root`.

    Args:
        root: New folder.
        compressed: Whether the archives are gzipped, as their names say; by default they are plain tar.
        unpacked: Folders instead of archives.
        archives: Archives in each part, numbered from 1.
        sequences: Sequences in each archive, numbered from 0.
        frames: Numbers of the images of each.
        draw: Numbers of part, archive, sequence and frame → content of an image.
    """
    for part_number, part in enumerate(PARTS):
        for archive in range(1, archives + 1):
            folder = Path(root, part, str(archive))
            for sequence in range(sequences):
                inner = folder / part.split("_")[0] / str(sequence)
                inner.mkdir(parents=True)
                for frame in frames:
                    (inner / f"{frame}.png").write_bytes(draw([part_number, archive, sequence, frame]))
            if not unpacked:
                pack(folder, compressed=compressed)
    return Path(root)


def pack(folder, *, compressed=False):
    """Puts a folder into `<folder>.tar.gz`, as `tar -cf N.tar.gz ./N` does, and removes it."""
    with tarfile.open(f"{folder}.tar.gz", "w:gz" if compressed else "w") as tar:
        tar.add(folder, arcname=f"./{folder.name}")
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
    return Path(f"{folder}.tar.gz")
