"""Detectors that come with the program: their folders, and their names, which are valid wherever a checkpoint is."""

from __future__ import annotations

import logging
from pathlib import Path

from addnet.errors import UserError, suggestion
from addnet.inference.hub import fetched, is_on_hub

log = logging.getLogger(__name__)

DEFAULT = "lite"  # the detector of every command that uses one
FOLDER = Path(__file__).resolve().parents[1] / "detectors"  # a folder for each, as `addnet.export` writes them
_CONFIG = "config.json"  # every detector's folder has one
_EXAMPLE = "outputs/train/TIME/checkpoints/best.ckpt"


def names() -> list[str]:
    """Returns the detectors that came with this installation, the default first; empty if there are none."""
    found = sorted(file.parent.name for file in FOLDER.glob(f"*/{_CONFIG}"))
    return sorted(found, key=lambda name: name != DEFAULT)


def located(ckpt: str | Path | None) -> Path:
    """Returns the path of a detector or checkpoint that is given by name or path.

    The name of a detector that comes with the program always means that detector, so that a command without `ckpt=`
    doesn't depend on the folder it is started in. A local file or folder of the same name is reached as `./NAME`.

    Args:
        ckpt: A name or a path as text, or `hf:USER/REPO` of the Hugging Face Hub, which is fetched if needed; a `Path`
            is always a path and never a name.

    Returns:
        The folder of the detector, or the path. A bare name without a suffix exists; other paths aren't checked.

    Raises:
        UserError: Nothing is named, or a name is neither a detector nor an existing file or folder.
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
                "ckpt=%s is the detector that comes with addnet; for the local %s of that name, use ckpt=./%s",
                ckpt,
                "folder" if path.is_dir() else "file",
                ckpt,
            )
        return FOLDER / ckpt
    if path.exists() or path.suffix:
        if ckpt == DEFAULT:
            log.info("ckpt=%s is the local file or folder, since this installation comes without detectors", ckpt)
        return path
    raise UserError(f"ckpt={ckpt}: {_missing(ckpt)}")


def name_of(folder: Path) -> str:
    """Returns the name of the detector in a folder; empty if it didn't come with the program."""
    place = folder.resolve()
    return place.name if place.parent == FOLDER.resolve() else ""


def not_set() -> UserError:
    """Returns the error to raise where no detector is named; it lists those that are available."""
    known = f", or a detector that comes with addnet: {', '.join(found)}" if (found := names()) else ""
    return UserError(f"ckpt is not set: name a checkpoint, such as {_EXAMPLE}{known}")


def _missing(name: str) -> str:
    if not (found := names()):
        return (
            "no such file or folder, and this installation comes without detectors. Train one with "
            f"`addnet train data.data_dir=faces`, and name its checkpoint: ckpt={_EXAMPLE}"
        )
    near = suggestion(name, found)
    return f"no such file or folder, and not a detector that comes with addnet; use {', '.join(found)}.{near}"
