"""Rows 11, 15 and 18: how long the commands take to start: help, an answer about one image, the first training step."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import images
from measure import Work, race
from table import Row

HERE = Path(__file__).parent
SMALLEST = "import hydra; hydra.main(version_base='1.3', config_path=None)(lambda cfg: None)()"
COMMANDS = {"--help": "--help", "--cfg job": "--cfg=job"}
KNOWN = 10_000


def rows() -> Iterator[Row]:
    """Wall time of whole processes."""
    with tempfile.TemporaryDirectory() as work:
        yield from help_rows(Path(work))
        yield predict_row(Path(work))
        yield train_row(Path(work))


def help_rows(work: Path, *, rounds: int = 15) -> Iterator[Row]:
    """Row 11: `--help` and `--cfg job`, and what Hydra itself takes for a program with one line of config."""
    alone = "Hydra alone, --cfg job of one line"
    contenders: dict[str, Work] = {"import hydra": partial(_run, work, "-c", "import hydra")}
    contenders[alone] = partial(_run, work, "-c", SMALLEST, "--cfg=job")
    contenders |= {name: partial(_run, work, "-m", "addnet.train", option) for name, option in COMMANDS.items()}
    times = race(contenders, rounds=rounds, seconds=0)
    theirs = times["import hydra"]
    for number, name in zip("ab", COMMANDS, strict=True):
        both = {each: times[each].median for each in (name, "import hydra", alone)}
        note = f"{times[name].over(times[alone]).value:.3g} times what Hydra alone takes"
        what = f"python -m addnet.train {name}"
        yield Row(f"11{number}", what, "import hydra", times[name].over(theirs), ("<=", 2), both, note)
    yield Row("11c", "Hydra alone, --cfg job of one line", "import hydra", times[alone].over(theirs), None)


def predict_row(work: Path, *, rounds: int = 6) -> Row:
    """Row 15: the answer of the shipped detector about one image, and the import of the packages that it needs."""
    image = min((images.folder(work, 8) / "test" / "real").iterdir())
    contenders: dict[str, Work] = {
        "predict": partial(_run, work, "-m", "addnet.predict", os.fspath(image)),
        "import torch, timm": partial(_run, work, "-c", "import torch, timm"),
    }
    times = race(contenders, rounds=rounds, seconds=0)
    return Row(
        "15",
        "python -m addnet.predict of one image",
        "import torch, timm",
        times["predict"].over(times["import torch, timm"]),
        ("<=", 2),
        {name: time.median for name, time in times.items()},
        "the face is found in a second process, with limits, while this one imports torch",
    )


def train_row(work: Path, *, count: int = KNOWN, rounds: int = 4) -> Row:
    """Row 18: from the command to the end of the first training step, and the same in a bare script."""
    from first_step import BATCH, SIDE, WORKERS

    index = images.drawn_index(work, count * 4 // 5, different=8)
    data = ["data=index", f"data.index={index}", f"data.image_size={SIDE}", f"data.batch_size={BATCH}"]
    settings = [*data, f"data.num_workers={WORKERS}", "trainer=cpu", "model.pretrained=false"]
    ends = ["logger.comet.offline=true", "+callbacks.first_step._target_=first_step.FirstStep"]
    contenders: dict[str, Work] = {
        "train": partial(_run, work, "-m", "addnet.train", *settings, *ends),
        "bare script": partial(_run, work, os.fspath(HERE / "first_step.py"), os.fspath(index)),
    }
    times = race(contenders, rounds=rounds, seconds=0)
    return Row(
        "18",
        "from addnet train to the first step's end",
        "bare script",
        times["train"].over(times["bare script"]),
        ("<=", 1.5),
        {name: time.median for name, time in times.items()},
        f"{count} known images; all default callbacks and loggers, one batch of sanity validation; {SIDE} pixels, "
        f"batches of {BATCH}, {WORKERS} workers",
    )


def _run(work: Path, *arguments: str) -> None:
    """Runs Python in a folder, on this program's code and that of the benchmarks."""
    # the call that warms up compiles this package, as pip has done with Hydra's
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = [str(HERE), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    process = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=work)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}:\n{process.stderr}")
