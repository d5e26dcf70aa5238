"""A cache of the members of archives on disk, so that thousands of archives are listed only once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from addnet.errors import UserError
from addnet.index.members import Member, file_stamp, list_members
from addnet.untrusted.files import status_of

log = logging.getLogger(__name__)

_FORMAT = "1"
_STAMP = b"addnet.archive"
_SCHEMA = pa.schema([("name", pa.string()), ("offset", pa.int64()), ("length", pa.int64())])


def members_of(archive: Path, *, cache_dir: Path | None) -> list[Member]:
    """Lists all regular files of an archive, from the cache if the archive hasn't changed.

    Args:
        archive: A tar file, plain or gzipped.
        cache_dir: Folder for the lists and for the seek points of gzipped archives; None: nothing is cached.

    Raises:
        UserError: For the reasons that `list_members` raises it; nothing is cached for such an archive.
    """
    try:
        stamp = file_stamp(status_of(archive))
    except OSError as error:
        raise UserError(f"cannot open {archive}: {error.strerror or error}") from error
    if cache_dir is None:
        return list(list_members(archive))
    file = members_file(archive, cache_dir)
    kept = _load(file, archive, stamp)
    if kept is None:
        kept = list(list_members(archive, seek_points=cache_dir))
        _save(kept, file, stamp)
    return kept


def members_file(archive: Path, cache_dir: Path) -> Path:
    """The file in which the list of an archive is cached."""
    place = hashlib.blake2b(os.fsencode(archive.resolve()), digest_size=8).hexdigest()
    return cache_dir / f"{archive.name}-{place}.members.parquet"


def _load(file: Path, archive: Path, stamp: tuple[int, int]) -> list[Member] | None:
    if not file.exists():
        return None
    try:
        table = pq.read_table(file, memory_map=False)
        columns = [table[name].to_pylist() for name in _SCHEMA.names]
        kept = json.loads((table.schema.metadata or {})[_STAMP])
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        log.warning("%s is damaged (%s); %s is listed again", file, str(error).splitlines()[0], archive)
        return None
    if kept != [_FORMAT, *stamp]:
        log.warning("%s has changed; it is listed again", archive)
        return None
    return [Member(*row) for row in zip(*columns, strict=True)]


def _save(members: list[Member], file: Path, stamp: tuple[int, int]) -> None:
    """Writes the file completely or not at all; without it, the archive is only listed again."""
    columns = {name: [getattr(member, name) for member in members] for name in _SCHEMA.names}
    table = pa.table(columns, schema=_SCHEMA).replace_schema_metadata({_STAMP: json.dumps([_FORMAT, *stamp])})
    partial = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot cache lists of archives in %s: %s", file.parent, error.strerror or error)
