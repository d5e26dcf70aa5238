"""A small preparation to be disturbed: its data, the real command, what it finished, and its rows."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from addnet.config import compose
from addnet.data.synthetic import Identity, PortraitView, draw_portrait, generate_dataset
from addnet.index import FaceIndex
from addnet.index.file import NAMES
from addnet.index.journal import Journal
from addnet.prepare import prepare

IMAGES, VIDEOS, ARCHIVES = "images", "videos", "archives"
COMPARED = ("path", "size", "hash", "step", "width", "height", "label", "split", "video_id", "reason")
Rows: TypeAlias = dict[str, list[tuple[object, ...]]]
_COUNTS = re.compile(r"(\d+) (?:images examined|videos to crop), (\d+) (?:unchanged|already done)")


@dataclass
class Preparation:
    """One data set and where its index goes.

    Attributes:
        kind: `images`, `videos` or `archives`.
        data: The data folder.
        out: Where everything goes that it writes.
        undo: Called when the comparison is done, such as an unmount.
    """

    kind: str
    data: Path
    out: Path
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def index(self) -> Path:
        """The index file."""
        return self.out / "index.parquet"

    @property
    def journal(self) -> Journal:
        """What says how far it is."""
        return Journal(self.out / "videos" if self.kind == VIDEOS else self.index)

    def arguments(self) -> list[str]:
        """What stands behind `addnet prepare`."""
        where = f"output={self.out}" if self.kind == VIDEOS else f"data.index={self.index}"
        layout = "wilddeepfake" if self.kind == ARCHIVES else "folder"
        runs = f"paths.output_root={self.out.parent / 'runs'}"
        how = ["report=false", "prepare.workers=1", "prepare.frames=4", runs, f"paths.index_dir={self.out}/lists"]
        return [f"data={layout}", f"data.data_dir={self.data}", where, *how]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Starts the real command."""
        self.out.mkdir(parents=True, exist_ok=True)
        log = (self.out.parent / "victim.log").open("wb")
        command = [sys.executable, "-m", "addnet.prepare", *self.arguments(), *more]

        def hear_ctrl_c() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)

        env = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=log, stderr=log, env=env, preexec_fn=hear_ctrl_c)

    def run(self, *more: str) -> tuple[int, str]:
        """Runs the real command to its end; its exit code and what it said."""
        code = self.start(*more).wait(timeout=300)
        return code, (self.out.parent / "victim.log").read_text()

    def wait_for(self, lines: int, process: subprocess.Popen[bytes]) -> None:
        """Until so many lines are in the journal, or the process has ended."""
        while process.poll() is None:
            with contextlib.suppress(OSError):
                if self.journal.file.read_bytes().count(b"\n") >= lines:
                    return
            time.sleep(0.001)

    def finished(self) -> int:
        """How many images or videos are on disk as finished."""
        done = {row["path"] for row, _ in self.journal.replay()}
        if self.kind != VIDEOS and self.index.is_file():
            done |= set(FaceIndex(self.index).rows["path"].to_pylist())
        return len(done)

    def go_on(self) -> int:
        """Prepares in this process, to the end; how many were known already."""
        told = io.StringIO()
        handler, logger = logging.StreamHandler(told), logging.getLogger("addnet")
        logger.setLevel("INFO")
        logger.addHandler(handler)
        try:
            overrides = [*self.arguments(), f"paths.output_dir={self.out.parent}/report"]
            prepare(compose(overrides, config_name="prepare"))
        finally:
            logger.removeHandler(handler)
        found = _COUNTS.search(told.getvalue())
        return int(found[2]) if found else 0

    def rows(self) -> Rows:
        """What the index says, by path."""
        index = FaceIndex(self.index, columns=NAMES)
        landmarks = index.landmarks.rows(np.arange(len(index)))
        rows: Rows = defaultdict(list)
        for number, row in enumerate(index.rows.select(COMPARED).to_pylist()):
            rows[row["path"]].append((*(row[name] for name in COMPARED), landmarks[number].tobytes()))
        return dict(rows)


def make_data(folder: Path) -> dict[str, Path]:
    """40 images, 8 videos of 8 frames, and 8 archives of 3 images each."""
    images, videos, archives = folder / IMAGES, folder / VIDEOS, folder / ARCHIVES
    generate_dataset(images, train=28, test=12, size=100, seed=3, views=2)
    for number in range(8):
        file = videos / ("train" if number < 6 else "test") / ("fake" if number % 2 else "real") / f"v{number}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        identity = Identity.draw(np.random.default_rng(number))
        views = [PortraitView.draw(np.random.default_rng((number, frame))) for frame in range(8)]
        _write_video(file, [draw_portrait(identity, view, size=144)[0] for view in views])
    for part in ("real_train", "fake_train", "real_test", "fake_test"):
        label, split = part.split("_")
        (archives / part).mkdir(parents=True)
        for number, file in enumerate(sorted((images / split / label).iterdir())[:6]):
            with tarfile.open(archives / part / f"{number // 3 + 1}.tar.gz", "a") as tar:
                tar.add(file, f"./{number // 3 + 1}/{label}/0/{number}.png")
    return {IMAGES: images, VIDEOS: videos, ARCHIVES: archives}


def poll(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Asks as fast as it can until something is so; False if the process ended before."""
    while not condition():
        if process.poll() is not None:
            return condition()
    return True


def _write_video(file: Path, frames: list[np.ndarray]) -> None:
    import av

    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
