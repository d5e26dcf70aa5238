"""Which images a checkpoint is evaluated on, and that they are prepared as in its training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.inference.loading import LoadedNetwork

_MASK = "addnet.faces.AttentionMask"
_NAMED = ("data_dir", "train", "test", "index")


def data_of(data: Mapping[str, Any], loaded: LoadedNetwork) -> dict[str, Any]:
    """The arguments of the data module that evaluates a checkpoint.

    Args:
        data: The `data` node of the config. All places are from there; None elsewhere stands for what the checkpoint
            says.
        loaded: The checkpoint.

    Returns:
        Those that differ from the node.

    Raises:
        UserError: A setting is another one than that of the training.
    """
    given = preprocessing_of(loaded)
    for name, value in given.items():
        wanted = data.get(name)
        if wanted is not None and wanted != value:
            raise UserError(
                f"data.{name}={wanted!r}, but {loaded.path} was trained with {value!r}: images are prepared as in "
                f"training; leave data.{name} out"
            )
    given["mask"] = {"_target_": _MASK, **loaded.preprocessing.mask.settings()}
    return given | _same_test(data, loaded)


def require_used(data: Mapping[str, Any]) -> None:
    """Refuses data sets that an evaluation would not look at.

    Raises:
        UserError: Some are named to choose checkpoints on, or to train on alongside those to test on.
    """
    unused = ["val"] if data.get("val") else [key for key in ("train", "data_dir", "index") if data.get(key)]
    if data.get("val") or (data.get("test") and unused):
        why = "an evaluation chooses nothing, its thresholds are those of the checkpoint"
        raise UserError(
            f"data.{unused[0]}={data[unused[0]]} is used for nothing: "
            f"{why if data.get('val') else 'data.test names what is tested on'}; add it to data.test, or leave it out"
        )


def names_data(data: Mapping[str, Any]) -> bool:
    """Whether a `data` node says which data to evaluate on."""
    return any(data.get(name) for name in _NAMED)


def trained_data(loaded: LoadedNetwork) -> Mapping[str, Any]:
    """What a checkpoint says of the data of its training: told or compared, and never read; empty where it says none.

    Its paths lie as `stated_place` says.
    """
    config = loaded.about.get("config")
    data = config.get("data") if isinstance(config, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def stated_place(path: str, loaded: LoadedNetwork) -> str:
    """Where a path lies that a checkpoint tells: to its run folder; as it was typed, in those of earlier versions."""
    config = loaded.about.get("config") or {}
    if config.get("paths") != {"output_dir": "."} or path.startswith("~"):
        return path
    return os.path.normpath(loaded.path.resolve().parents[1] / path)


def kept_share(data: Mapping[str, Any], loaded: LoadedNetwork) -> float | None:
    """The share of the training's data folder that was kept for testing, where this very folder is named."""
    trained, folder = trained_data(loaded), data.get("data_dir")
    share, stated = trained.get("test_fraction"), trained.get("data_dir")
    if not isinstance(folder, str) or not isinstance(stated, str) or data.get("test"):
        return None
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        return None
    same = Path(stated_place(stated, loaded)).expanduser().resolve() == Path(folder).expanduser().resolve()
    return float(share) if same else None


def _same_test(data: Mapping[str, Any], loaded: LoadedNetwork) -> dict[str, Any]:
    """The share that was kept for testing, as an argument.

    Raises:
        UserError: Another share is asked for: images that were trained on would be tested on.
    """
    if (share := kept_share(data, loaded)) is None:
        return {}
    if data.get("test_fraction") not in (None, share):
        raise UserError(
            f"data.test_fraction={data['test_fraction']}, but {loaded.path} was trained with {share} of "
            f"{data['data_dir']} kept for testing: with another share it would be tested on images that it was "
            "trained on; leave it out"
        )
    return {"test_fraction": share}


def preprocessing_of(loaded: LoadedNetwork) -> dict[str, Any]:
    """Arguments of the data module that follow from a checkpoint's preprocessing, but for the mask."""
    said = loaded.about["preprocessing"]
    names = ("image_size", "align", "crop", "margin", "mask_of")
    return {name: said[name] for name in names} | {"face_crops": "/crops/" in str(said["detector"])}
