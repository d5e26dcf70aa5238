"""Which pictures a checkpoint is evaluated on, and that they are prepared as in its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.inference.loading import Loaded

# plain values of the training's config that say where data are; nothing that is built from a checkpoint's word
_WHERE = ("layout", "data_dir", "options", "index", "index_dir", "faces_dir", "group_pattern", "video_pattern")
_FROM_TRAINING = (*_WHERE, "test_fraction", "train", "test", "limit_test", "verify", "max_bad_fraction", "seed")
_MASK = "addnet.faces.AttentionMask"
_NAME_IT = "name them by data.data_dir=PATH"
_NAMED = ("data_dir", "test", "index")


def data_of(data: Mapping[str, Any], loaded: Loaded) -> dict[str, Any]:
    """The arguments of the data module that evaluates a checkpoint.

    Args:
        data: The `data` node of the config; None stands for what the checkpoint says.
        loaded: The checkpoint.

    Returns:
        Those that differ from the node.

    Raises:
        UserError: A setting is another one than that of the training; or no data are named, and the checkpoint doesn't
            say what it was tested on.
    """
    given = preprocessing_of(loaded)
    for name, value in given.items():
        wanted = data.get(name)
        if wanted is not None and wanted != value:
            raise UserError(
                f"data.{name}={wanted!r}, but {loaded.path} was trained with {value!r}: pictures are prepared as in "
                f"training; leave data.{name} out"
            )
    given["mask"] = {"_target_": _MASK, **loaded.preprocessing.mask.settings()}
    if names_data(data):
        return given | _same_test(data, loaded)
    trained = (loaded.about.get("config") or {}).get("data")
    if not isinstance(trained, Mapping):
        raise UserError(f"data.data_dir is not set, and {loaded.path} doesn't say what it was tested on; {_NAME_IT}")
    if loaded.exported:
        raise UserError(f"data.data_dir is not set, and an export doesn't say where its test data are; {_NAME_IT}")
    where = {name: trained[name] for name in _FROM_TRAINING if name in trained}
    _refuse_code(where, loaded)
    return given | where


def names_data(data: Mapping[str, Any]) -> bool:
    """Whether a `data` node says which data to evaluate on; if not, those are taken that the checkpoint names."""
    return any(data.get(name) for name in _NAMED)


def _same_test(data: Mapping[str, Any], loaded: Loaded) -> dict[str, Any]:
    """The share of the training's data folder that was kept for testing, where this very folder is named.

    Raises:
        UserError: Another share is asked for: pictures that were trained on would be tested on.
    """
    trained = (loaded.about.get("config") or {}).get("data")
    if (
        not isinstance(trained, Mapping)
        or not trained.get("test_fraction")
        or not isinstance(data.get("data_dir"), str)
    ):
        return {}
    fraction, folder = float(trained["test_fraction"]), str(trained.get("data_dir"))
    if data.get("test") or Path(folder).expanduser().resolve() != Path(data["data_dir"]).expanduser().resolve():
        return {}
    if data.get("test_fraction") not in (None, fraction):
        raise UserError(
            f"data.test_fraction={data['test_fraction']}, but {loaded.path} was trained with {fraction} of {folder} "
            "kept for testing: with another share it would be tested on pictures that it was trained on; leave it out"
        )
    return {"test_fraction": fraction}


def preprocessing_of(loaded: Loaded) -> dict[str, Any]:
    """Arguments of the data module that follow from a checkpoint's preprocessing, but for the mask."""
    said = loaded.about["preprocessing"]
    names = ("image_size", "align", "crop", "margin", "mask_of")
    return {name: said[name] for name in names} | {"face_crops": "/crops/" in str(said["detector"])}


def _refuse_code(value: Any, loaded: Loaded) -> None:
    """Raises where a checkpoint names code or variables in what ought to say where data are."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _refuse_code(str(key), loaded)
            _refuse_code(part, loaded)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _refuse_code(part, loaded)
    elif isinstance(value, str) and ("${" in value or (value.startswith("_") and value.endswith("_"))):
        raise UserError(f"{loaded.path}: the data of its training are given by {value!r}; name them by data.data_dir")
