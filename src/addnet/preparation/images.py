"""Image files → rows of an index: checks and hashes new or changed images, and finds their faces."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.images import check_bytes
from addnet.faces.landmarks import Face, Landmarker
from addnet.index.faces import CHECKED, GIVEN
from addnet.index.records import Record, Records
from addnet.index.storage import Storage
from addnet.index.update import RECORDED, IndexUpdate
from addnet.preparation.settings import Run
from addnet.untrusted.files import read_bytes, reason
from addnet.untrusted.limits import memory_in_words

UNCHANGED = "unchanged"
_CHUNK = 16
_LANDMARKS = 1 << 20  # most bytes of a file of landmarks; 68 landmarks take two thousand


class ImageJob(NamedTuple):
    """One image to examine.

    Attributes:
        number: Number of its record.
        record: What is known about the image.
        hash: Hash of its bytes when this landmarker last examined it; empty if it never did.
    """

    number: int
    record: Record
    hash: str = ""


class ImageFinding(NamedTuple):
    """The result of examining one image.

    Attributes:
        number: Number of its record.
        size: Size in bytes; -1 if the file can't be opened.
        mtime_ns: Time of the file's last change in nanoseconds; -1 if the file can't be opened.
        hash: BLAKE2b-128 of its bytes, as hexadecimal digits.
        shape: (height, width); (0, 0) if unusable or unchanged.
        face: The face, with step `none` if there is none; None if unusable, unchanged or only checked.
        reason: Why the image is unusable; `unchanged` if its bytes are the same as before; None otherwise.
    """

    number: int
    size: int
    mtime_ns: int
    hash: str = ""
    shape: tuple[int, int] = (0, 0)
    face: Face | None = None
    reason: str | None = None

    @property
    def outcome(self) -> str:
        """The landmarker step that found the face, or `checked`, `unchanged` or `unusable`."""
        if self.reason:
            return self.reason if self.reason == UNCHANGED else "unusable"
        return self.face.step if self.face else CHECKED


@dataclass(frozen=True)
class Examine:
    """Examines one image; made once, called in many processes.

    Attributes:
        root: The data folder.
        landmarker: Finds faces; None: images are only checked for damage.
        storage: Reads files and members of archives.
    """

    root: Path
    landmarker: Landmarker | None
    storage: Storage

    def __call__(self, job: ImageJob) -> ImageFinding:
        """Examines an image; never raises for a bad file."""
        record = job.record
        where = (self.root / record.path, record.offset, record.length)
        try:
            size, mtime_ns = self.storage.stat(*where)
            data = self.storage.read(*where)
        except UserError as error:
            return ImageFinding(job.number, -1, -1, reason=reason(error, where[0], record.path))
        digest = content_hash(data)
        finding = partial(ImageFinding, job.number, size, mtime_ns, digest)
        if digest == job.hash:
            return finding(reason=UNCHANGED)
        try:
            with memory_in_words():
                image = check_bytes(data, record.path)
                face = self._given(record) or (self.landmarker(image) if self.landmarker else None)
        except UserError as error:
            return finding(reason=str(error))
        return finding(shape=(image.shape[0], image.shape[1]), face=face)

    def _given(self, record: Record) -> Face | None:
        """The landmarks that came with the data set; of sets of 81 landmarks, the first 68."""
        if not record.landmarks:
            return None
        try:
            content = read_bytes(self.root / record.landmarks, most=_LANDMARKS)
            landmarks = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
        except (OSError, ValueError, MemoryError):  # MemoryError: a header that declares terabytes
            return None
        if (
            landmarks.ndim != 2
            or landmarks.shape[0] < 68
            or landmarks.shape[1] != 2
            or not np.isfinite(landmarks).all()
        ):
            return None
        return Face(GIVEN, landmarks[:68].astype(np.float32))


def prepare_images(
    update: IndexUpdate,
    records: Records,
    *,
    landmarker: Landmarker | None,
    run: Run,
    storage: Storage | None = None,
) -> int:
    """Brings an index up to date with the image files of some records.

    Args:
        update: The index, opened for writing.
        records: Its images, with paths relative to `update.root`.
        landmarker: Finds faces; None: images are only checked for damage.
        run: Runs the tasks; see `Run`.
        storage: Reads files and members of archives.

    Returns:
        The number of images that were examined.
    """
    signature = landmarker.signature() if landmarker else ""
    storage = storage or Storage()
    rows = update.find(records.paths)
    known = _known(update, records, rows, signature)
    stale = np.flatnonzero(~(known & _untouched(update, records, rows, storage)))
    hashes = update.known["hash"]
    under_way: dict[int, Record] = {}

    def jobs() -> Iterator[ImageJob]:
        for number, record in zip(stale.tolist(), records.take(stale), strict=True):
            under_way[number] = record
            yield ImageJob(number, record, hashes[int(rows[number])].as_py() or "" if known[number] else "")

    examine = Examine(update.root, landmarker, storage)
    how: Any = {"failed": lost, "total": len(stale), "chunk": _CHUNK, "title": "finding faces", "unit": "images"}
    how["start"] = landmarker.load if landmarker else None
    with closing(run(examine, jobs(), **how)) as findings:
        for finding in findings:
            record = under_way.pop(finding.number)
            if finding.reason == UNCHANGED:
                row, landmarks = update.row(int(rows[finding.number]))
                update.add(row | {"size": finding.size, "mtime_ns": finding.mtime_ns}, landmarks)
            else:
                face = finding.face
                landmarks = None if face is None or face.landmarks is None else face.landmarks.ravel()
                update.add(row_of(record, finding, signature), landmarks)
    update.finish(records)
    return len(stale)


def lost(job: ImageJob, reason: str) -> ImageFinding:
    """The finding for an image over which a process died."""
    return ImageFinding(job.number, -1, -1, reason=reason)


def content_hash(data: bytes) -> str:
    """BLAKE2b-128 of a file's bytes, as hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def row_of(record: Record, finding: ImageFinding, signature: str) -> dict[str, Any]:
    """The row of an index for an image that was examined.

    Args:
        record: What is known about the image.
        finding: The result of examining it.
        signature: Signature of the landmarker.
    """
    face = finding.face
    return {name: getattr(record, name) for name in RECORDED} | {
        "size": finding.size,
        "mtime_ns": finding.mtime_ns,
        "hash": finding.hash or None,
        "height": finding.shape[0],
        "width": finding.shape[1],
        "step": face.step if face else CHECKED,
        "detector": signature,
        "box": None if face is None or face.box is None else [float(side) for side in face.box],
        "source": "",
        "source_box": None,
        "reason": finding.reason,
    }


def _known(update: IndexUpdate, records: Records, rows: NDArray[np.int64], signature: str) -> NDArray[np.bool_]:
    """(N,) whether the index already has what this landmarker would find, provided that the file hasn't changed."""
    # (N,) columns: null for images that aren't in the index, and so are all expressions made of them
    known = update.known.select(["step", "detector", "reason", "landmarks"]).take(pa.array(rows, mask=rows < 0))
    unusable, step = known["reason"].is_valid(), known["step"].cast(pa.string())
    same_files = pc.equal(known["landmarks"], records.table["landmarks"])
    complete = pc.and_(pc.not_equal(step, CHECKED), pc.equal(known["detector"].cast(pa.string()), signature))
    fits = pc.or_(unusable, pc.or_(complete, pc.equal(step, GIVEN))) if signature else pc.is_valid(step)
    return np.asarray(pc.fill_null(pc.and_(fits, same_files), False).to_numpy())


def _untouched(update: IndexUpdate, records: Records, rows: NDArray[np.int64], storage: Storage) -> NDArray[np.bool_]:
    """(N,) whether size and time of the file are the same as in the index."""
    sizes, times = update.known["size"].to_numpy(), update.known["mtime_ns"].to_numpy()
    same = np.zeros(len(records), dtype=bool)
    for number, (row, (size, mtime_ns)) in enumerate(
        zip(rows.tolist(), _stats(update.root, records, storage), strict=True)
    ):
        same[number] = row >= 0 and (sizes[row], times[row]) == (size, mtime_ns)
    return same


def _stats(root: Path, records: Records, storage: Storage) -> Iterator[tuple[int, int]]:
    """Yields size and time of each file; (-2, -2) if it doesn't exist."""
    table = records.table
    offsets, lengths = table["offset"].to_pylist(), table["length"].to_pylist()
    for path, offset, length in zip(records.paths, offsets, lengths, strict=True):
        try:
            yield storage.stat(os.path.join(root, path.as_py()), offset, length)  # noqa: PTH118 - once an image
        except UserError:
            yield -2, -2
