"""Videos → face crops in one folder per video, and their rows in an index. An unfinished video is cropped again."""

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

VIDEOS = "videos"  # name of the journal, beside the index, of what is known about each video
_SAMPLED = 1 << 16


class VideoJob(NamedTuple):
    """One video from which faces are to be cropped.

    Attributes:
        path: The video file.
        record: What is known about the video.
        folder: Folder for its crops, relative to the output folder.
    """

    path: Path
    record: Record
    folder: str


class VideoFinding(NamedTuple):
    """The result of cropping faces from one video.

    Attributes:
        entry: What is stored about the video: path, size, time, settings, counts, notes; why it is unusable.
        rows: Rows of an index, one per crop.
        landmarks: (136,) values for each crop.
        fault: An error that isn't due to the video, such as a full disk: the video is cropped again the next time.
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
    """Crops the faces from one video; made once, called in many processes.

    Attributes:
        out: The output folder.
        settings: Which faces are cropped, and how.
        landmarker: Finds faces in scenes.
    """

    out: Path
    settings: CropSettings
    landmarker: Landmarker

    def __call__(self, job: VideoJob) -> VideoFinding:
        """Crops the faces from a video; never raises for a bad file. First removes the files of earlier attempts."""
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
            _remove(folder)
            return VideoFinding(entry | {"reason": reason(error, job.path, job.record.path)}, [], [])
        if not rows:
            _remove(folder)
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
    """Crops the faces from those videos that are new or changed, or lack some of their crops.

    Args:
        update: The index of the crops, opened for writing; its folder is the output folder.
        videos: The videos, with paths relative to their `root`.
        settings: Which faces are cropped, and how.
        landmarker: Finds faces in scenes.
        run: Runs the tasks; see `Run`.

    Returns:
        What is known about each video, in the order of `videos`; see `VideoFinding.entry`.

    Raises:
        NotWrittenError: A crop or the index can't be written; finished videos are kept.
        UserError: The folder holds faces of other videos with the same ids.
    """
    done = Journal(update.root / VIDEOS)
    known = {entry["path"]: entry for entry, _ in done.replay()}
    jobs = [_with_former_folder(job, known) for job in _jobs(videos)]
    crops = _existing_crops(update)
    wanted = [entry_of(job, settings, landmarker) for job in jobs]
    _refuse_other_data(wanted, known)
    todo = [job for job, entry in zip(jobs, wanted, strict=True) if not _is_done(job, entry, known, crops)]
    log.info("%s to crop, %d already done", count(len(todo), "video"), len(jobs) - len(todo))
    cut = CutVideo(update.root, settings, landmarker)

    lost = partial(_lost, out=update.root, settings=settings, landmarker=landmarker)
    how: Any = {"failed": lost, "total": len(todo), "chunk": 1, "title": "cropping faces", "unit": "videos"}
    how["start"] = landmarker.load
    with done, closing(run(cut, todo, **how)) as findings:
        for finding in findings:
            if finding.fault and not finding.entry["reason"]:
                raise NotWrittenError(f"{finding.fault}; finished videos are kept: make room and start again")
            for row, landmarks in zip(finding.rows, finding.landmarks, strict=True):
                update.add(row, landmarks)
            if not finding.fault:  # after its crops: if the process is killed in between, the video is cropped again
                done.append(finding.entry, None)
            known[finding.entry["path"]] = finding.entry
    update.finish(_described(update, videos))
    return [known[job.record.path] for job in jobs]


def entry_of(job: VideoJob, settings: CropSettings, landmarker: Landmarker) -> dict[str, Any]:
    """The entry that shows whether a video has to be cropped again, from what is known without its content."""
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
    """The finding for a video over which a process died; removes the crops made so far."""
    _remove(out / job.folder)
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


def _with_former_folder(job: VideoJob, known: dict[str, dict[str, Any]]) -> VideoJob:
    """The job with the folder that its crops are in already, if the video itself has moved."""
    before = known.get(job.record.path, {})
    moved = "folder" in before and not Path(before["root"], before["path"]).exists()
    return job._replace(folder=before["folder"]) if moved else job


def _is_done(job: VideoJob, entry: dict[str, Any], known: dict[str, dict[str, Any]], crops: dict[str, int]) -> bool:
    """Whether a video was cropped with these settings; one that was only touched or copied is known by its content."""
    before = known.get(entry["path"])
    if before is None or any(before[key] != entry[key] for key in ("size", "made_by")):
        return False
    if before["mtime_ns"] != entry["mtime_ns"] and before.get("content") != video_hash(job.path):
        return False
    return bool(crops.get(entry["path"], 0) == before["crops"])


def _refuse_other_data(wanted: list[dict[str, Any]], known: dict[str, dict[str, Any]]) -> None:
    """Raises if the crops of a video would replace those of another one that still exists."""
    holders = {entry["folder"]: entry for entry in known.values() if "folder" in entry and entry["crops"]}
    for entry in wanted:
        before = holders.get(entry["folder"], entry)
        mine, its = (Path(one["root"], one["path"]) for one in (entry, before))
        if mine != its and (before["size"], before["mtime_ns"]) != (entry["size"], entry["mtime_ns"]) and its.exists():
            raise UserError(
                f"{mine} and {its} have the same id, {entry['folder']!r}, and the output folder holds the faces of "
                "the latter; use another output folder: output=FOLDER"
            )


def _empty(folder: Path) -> None:
    """Creates a folder, or removes the files in it; folders in it belong to other videos and stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if not file.is_dir():
            file.unlink()


def _remove(folder: Path) -> None:
    """Removes a folder and the crops in it; the folder itself stays if folders of other videos are in it."""
    with contextlib.suppress(OSError):
        _empty(folder)
        folder.rmdir()


def _jobs(videos: Records) -> Iterator[VideoJob]:
    """Yields each video with its own folder, named after its id."""
    ids = videos.names("video_id")
    if len(ids) < len(videos):
        again = ids[int(np.flatnonzero(np.bincount(videos.numbers("video_id")) > 1)[0])]
        paths = " and ".join(record.path for record in videos if record.video_id == again)
        raise UserError(f"{paths} have the same id {again!r}; rename one of them")
    for record, folder in zip(videos, crop_folders(record.video_id for record in videos), strict=True):
        yield VideoJob(Path(record.root, record.path), record, folder)


def _existing_crops(update: IndexUpdate) -> dict[str, int]:
    """The number of crops of each video that are in the index and whose files exist."""
    counts: dict[str, int] = {}
    newest = np.unique(update.find(update.known["path"].combine_chunks()))  # the last row of each path
    rows = update.known.select(["path", "source"]).take(pa.array(newest))
    for path, source in zip(rows["path"], rows["source"].cast(pa.string()), strict=True):
        if os.path.exists(f"{update.root}/{path.as_py()}"):  # noqa: PTH110 - once an image
            counts[source.as_py()] = counts.get(source.as_py(), 0) + 1
    return counts


def _described(update: IndexUpdate, videos: Records) -> Records:
    """The records of all existing crops of these videos, with what is known about the videos now.

    They are in the order of the videos, whichever was finished first: an epoch is drawn from rows by their numbers.
    """
    rows = update.rows().select(["path", "source", "frame"])
    rows = rows.take(pa.array(np.unique(update.find_row(rows["path"].combine_chunks()))))  # the last row of each path
    # the video of each crop, as a position in `videos`; null for crops of other videos
    position = pc.index_in(rows["source"].cast(pa.string()), value_set=videos.paths.cast(pa.string()))
    exists = [os.path.exists(f"{update.root}/{path.as_py()}") for path in rows["path"]]  # noqa: PTH110 - once an image
    chosen = np.flatnonzero(position.is_valid().to_numpy() & np.asarray(exists, dtype=bool))
    chosen = chosen[np.argsort(position.take(pa.array(chosen)).to_numpy(), kind="stable")]
    position = position.take(pa.array(chosen))
    rows, table = rows.take(pa.array(chosen)), videos.take(position.to_numpy()).replaced(root="").table
    for name in ("path", "frame"):
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), rows[name])
    return Records(table)
