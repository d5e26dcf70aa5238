"""Which images a checkpoint is evaluated on; they are prepared as in its training."""

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
    """Returns the arguments of the data module that evaluates a checkpoint.

    Args:
        data: The `data` node of the config. All paths are taken from it; other settings that are None are taken from
            the checkpoint.
        loaded: The checkpoint.

    Returns:
        The arguments that differ from the node.

    Raises:
        UserError: A setting differs from that of the training.
    """
    given = preprocessing_of(loaded)
    for name, value in given.items():
        wanted = data.get(name)
        if wanted is not None and wanted != value:
            raise UserError(
                f"data.{name}={wanted!r}, but {loaded.path} was trained with {value!r}: images must be prepared as in "
                f"training; leave data.{name} out"
            )
    given["mask"] = {"_target_": _MASK, **loaded.preprocessing.mask.settings()}
    return given | _same_test(data, loaded)


def require_used(data: Mapping[str, Any]) -> None:
    """Refuses data sets that an evaluation would ignore.

    Raises:
        UserError: Data sets for validation are named, or data sets for training in addition to those to test on.
    """
    unused = ["val"] if data.get("val") else [key for key in ("train", "data_dir", "index") if data.get(key)]
    if data.get("val") or (data.get("test") and unused):
        why = "an evaluation uses the thresholds of the checkpoint and needs no validation data"
        raise UserError(
            f"data.{unused[0]}={data[unused[0]]} has no effect: "
            f"{why if data.get('val') else 'data.test names the data sets to test on'}; "
            "add it to data.test, or leave it out"
        )


def names_data(data: Mapping[str, Any]) -> bool:
    """Whether a `data` node names data to evaluate on."""
    return any(data.get(name) for name in _NAMED)


def trained_data(loaded: LoadedNetwork) -> Mapping[str, Any]:
    """Returns the `data` config of a checkpoint's training, to report or compare, never to read files from.

    Empty if the checkpoint has none. `stated_place` resolves its paths.
    """
    config = loaded.about.get("config")
    data = config.get("data") if isinstance(config, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def stated_place(path: str, loaded: LoadedNetwork) -> str:
    """Resolves a path in a checkpoint's config against its run folder; in earlier versions' checkpoints, unchanged."""
    config = loaded.about.get("config") or {}
    if config.get("paths") != {"output_dir": "."} or path.startswith("~"):
        return path
    return os.path.normpath(loaded.path.resolve().parents[1] / path)


def kept_share(data: Mapping[str, Any], loaded: LoadedNetwork) -> float | None:
    """Returns the share of the training's data folder that was held out for testing, if `data` names that folder."""
    trained, folder = trained_data(loaded), data.get("data_dir")
    share, stated = trained.get("test_fraction"), trained.get("data_dir")
    if not isinstance(folder, str) or not isinstance(stated, str) or data.get("test"):
        return None
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        return None
    same = Path(stated_place(stated, loaded)).expanduser().resolve() == Path(folder).expanduser().resolve()
    return float(share) if same else None


def _same_test(data: Mapping[str, Any], loaded: LoadedNetwork) -> dict[str, Any]:
    """Returns the share that was held out for testing, as an argument.

    Raises:
        UserError: `data` has another share, with which training images would be tested.
    """
    if (share := kept_share(data, loaded)) is None:
        return {}
    if data.get("test_fraction") not in (None, share):
        raise UserError(
            f"data.test_fraction={data['test_fraction']}, but {loaded.path} was trained with {share} of "
            f"{data['data_dir']} held out for testing: another share would test it on images that it was trained on; "
            "leave it out"
        )
    return {"test_fraction": share}


def preprocessing_of(loaded: LoadedNetwork) -> dict[str, Any]:
    """Returns the arguments of the data module that follow from a checkpoint's preprocessing, except the mask."""
    values = loaded.about["preprocessing"]
    names = ("image_size", "align", "crop", "margin", "mask_of")
    return {name: values[name] for name in names} | {"face_crops": "/crops/" in str(values["detector"])}
