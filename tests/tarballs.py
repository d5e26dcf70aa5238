"""Small tar archives, sound or made to deceive."""

import io
import tarfile

import numpy as np

FILES = {f"1/fake/{i // 5}/{i}.png": np.random.default_rng(i).bytes(5_000 + 997 * i) for i in range(12)}


def make_entry(name, data=b"content", **fields):
    """An entry and its content, for `write_tar`."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, data


def write_tar(file, *entries, mode="w", form=tarfile.GNU_FORMAT):
    """Writes entries to an archive."""
    with tarfile.open(file, mode, format=form) as tar:
        for entry, data in entries:
            tar.addfile(entry, io.BytesIO(data) if data else None)
    return file


def write_images(file, mode="w"):
    """Writes `FILES` to an archive."""
    return write_tar(file, *(make_entry(f"./{name}", data) for name, data in FILES.items()), mode=mode)
