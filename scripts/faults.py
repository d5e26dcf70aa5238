"""The faults: what is done to a preparation, and how many images or videos were finished then and still stand."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import psutil
from preparation import ARCHIVES, IMAGES, VIDEOS, Preparation, poll

from addnet.index.file import partial_files


class Hit(NamedTuple):
    """What a fault did: in a word or two, and how many that were finished must not be done again."""

    what: str
    finished: int


class MissedError(Exception):
    """The fault came too late, or can't be injected on this machine."""


Fault: TypeAlias = Callable[[Preparation, random.Random], Hit]
_BLOCK = 4096  # bytes: what a tmpfs gives out
_JPEG = b"\xff\xd8\xff\xe0"


def ended_by(end: signal.Signals) -> Fault:
    """A signal while images are looked at or videos cut, after a random one of them."""

    def inject(one: Preparation, rng: random.Random) -> Hit:
        process = one.start()
        one.wait_for(rng.randint(1, 6 if one.kind == VIDEOS else 36), process)
        time.sleep(rng.uniform(0, 0.03))  # amid the next
        process.send_signal(end)
        if process.wait(timeout=60) == 0:
            raise MissedError
        return Hit("in work", one.finished())

    return inject


def killed_in_write(one: Preparation, rng: random.Random) -> Hit:
    """SIGKILL while the index is being written: its hidden file is there, and stays."""
    return _killed_in_write(one, rng.uniform(0, 0.004))


def _killed_in_write(one: Preparation, delay: float) -> Hit:
    process = one.start()
    partial = one.out / f".{one.index.name}.{process.pid}"
    one.wait_for(8 if one.kind == VIDEOS else 40, process)
    poll(partial.exists, process)
    time.sleep(delay)
    process.kill()
    process.wait()
    if not partial.exists():
        raise MissedError
    return Hit("half-written file left", one.finished())


def worker_killed(one: Preparation, rng: random.Random) -> Hit:
    """SIGKILL of one of two worker processes; the command itself has to come to its end."""
    process = one.start("prepare.workers=2")
    one.wait_for(rng.randint(1, 5), process)
    workers = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
    rng.choice(workers).kill()
    if process.wait(timeout=120):
        raise AssertionError("the command did not survive the death of a worker")
    return Hit("in work", 8)


def disk_full(one: Preparation, rng: random.Random) -> Hit:
    """A real, tiny file system that fills up at a random place; then it gets larger."""
    _mount(one, f"{rng.randrange(16, 88 if one.kind == VIDEOS else 124, 4)}k")
    return _run_into_full_disk(one)


def disk_full_in_write(one: Preparation, rng: random.Random) -> Hit:
    """There is room for the journal with every image in it, but not for the index; then the disk gets larger."""
    _mount(one, "64m")
    _killed_in_write(one, 0)
    for partial in partial_files(one.index):
        partial.unlink()
    _resize(one, str(shutil.disk_usage(one.out).used + _BLOCK * rng.randrange(6)))
    return _run_into_full_disk(one)


def _mount(one: Preparation, size: str) -> None:
    one.out.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", one.out], check=False).returncode:
        raise MissedError
    one.undo.callback(subprocess.run, ["umount", one.out], check=True)


def _resize(one: Preparation, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", one.out], check=True)


def _run_into_full_disk(one: Preparation) -> Hit:
    code, said = one.run()
    if code == 0:
        raise MissedError
    if "start again" not in said:
        raise AssertionError(f"no plain words about the full disk:\n{said[-2000:]}")
    finished = one.finished()
    _resize(one, "64m")
    words = {"journal cannot": "journal", "parquet cannot": "index", "cannot write": "crop"}
    return Hit(next(name for words_of, name in words.items() if words_of in said), finished)


def two_writers(one: Preparation, rng: random.Random) -> Hit:
    """Two commands at once; of every second pair, the first is killed while the other waits."""
    first, second = one.start(), one.start()
    kill = rng.random() < 0.5
    if kill:
        one.wait_for(rng.randint(1, 30), first)
        first.kill()
    codes = [process.wait(timeout=120) for process in (first, second)]
    if codes[1] or (codes[0] and not kill):
        raise AssertionError(f"exit codes {codes}")
    return Hit("one killed" if kill else "both to the end", one.finished())


def index_damaged(one: Preparation, rng: random.Random) -> Hit:
    """The finished index is cut short, emptied, or has some bits flipped."""
    one.go_on()
    finished, data = one.finished(), bytearray(one.index.read_bytes())
    how = rng.choice(("cut short", "emptied", "bits flipped", "bits flipped"))
    if how == "bits flipped":
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(4, len(data))] ^= 1 << rng.randrange(8)
    one.index.write_bytes(
        data if how == "bits flipped" else data[: 0 if how == "emptied" else rng.randrange(len(data))]
    )
    return Hit(how, finished)


def journal_damaged(one: Preparation, rng: random.Random) -> Hit:
    """What a killed preparation left is torn at its end, or has a byte changed amid it."""
    hit = ended_by(signal.SIGKILL)(one, rng)
    data = bytearray(one.journal.file.read_bytes())
    how = rng.choice(("torn", "byte changed"))
    if how == "torn":
        del data[-rng.randint(2, 200) :]
    else:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    one.journal.file.write_bytes(data)
    return Hit(how, min(hit.finished, one.finished()))


def archive_damaged(one: Preparation, rng: random.Random) -> Hit:
    """One of eight archives is cut short when preparation runs; then it is whole again."""
    archive = rng.choice(sorted(one.data.rglob("*.tar.gz")))
    data, stat = archive.read_bytes(), archive.stat()
    archive.write_bytes(data[: rng.randrange(1, len(data) - 1024)])
    one.go_on()
    finished = one.finished()
    if finished != 21:
        raise AssertionError(f"{finished} rows, of 21 images in the sound archives")
    archive.write_bytes(data)
    os.utime(archive, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    return Hit("cut short, then whole", finished)


def image_unreadable(one: Preparation, rng: random.Random) -> Hit:
    """One image becomes a torn file, no image, an empty file, a folder, or a link to nowhere."""
    one.go_on()
    file = rng.choice(_images(one.data))
    whole = file.read_bytes()
    how = rng.choice(("torn", "no image", "empty", "folder", "dead link"))
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "dead link":
        file.symlink_to("nowhere")
    else:
        file.write_bytes({"torn": whole[: len(whole) // 2], "no image": b"text", "empty": b""}[how])
    return Hit(how, 39)


def image_changed(one: Preparation, rng: random.Random) -> Hit:
    """An image gets other content, another time, goes, comes, or takes another name."""
    one.go_on()
    file, other = rng.sample(_images(one.data), 2)
    how = rng.choice(("changed", "touched", "deleted", "added", "renamed"))
    if how == "changed":
        file.write_bytes(other.read_bytes())
    elif how == "touched":
        os.utime(file)
    elif how == "deleted":
        file.unlink()
    elif how == "added":
        shutil.copy(other, file.with_name(f"new{file.suffix}"))
    else:
        file.rename(file.with_name(f"new{file.suffix}"))
    return Hit(how, 40 if how == "added" else 39)


def _images(data: Path) -> list[Path]:
    return sorted(file for file in data.rglob("*") if file.is_file() and file.read_bytes()[:4] in (_JPEG, b"\x89PNG"))


FAULTS: dict[str, tuple[str, Fault]] = {
    "SIGKILL while images are processed": (IMAGES, ended_by(signal.SIGKILL)),
    "SIGINT (Ctrl-C) while images are processed": (IMAGES, ended_by(signal.SIGINT)),
    "SIGTERM while images are processed": (IMAGES, ended_by(signal.SIGTERM)),
    "SIGKILL while videos are cropped": (VIDEOS, ended_by(signal.SIGKILL)),
    "SIGKILL while the index is written": (IMAGES, killed_in_write),
    "SIGKILL of one of two workers": (VIDEOS, worker_killed),
    "disk full, images": (IMAGES, disk_full),
    "disk full, videos": (VIDEOS, disk_full),
    "disk full while the index is written": (IMAGES, disk_full_in_write),
    "two writers at once": (IMAGES, two_writers),
    "index damaged": (IMAGES, index_damaged),
    "index of crops damaged": (VIDEOS, index_damaged),
    "journal damaged": (IMAGES, journal_damaged),
    "archive damaged": (ARCHIVES, archive_damaged),
    "unreadable image": (IMAGES, image_unreadable),
    "image changed between runs": (IMAGES, image_changed),
}
