"""Mutated files through what reads them: `python tests/fuzz.py KIND COUNT SEED FOLDER` prints what came of it.

Runs in a process of its own, so that a crash or a memory that grows is seen from outside.
"""

import io
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from addnet.errors import UserError


def mutated(data, random, other):
    """A file with one to four wounds, half of them near its start, where headers are."""
    data = bytearray(data)
    for _ in range(random.integers(1, 5)):
        if len(data) < 4:
            return bytes(data)
        near = min(len(data), 1024) if random.random() < 0.5 else len(data)
        start = int(random.integers(0, near))
        length = int(min(random.integers(1, 64), len(data) - start))
        noise = random.integers(0, 256, length, dtype=np.uint8).tobytes()
        kind = random.integers(0, 8)
        if kind == 0:
            data[start] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            data[start : start + length] = noise
        elif kind == 2:
            data[start : start + length] = bytes([255 * int(random.integers(0, 2))]) * length
        elif kind == 3:
            del data[start : start + length]
        elif kind == 4:
            data[start:start] = noise
        elif kind == 5:
            data[start:start] = data[start : start + length]
        elif kind == 6:
            del data[max(start, 16) :]
        else:
            data[start:] = other[min(start, len(other)) :]
    return bytes(data)


def images(folder):
    """Seeds, and what `addnet.predict` does with an image."""
    from functools import partial

    from PIL import Image

    from addnet.inference.files import ImageSettings, _look

    image = Image.open(folder / "face.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    seeds = {}
    for suffix, options in (("jpg", {"exif": exif}), ("png", {}), ("bmp", {}), ("webp", {}), ("gif", {})):
        stream = io.BytesIO()
        image.save(stream, {"jpg": "JPEG"}.get(suffix, suffix), **options)
        seeds[suffix] = stream.getvalue()
    look = partial(_look, preprocessing=_preprocessing(), settings=ImageSettings(kind="crops"))
    return seeds, lambda file: look((0, file))[1].reason or "whole"


def videos(folder):
    """Seeds, and what `addnet.predict` does with a video."""
    from addnet.inference.videos import FacesOfVideo, VideoSettings

    preprocessing = _preprocessing()
    seeds = {file.name: file.read_bytes() for file in sorted(folder.glob("clip.*"))}

    def read(file):
        faces = FacesOfVideo(file, preprocessing, VideoSettings(frames=2))
        return f"{sum(1 for _ in faces)} faces"

    return seeds, read


def checkpoints(folder):
    """Seeds, and what every command does with a checkpoint; its weights are left out, so that the rest is hit."""
    from addnet.inference.loading import load

    def read(file):
        load(file)
        return "whole"

    return {"small.ckpt": (folder / "small.ckpt").read_bytes()}, read


def indexes(folder):
    """Seeds, and what `addnet.evaluate data=index` does with an index."""
    from addnet.data import DeepfakeDataModule

    def read(file):
        module = DeepfakeDataModule(
            layout="index",
            index=str(file),
            data_dir=str(folder / "faces"),
            image_size=32,
            only_test=True,
            num_workers=0,
        )
        module.prepare_data()
        module.setup("test")
        rows = [module.dataset("test")[row]["valid"] for row in range(len(module.dataset("test")))]
        return f"{sum(rows)} rows"

    return {"index.parquet": (folder / "index.parquet").read_bytes()}, read


def _preprocessing():
    from addnet.faces import AttentionMask, Geometry, Landmarker
    from addnet.inference.preprocessing import Preprocessing

    return Preprocessing(Geometry(size=64), AttentionMask(), Landmarker())


def main(kind, count, seed, folder):
    """Feeds so many mutated files; prints outcomes, the longest processor time, and the most memory in MiB."""
    seeds, read = globals()[kind](Path(folder))
    names = list(seeds)
    outcomes, slowest, wrong = Counter(), 0.0, []
    for number in range(int(count)):
        random = np.random.default_rng((int(seed), number))
        name, other = (names[int(random.integers(0, len(names)))] for _ in range(2))
        file = Path(folder, f"mutated_{kind}_{name}")
        file.write_bytes(mutated(seeds[name], random, seeds[other]))
        began = time.process_time()
        try:
            outcome = read(file)
        except UserError:
            outcome = "refused"
        except Exception as error:
            wrong.append(f"{number} {name}: {type(error).__name__}: {error}")
            outcome = "error"
        slowest = max(slowest, time.process_time() - began)
        outcomes["whole" if outcome == "whole" else outcome if outcome in ("refused", "error") else "other"] += 1
    # not ru_maxrss, which begins with what the process had that this one was forked from
    (peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    memory = int(peak) / 1024
    sys.stdout.write(json.dumps({"outcomes": outcomes, "seconds": slowest, "MiB": memory, "wrong": wrong[:20]}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
