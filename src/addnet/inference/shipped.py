"""Detectors that come with the program: their names, which work wherever a checkpoint is named, and where they lie."""

from __future__ import annotations

import logging
from pathlib import Path

from addnet.errors import UserError, suggestion
from addnet.inference.hub import fetched, is_on_hub

log = logging.getLogger(__name__)

DEFAULT = "lite"  # of every command that asks a detector
FOLDER = Path(__file__).resolve().parents[1] / "detectors"  # a folder for each, as `addnet.export` writes them
_CONFIG = "config.json"  # without which a folder is no detector
_EXAMPLE = "outputs/train/TIME/checkpoints/best.ckpt"


def names() -> list[str]:
    """The detectors that came with this installation, the default first; empty where none did."""
    found = sorted(file.parent.name for file in FOLDER.glob(f"*/{_CONFIG}"))
    return sorted(found, key=lambda name: name != DEFAULT)


def located(ckpt: str | Path | None) -> Path:
    """Where a detector lies that is named like a checkpoint.

    The name of a detector that comes with the program always means that one: what a command does without `ckpt=` can't
    depend on the folder that it is started in. What lies there under such a name is reached as `./NAME`.

    Args:
        ckpt: A name or a path as text, or `hf:USER/REPO` of the Hugging Face Hub, which is fetched if need be; a `Path`
            is a path and never a name.

    Returns:
        The folder of the detector, or the path, which is there unless it looks like one.

    Raises:
        UserError: Nothing is named, or a name is that of no detector and of nothing else.
    """
    if not ckpt:
        raise not_set()
    if is_on_hub(ckpt):
        return fetched(str(ckpt))
    path = Path(str(ckpt))
    if isinstance(ckpt, Path) or path.name != str(ckpt):
        return path
    if ckpt in names():
        if path.exists():
            log.info(
                "ckpt=%s is the detector that comes with addnet; for the %s of that name here, type ckpt=./%s",
                ckpt,
                "folder" if path.is_dir() else "file",
                ckpt,
            )
        return FOLDER / ckpt
    if path.exists() or path.suffix:
        if ckpt == DEFAULT:
            log.info("ckpt=%s is what lies here, since no detector comes with this installation", ckpt)
        return path
    raise UserError(f"ckpt={ckpt}: {_missing(ckpt)}")


def name_of(folder: Path) -> str:
    """The name of the detector whose folder this is; empty for one that didn't come with the program."""
    place = folder.resolve()
    return place.name if place.parent == FOLDER.resolve() else ""


def not_set() -> UserError:
    """What is raised where no detector is named, with those that may be."""
    known = f", or a detector that comes with addnet: {', '.join(found)}" if (found := names()) else ""
    return UserError(f"ckpt is not set: name a checkpoint, such as {_EXAMPLE}{known}")


def _missing(name: str) -> str:
    if not (found := names()):
        return (
            "no such file or folder, and no detector comes with this installation. Train one by "
            f"`addnet train data.data_dir=faces`, and name its checkpoint: ckpt={_EXAMPLE}"
        )
    near = suggestion(name, found)
    return f"no such file or folder, and no detector of that name comes with addnet; there is {', '.join(found)}.{near}"
