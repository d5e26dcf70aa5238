"""Files → their SHA-256, size and date; also those of the files that a detector's scores depend on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from addnet.errors import UserError
from addnet.faces.landmarks import landmark_model_path
from addnet.untrusted.files import reason, sha256_of, status_of
from addnet.untrusted.texts import in_data

if TYPE_CHECKING:
    from addnet.inference import Detector

WEIGHTS = "weights"  # the role of the files that identify a detector


def file_facts(path: Path) -> dict[str, Any]:
    """Returns `sha256`, `bytes` and `modified` of a file; all None, with a `reason`, if it can't be read."""
    facts: dict[str, Any] = {"sha256": None, "bytes": None, "modified": None, "reason": ""}
    try:
        status = status_of(path)
        modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
        return facts | {"sha256": sha256_of(path), "bytes": status.st_size, "modified": modified}
    except OSError as error:
        return facts | {"reason": f"cannot be read: {error.strerror or error}"}
    except UserError as error:
        return facts | {"reason": in_data(reason(error, path))}


def files_of(detector: Detector, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns role, name, size and SHA-256 of each file that a detector's scores depend on, without their folders.

    Args:
        detector: The detector.
        settings: The settings of `addnet predict`: `model.weights`, `detector.landmark_model`, `likelihood`.
    """
    from addnet.inference.export.hub_folder import CONFIG
    from addnet.inference.export.hub_folder import WEIGHTS as TENSORS

    place = detector.loaded.path
    parts = [place / CONFIG, place / TENSORS] if place.is_dir() else [place]
    named: list[tuple[str, Path]] = [(WEIGHTS, part) for part in parts]
    if weights := (settings.get("model") or {}).get("weights"):
        named.append(("start weights", Path(weights)))
    model = (settings.get("detector") or {}).get("landmark_model")
    named.append(("landmark model", Path(model) if model else landmark_model_path()))
    if likelihood := settings.get("likelihood"):
        named.append(("likelihood ratios", Path(likelihood)))
    return [_described(role, file) for role, file in named]


def _described(role: str, file: Path) -> dict[str, Any]:
    facts = file_facts(file)
    name = in_data("/".join(file.parts[-2:])) if role == WEIGHTS else file.name
    return {"role": role, "name": name, "bytes": facts["bytes"], "sha256": facts["sha256"], "reason": facts["reason"]}
