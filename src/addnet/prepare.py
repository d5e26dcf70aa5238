"""`addnet prepare`: indexes images or videos for training, and writes a report on the index."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from addnet.cli import hydra_command
from addnet.config import plain
from addnet.console import shown_path
from addnet.errors import UserError

if TYPE_CHECKING:
    from addnet.data.sources import Source
    from addnet.faces.geometry import Landmarks
    from addnet.faces.images import ImageArray

log = logging.getLogger(__name__)


def prepare(cfg: DictConfig) -> list[Path]:
    """Prepares the data sets of a composed config.

    Args:
        cfg: `configs/prepare.yaml`, composed, with the folder of the report as `paths.output_dir`.

    Returns:
        The index files.

    Raises:
        UserError: A setting or the data are not valid.
    """
    from addnet.data.prepared import cut_videos, index_images
    from addnet.data.sources import INDEX
    from addnet.faces import Landmarker
    from addnet.index import FaceIndex
    from addnet.preparation.settings import PrepareSettings

    settings = PrepareSettings(**{key: value for key, value in plain(cfg.prepare).items() if key != "_target_"})
    landmarker = Landmarker(cfg.data.landmark_model, face_crops=cfg.data.face_crops)
    files = []
    named = sources(cfg)
    for source in named:
        how = {"landmarker": landmarker, "settings": settings, "max_bad_fraction": cfg.data.max_bad_fraction}
        if source.layout == INDEX:
            raise UserError(
                "data=index is already prepared; name the data set that it was made from, such as data=folder"
            )
        if source.from_videos:
            cut_videos(source, **how)
        else:
            index_images(source, source.used(source.listing.images), **how)
        files.append(source.index_file)
        if cfg.report:
            where = Path(cfg.paths.output_dir)  # with several data sets, each has its own folder
            report(source, where / _title(source.index_file) if len(named) > 1 else where, seed=cfg.seed)
        if "train" in FaceIndex(source.index_file, columns=("split",)).rows["split"].unique().to_pylist():
            index = shlex.quote(f"data.index={shown_path(source.index_file)}")
            log.info("to train on it: addnet train data=index %s", index)
    return files


def _title(index: Path) -> str:
    """Returns a name that distinguishes an index: that of the file, or of the folder of face crops that contains it."""
    return index.parent.name if index.name == "index.parquet" else index.stem


def sources(cfg: DictConfig) -> list[Source]:
    """Returns the data sets of a config: `input`, or those of `data`."""
    from addnet.data.named import PATTERNS, configured
    from addnet.data.sources import Source, said_options
    from addnet.untrusted.texts import shown

    data = plain(cfg.data)
    if cfg.input:
        if beside := [f"data.{key}" for key in ("data_dir", "train", "val", "test", *PATTERNS) if data[key]]:
            raise UserError(
                f"{beside[0]} has no effect together with input={shown(cfg.input)}, which names files without labels; "
                "leave one of them out"
            )
        folders = {"index_dir": data["index_dir"], "faces_dir": data["faces_dir"]}
        options = said_options(data["layout"], data["options"])
        whole = Source("unlabelled", cfg.input, data["index"], options, **folders, output=cfg.output)
        if not (len(whole.found.images) and len(whole.found.videos)):
            return [whole]
        videos = replace(whole, index=None, options=options | {"source": "videos"})  # each kind has its own index
        return [replace(whole, options=options | {"source": "images"}), videos]
    return configured(data, output=cfg.output).sources


def report(source: Source, folder: Path, *, seed: int) -> None:
    """Writes the report on a data set into a folder."""
    import os

    import pyarrow as pa

    from addnet.faces.images import decode_image
    from addnet.index import FaceIndex
    from addnet.index.file import NAMES
    from addnet.preparation.report import write_report

    index = FaceIndex(source.index_file, columns=NAMES)
    records = index.records()

    def number(row: dict[str, Any]) -> int:
        return int(index.find(pa.array([row["path"]], pa.large_string()))[0])

    def read(row: dict[str, Any]) -> ImageArray:
        record = records[number(row)]
        path = os.path.join(source.root, record.path)  # noqa: PTH118 - some are absolute paths
        return decode_image(source.storage.read(path, record.offset, record.length), path)

    def landmarks(row: dict[str, Any]) -> Landmarks | None:
        found: Landmarks | None = index.landmarks[number(row)]
        return found

    file = write_report(index.rows, folder, read_image=read, landmarks=landmarks, seed=seed)
    log.info("report: %s", shown_path(file))


@hydra_command("prepare")
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    prepare(cfg)


if __name__ == "__main__":
    main()
