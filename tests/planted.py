"""Small data sets to plant leaks in: nothing tells their classes, because fakes are reals seen in a mirror."""

import cv2
import numpy as np


def image(seed, *, side=96):
    """(side, side, 3) uint8: soft shapes with some grain, unlike those of any other seed."""
    rng = np.random.default_rng(seed)
    soft = cv2.resize(rng.uniform(40, 215, (11, 11, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, 6, soft.shape), 0, 255).astype(np.uint8)


def save(path, pixels, *, quality=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
    return path


def write_set(root, *, train=24, test=12, fake_quality=90):
    """`<split>/<class>/g<number>.jpg`, real and fake of a group in the same split."""
    for number in range(train + test):
        split = "train" if number < train else "test"
        real = image(number)
        save(root / split / "real" / f"g{number:03d}.jpg", real)
        save(root / split / "fake" / f"g{number:03d}_f.jpg", real[:, ::-1], quality=fake_quality)
    return root
