"""Videos → face crops in one folder a video, and their rows in an index. A video is done as a whole, or again."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from addnet.errors import NotWrittenError, UserError
from addnet.faces.extraction import CropSettings, FaceCrop, crop_name, extract_faces, save_crop
from addnet.faces.landmarks import Landmarker
from addnet.index.journal import Journal
from addnet.index.landmarks import Rows
from addnet.index.records import Record, Records
from addnet.index.update import IndexUpdate
from addnet.preparation.folders import crop_folders
from addnet.preparation.images import ImageFinding, content_hash, row_of
from addnet.preparation.settings import Run
from addnet.untrusted.files import opened, reason, status_of
from addnet.untrusted.limits import memory_in_words
from addnet.wording import count

log = logging.getLogger(__name__)

VIDEOS = "videos"  # what is known about each of them, beside the index
_SAMPLED = 1 << 16


class VideoJob(NamedTuple):
    """One video to be cut.

    Attributes:
        path: The file.
        record: What is known about it.
        folder: Where its crops go, relative to the output folder.
    """

    path: Path
    record: Record
    folder: str


class VideoFinding(NamedTuple):
    """What one video gave.

    Attributes:
        entry: What is kept about it: path, size, time, settings, counts, notes; why it is unusable.
        rows: Of an index, one a crop.
        landmarks: (136,) of each crop.
        fault: What went wrong that is no fault of the video, such as a full disk: it is cut again the next time.
    """

    entry: dict[str, Any]
    rows: list[dict[str, Any]]
    landmarks: list[Rows]
    fault: str = ""

    @property
    def outcome(self) -> str:
        """`cut`, `no face` or `unusable`: for the progress bar."""
        return "unusable" if self.entry["reason"] or self.fault else "cut" if self.rows else "no face"


@dataclass(frozen=True)
class CutVideo:
    """Cuts the faces out of one video; made once, called in many processes.

    Attributes:
        out: The output folder.
        settings: What is cut out.
        landmarker: Finds faces in scenes.
    """

    out: Path
    settings: CropSettings
    landmarker: Landmarker

    def __call__(self, job: VideoJob) -> VideoFinding:
        """Never raises for a bad file; what an earlier try left in the folder is removed first."""
        folder = self.out / job.folder
        entry = entry_of(job, self.settings, self.landmarker) | {"content": video_hash(job.path)}
        try:
            _empty(folder)
        except OSError as error:
            return VideoFinding(entry, [], [], fault=f"cannot write {folder}: {error.strerror or error}")
        crops = extract_faces(job.path, self.settings, self.landmarker)
        rows, landmarks = [], []
        try:
            with memory_in_words():
                for crop in crops:
                    rows.append(self._kept(crop, job))
                    landmarks.append(np.asarray(crop.face.landmarks, np.float32).ravel())
        except NotWrittenError as error:
            return VideoFinding(entry, [], [], fault=str(error))
        except UserError as error:
            _take_away(folder)
            return VideoFinding(entry | {"reason": reason(error, job.path, job.record.path)}, [], [])
        if not rows:
            _take_away(folder)
        summary = asdict(crops.summary) if crops.summary else {}
        return VideoFinding(entry | summary, rows, landmarks)

    def _kept(self, crop: FaceCrop, job: VideoJob) -> dict[str, Any]:
        name = f"{job.folder}/{crop_name(crop, self.settings)}"
        file = self.out / name
        try:
            save_crop(crop, file, self.settings)
        except UserError as error:
            raise NotWrittenError(str(error)) from error
        stat = file.stat()
        shape = (crop.image.shape[0], crop.image.shape[1])
        finding = ImageFinding(0, stat.st_size, stat.st_mtime_ns, content_hash(file.read_bytes()), shape, crop.face)
        record = replace(job.record, path=name, frame=crop.frame, root="")
        box = [float(side) for side in crop.original_box]
        return row_of(record, finding, self.landmarker.signature()) | {"source": job.record.path, "source_box": box}


def prepare_videos(
    update: IndexUpdate, videos: Records, *, settings: CropSettings, landmarker: Landmarker, run: Run
) -> list[dict[str, Any]]:
    """Cuts the faces out of those videos that are new, or changed, or lack some of their crops.

    Args:
        update: The index of the crops, opened for writing; its folder is the output folder.
        videos: Their paths relative to their `root`.
        settings: What is cut out.
        landmarker: Finds faces in scenes.
        run: See `Run`.

    Returns:
        What is known about each video, in their order; see `VideoFinding.entry`.

    Raises:
        NotWrittenError: A crop or the index can't be written; what was finished is kept.
        UserError: The folder holds faces of other videos with the same ids.
    """
    done = Journal(update.root / VIDEOS)
    known = {entry["path"]: entry for entry, _ in done.replay()}
    jobs = [_at_home(job, known) for job in _jobs(videos)]
    crops = _crops_there(update)
    wanted = [entry_of(job, settings, landmarker) for job in jobs]
    _refuse_other_data(wanted, known)
    todo = [job for job, entry in zip(jobs, wanted, strict=True) if not _is_done(job, entry, known, crops)]
    log.info("%s to be cut, %d known already", count(len(todo), "video"), len(jobs) - len(todo))
    cut = CutVideo(update.root, settings, landmarker)

    lost = partial(_lost, out=update.root, settings=settings, landmarker=landmarker)
    how: Any = {"failed": lost, "total": len(todo), "chunk": 1, "title": "cutting faces", "unit": "videos"}
    how["start"] = landmarker.load
    with done, closing(run(cut, todo, **how)) as findings:
        for finding in findings:
            if finding.fault and not finding.entry["reason"]:
                raise NotWrittenError(f"{finding.fault}; what was finished is kept: make room and start again")
            for row, landmarks in zip(finding.rows, finding.landmarks, strict=True):
                update.add(row, landmarks)
            if not finding.fault:  # after its crops: a kill in between has the video cut again
                done.append(finding.entry, None)
            known[finding.entry["path"]] = finding.entry
    update.finish(_described(update, videos))
    return [known[job.record.path] for job in jobs]


def entry_of(job: VideoJob, settings: CropSettings, landmarker: Landmarker) -> dict[str, Any]:
    """What tells whether a video has to be cut again, before anything is known about its content."""
    try:
        stat = status_of(job.path)
        size, mtime_ns = stat.st_size, stat.st_mtime_ns
    except (OSError, UserError):
        size, mtime_ns = -1, -1
    made_by = f"{settings} {landmarker.signature()}"
    where = {"root": str(Path(job.record.root).resolve()), "folder": job.folder}
    what = {"size": size, "mtime_ns": mtime_ns, "made_by": made_by, "crops": 0, "reason": None}
    return {"path": job.record.path} | where | what


def _lost(job: VideoJob, reason: str, *, out: Path, settings: CropSettings, landmarker: Landmarker) -> VideoFinding:
    """What is said of a video over which a process died; what was cut so far is taken away."""
    _take_away(out / job.folder)
    return VideoFinding(entry_of(job, settings, landmarker) | {"reason": reason}, [], [], fault=reason)


def video_hash(path: Path) -> str:
    """BLAKE2b-128 of a video's size, beginning, middle and end; empty if it can't be read."""
    try:
        with opened(path, most=None) as stream:
            size = stream.seek(0, os.SEEK_END)
            parts = [str(size).encode()]
            for start in (0, size // 2, max(size - _SAMPLED, 0)):
                stream.seek(start)
                parts.append(stream.read(_SAMPLED))
    except (OSError, UserError):
        return ""
    return content_hash(b"".join(parts))


def _at_home(job: VideoJob, known: dict[str, dict[str, Any]]) -> VideoJob:
    """A video whose crops stay where they are, though its folder has another name now."""
    before = known.get(job.record.path, {})
    moved = "folder" in before and not Path(before["root"], before["path"]).exists()
    return job._replace(folder=before["folder"]) if moved else job


def _is_done(job: VideoJob, entry: dict[str, Any], known: dict[str, dict[str, Any]], crops: dict[str, int]) -> bool:
    """Whether a video was cut like this; one that was only touched or copied is known by its content."""
    before = known.get(entry["path"])
    if before is None or any(before[key] != entry[key] for key in ("size", "made_by")):
        return False
    if before["mtime_ns"] != entry["mtime_ns"] and before.get("content") != video_hash(job.path):
        return False
    return bool(crops.get(entry["path"], 0) == before["crops"])


def _refuse_other_data(wanted: list[dict[str, Any]], known: dict[str, dict[str, Any]]) -> None:
    """Raises where the crops of a video would take the place of those of another one, which is still there."""
    holders = {entry["folder"]: entry for entry in known.values() if "folder" in entry and entry["crops"]}
    for entry in wanted:
        before = holders.get(entry["folder"], entry)
        mine, its = (Path(one["root"], one["path"]) for one in (entry, before))
        if mine != its and (before["size"], before["mtime_ns"]) != (entry["size"], entry["mtime_ns"]) and its.exists():
            raise UserError(
                f"{mine} and {its} have the same id, {entry['folder']!r}, and the output folder has the faces of "
                "the latter; name another folder, such as output=FOLDER"
            )


def _empty(folder: Path) -> None:
    """Makes a folder without files; folders in it belong to other videos and stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if not file.is_dir():
            file.unlink()


def _take_away(folder: Path) -> None:
    """Removes a folder and what was cut so far, unless crops of other videos are below it."""
    with contextlib.suppress(OSError):
        _empty(folder)
        folder.rmdir()


def _jobs(videos: Records) -> Iterator[VideoJob]:
    """Each video with a folder of its own, named by its id."""
    ids = videos.names("video_id")
    if len(ids) < len(videos):
        again = ids[int(np.flatnonzero(np.bincount(videos.numbers("video_id")) > 1)[0])]
        paths = " and ".join(record.path for record in videos if record.video_id == again)
        raise UserError(f"{paths} have the same id {again!r}; rename one of them")
    for record, folder in zip(videos, crop_folders(record.video_id for record in videos), strict=True):
        yield VideoJob(Path(record.root, record.path), record, folder)


def _crops_there(update: IndexUpdate) -> dict[str, int]:
    """How many crops of each video the index has whose files are there."""
    counts: dict[str, int] = {}
    newest = np.unique(update.find(update.known["path"].combine_chunks()))
    rows = update.known.select(["path", "source"]).take(pa.array(newest))
    for path, source in zip(rows["path"], rows["source"].cast(pa.string()), strict=True):
        if os.path.exists(f"{update.root}/{path.as_py()}"):  # noqa: PTH110 - once an image
            counts[source.as_py()] = counts.get(source.as_py(), 0) + 1
    return counts


def _described(update: IndexUpdate, videos: Records) -> Records:
    """Records of all crops of these videos that are there, which say what is known about the videos now."""
    rows = update.rows().select(["path", "source", "frame"])
    rows = rows.take(pa.array(np.unique(update.find_row(rows["path"].combine_chunks()))))
    position = pc.index_in(rows["source"].cast(pa.string()), value_set=videos.paths.cast(pa.string()))
    there = [os.path.exists(f"{update.root}/{path.as_py()}") for path in rows["path"]]  # noqa: PTH110 - once an image
    here = np.flatnonzero(position.is_valid().to_numpy() & np.asarray(there, dtype=bool))
    position = position.take(pa.array(here))
    rows, table = rows.take(pa.array(here)), videos.take(position.to_numpy()).replaced(root="").table
    for name in ("path", "frame"):
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), rows[name])
    return Records(table)
